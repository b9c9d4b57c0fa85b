"""Image sets that come with the package: handwritten digits and a part of Fashion-MNIST."""

import functools
import os
from importlib import resources

import numpy as np

from minigrad.data import downloads
from minigrad.data.split import Split

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def digits() -> Split:
    """Handwritten digits of 8 x 8 pixels: 1437 for training, 360 for test; the smallest real set.

    ``x`` float32 ``(n, 64)`` in [0, 1], row by row (grey levels 0 ... 16, divided by 16);
    ``y`` int64 in 0 ... 9.

    The split is fixed: 36 of the roughly 180 images of every class were drawn at random into the
    test part. Rows are in random order, so leading rows are a random sample. One writer's digits
    may stand on both sides, so test accuracy says nothing about unknown writers.

    Source: the 1797 images of `sklearn.datasets.load_digits`, the test part of *Optical Recognition
    of Handwritten Digits* (Alpaydin and Kaynak 1998, UCI repository, CC BY 4.0).
    """
    stored = _load("digits.npz")
    x = stored["images"].astype(np.float32) / 16
    y = stored["labels"].astype(np.int64)
    train, test = stored["train"], stored["test"]  # row numbers in scikit-learn's order
    return Split(x[train], y[train], x[test], y[test])


def fashion_mnist(full: bool = False, folder: str | os.PathLike[str] | None = None) -> Split:
    """Fashion-MNIST, pictures of clothes, 28 x 28 grey pixels: 10,000 for training, 2,000 for test.

    ``x`` float32 ``(n, 784)`` in [0, 1], row by row (``x.reshape(-1, 28, 28)`` are the images);
    ``y`` int64 in 0 ... 9, named by ``FASHION_CLASSES``.

    The bundled part is balanced: the first 1,000 images of every class from the canonical training
    set, and the first 200 of every class from the canonical test set, both in canonical order.

    Args:
        full: the canonical 60,000 + 10,000 instead: looked for on this machine, else downloaded.
        folder: with ``full=True``, where to look first (see `minigrad.data.downloads`).
    Raises: FileNotFoundError if the full set is neither on this machine nor to be downloaded;
        ValueError for a folder without ``full=True``.
    Source: Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; MIT licence, copyright Zalando SE.
    """
    if full:
        return downloads.idx_images("fashion-mnist", folder)
    if folder is not None:
        raise ValueError(
            f"fashion_mnist: folder is {str(folder)!r} while full is False; expected no folder for "
            "the bundled part; add full=True to read the canonical files from it"
        )
    stored = _load("fashion_mnist.npz")
    return Split(
        downloads.unit_interval(stored["train_images"]).reshape(-1, 784),
        stored["train_labels"].astype(np.int64),
        downloads.unit_interval(stored["test_images"]).reshape(-1, 784),
        stored["test_labels"].astype(np.int64),
    )


@functools.cache  # decoding takes most of the time of a call; every call converts anew
def _load(name: str) -> dict[str, np.ndarray]:
    path = resources.files("minigrad.data") / "files" / name
    # allow_pickle=False: a data file can hold numbers, never code.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)
