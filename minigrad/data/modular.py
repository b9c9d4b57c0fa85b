"""Modular arithmetic as a classification task: the tables on which grokking was found."""

import numpy as np

from minigrad.data.split import Split

OPERATIONS = ("+", "-", "*", "/", "x^2+y^2", "random", "random symmetric")


def modular_arithmetic(
    p: int = 97,
    operation: str = "+",
    train_fraction: float = 0.5,
    seed: int = 0,
    unordered: bool = False,
) -> Split:
    r"""Split the table of :math:`a \circ b \bmod p` into training and test examples.

    ``x`` is int64 ``(n, 2)``, the pair (a, b); ``y`` is int64 ``(n,)``, the result, in [0, p).
    Together the two parts hold every pair once: :math:`p^2` of them, or :math:`p(p-1)` for
    division, where b = 0 is left out.

    Operations: ``"+"``, ``"-"``, ``"*"``, ``"/"`` (a times the inverse of b), ``"x^2+y^2"``, and
    two controls that nobody can learn by rule: ``"random"``, a table of independent uniform
    entries, and ``"random symmetric"``, the same with equal entries for (a, b) and (b, a).

    Mirrored pairs: with a commutative operation a random split puts (a, b) into training and
    (b, a) into test, which a symmetric model gets right without any arithmetic. ``unordered=True``
    keeps both on the same side. On ``"random symmetric"`` with an ordered split, test accuracy
    measures just that leak.

    Splits are nested: for one seed, the training pairs at 0.3 are the first rows of the training
    pairs at 0.4. Rows come in random order.

    Args:
        p: the modulus, at least 2; a prime for division.
        train_fraction: share of the pairs (of the unordered pairs with ``unordered=True``) in
            training, strictly between 0 and 1.
        seed: selects the split, and the table of the random controls; its own generators.
        unordered: split {a, b} instead of (a, b).
    Raises: ValueError for an unknown operation, p < 2, p not prime with division, a share outside
        (0, 1) or one that leaves a part empty.
    Source: Power et al. 2022, *Grokking*, arXiv 2201.02177, section 2.
    """
    if operation not in OPERATIONS:
        raise ValueError(
            f"modular_arithmetic: operation is {operation!r}; expected one of "
            f"{', '.join(map(repr, OPERATIONS))}; correct the spelling"
        )
    if p < 2:
        raise ValueError(
            f"modular_arithmetic: p is {p}; expected a modulus of at least 2; the papers use 97"
        )
    if operation == "/" and any(p % d == 0 for d in range(2, int(p**0.5) + 1)):
        raise ValueError(
            f"modular_arithmetic: p is {p}, which is not prime; expected a prime for '/', since "
            "only then has every b != 0 an inverse; use a prime such as 97 or another operation"
        )
    if not 0 < train_fraction < 1:
        raise ValueError(
            f"modular_arithmetic: train_fraction is {train_fraction}; expected a share strictly "
            "between 0 and 1; write 30 % as 0.3"
        )

    a, b = np.divmod(np.arange(p * p), p)
    if operation == "/":
        a, b = a[b != 0], b[b != 0]
    result = _table(p, operation, seed)[a, b]

    # A unit is what may not be torn apart: one ordered pair, or a pair with its mirror image.
    unit = np.minimum(a, b) * p + np.maximum(a, b) if unordered else a * p + b
    _, unit = np.unique(unit, return_inverse=True)
    units = int(unit.max()) + 1
    n_train = round(train_fraction * units)
    if not 0 < n_train < units:
        raise ValueError(
            f"modular_arithmetic: train_fraction {train_fraction} of {units} pairs is {n_train}; "
            "expected at least one pair on each side; change train_fraction or raise p"
        )
    rank = np.random.default_rng([seed, 1]).permutation(units)[unit]
    order = np.argsort(rank, kind="stable")
    x, y, training = np.stack([a, b], axis=1)[order], result[order], rank[order] < n_train
    return Split(x[training], y[training], x[~training], y[~training])


def _table(p: int, operation: str, seed: int) -> np.ndarray:
    """The ``(p, p)`` table with entry (a, b) equal to a o b mod p."""
    a, b = np.arange(p)[:, None], np.arange(p)[None, :]
    if operation == "+":
        return (a + b) % p
    if operation == "-":
        return (a - b) % p
    if operation == "*":
        return (a * b) % p
    if operation == "/":
        inverse = np.array([pow(i, -1, p) if i else 0 for i in range(p)])
        return (a * inverse[b]) % p
    if operation == "x^2+y^2":
        return (a**2 + b**2) % p
    # A stream of its own, so that the table is independent of the split.
    table = np.random.default_rng([seed, 2]).integers(0, p, size=(p, p))
    if operation == "random symmetric":
        table = np.where(a <= b, table, table.T)
    return table
