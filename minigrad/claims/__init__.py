"""What a paper claims, what we measured, and whether the claim holds.

A chapter ends with `claim(...)` lines. The rules of the verdict are fixed here, before any run, so
that nobody can move them until a result looks right.
"""

from .censoring import Censored, censored, first_time, quantile
from .predictions import Question, predict, question
from .verdicts import Claim, Table, claim, paired, table

__all__ = [
    "Censored",
    "Claim",
    "Question",
    "Table",
    "censored",
    "claim",
    "first_time",
    "paired",
    "predict",
    "quantile",
    "question",
    "table",
]
