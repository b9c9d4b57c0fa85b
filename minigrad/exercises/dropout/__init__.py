"""Exercises for the chapters on dropout: what it minimizes, when to drop, fine-tuning.

Write dropout with its derivative, calculate its noise and the penalty that hides in it, ask many
masks for an opinion, repair mixout, and compare two runs without comparing their ages.
"""

from . import noise, runs

TASKS = [*noise.TASKS, *runs.TASKS]
