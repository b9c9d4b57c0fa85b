"""Three public-domain English texts, and the step from characters to integers."""

import gzip
from importlib import resources

import numpy as np

TEXTS = {
    "alice": "Lewis Carroll, Alice's Adventures in Wonderland (1865)",
    "as_you_like_it": "William Shakespeare, As You Like It (1623)",
    "paradise_lost": "John Milton, Paradise Lost (1667)",
}


def text(name: str = "alice") -> str:
    r"""One of the bundled texts as a string of ASCII characters with ``\n`` line ends.

    ``"alice"``, about 148,000 characters of prose; ``"as_you_like_it"``, 125,000 of drama;
    ``"paradise_lost"``, 457,000 of verse. Editorial headers, end marks and the blanks at line ends
    are removed, so what is left is the author's.

    Raises: ValueError for an unknown name.
    Source: the texts of the Canterbury corpus, which ship in the source distribution of the Python
        package ``brotli``; the works are in the public domain.
    """
    if name not in TEXTS:
        raise ValueError(
            f"text: name is {name!r}; expected one of {', '.join(map(repr, TEXTS))}; "
            "for a file of your own use pathlib.Path(...).read_text()"
        )
    packed = (resources.files("minigrad.data") / "files" / f"{name}.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("ascii")


def characters(string: str) -> tuple[np.ndarray, str]:
    """Number the characters of a string: ``(ids, alphabet)``, ``alphabet[ids[i]] == string[i]``.

    ``ids`` is int64 ``(len(string),)`` in ``[0, len(alphabet))``; the alphabet holds each character
    that occurs once, in code-point order. ``"".join(alphabet[i] for i in ids)`` goes back.

    Raises: ValueError for an empty string.
    """
    if not string:
        raise ValueError(
            "characters: the string is empty; expected at least one character; "
            "try characters(text('alice'))"
        )
    codes = np.frombuffer(string.encode("utf-32-le"), dtype="<u4")
    alphabet, ids = np.unique(codes, return_inverse=True)
    return ids.astype(np.int64), "".join(map(chr, alphabet))
