"""Rebuild minigrad/data/files from the packages that hold the originals.

    apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb originals
    pip download --no-binary :all: --no-deps brotli && tar -xf brotli-*.tar.gz
    python tools/build_bundled_data.py \
        --fashion-mnist originals/usr/share/datasets/fashion-mnist --texts brotli-*/tests/testdata

The digits come from an installed scikit-learn. Equal originals give equal files, byte for byte (up
to the version of zlib).
"""

import argparse
import gzip
import io
import re
import zipfile
from pathlib import Path

import numpy as np

from minigrad.data import downloads

FILES = Path(__file__).parent.parent / "minigrad" / "data" / "files"


def save(path: Path, **arrays: np.ndarray) -> None:
    """Like `np.savez_compressed`, at the highest level and without the time of day in the file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy")  # its date is 1980-01-01
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, buffer.getvalue(), compresslevel=9)


def build_digits() -> None:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    generator = np.random.default_rng(0)
    test = np.concatenate(
        [
            generator.permutation(np.flatnonzero(labels == digit))[:36]  # 20 % of about 180
            for digit in range(10)
        ]
    )
    train = np.setdiff1d(np.arange(len(labels)), test)
    save(
        FILES / "digits.npz",
        images=images.astype(np.uint8),
        labels=labels.astype(np.uint8),
        train=generator.permutation(train).astype(np.int16),
        test=generator.permutation(test).astype(np.int16),
    )


def build_fashion_mnist(folder: Path) -> None:
    source = downloads.SOURCES["fashion-mnist"]

    def first_of_each_class(images: str, labels: str, per_class: int) -> list[np.ndarray]:
        x, y = (downloads.parse_idx(downloads.find(source, f, folder), f) for f in (images, labels))
        rows = np.concatenate([np.flatnonzero(y == c)[:per_class] for c in range(10)])
        rows.sort()
        return [x[rows], y[rows]]

    x_train, y_train = first_of_each_class(downloads.TRAIN_IMAGES, downloads.TRAIN_LABELS, 1000)
    x_test, y_test = first_of_each_class(downloads.TEST_IMAGES, downloads.TEST_LABELS, 200)
    save(
        FILES / "fashion_mnist.npz",
        train_images=x_train,
        train_labels=y_train,
        test_images=x_test,
        test_labels=y_test,
    )


def build_texts(folder: Path) -> None:
    originals = {
        # name -> file, the first words of the work, what follows its last words
        "alice": ("alice29.txt", "CHAPTER I", "THE END"),
        "as_you_like_it": ("asyoulik.txt", "AS YOU LIKE IT", None),
        "paradise_lost": ("plrabn12.txt", "Book I", "[The End]"),
    }
    for name, (file, first, last) in originals.items():
        text = (folder / file).read_bytes().decode("ascii").replace("\r\n", "\n").rstrip("\x1a\n")
        text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
        start = re.search(rf"^\s*{first}$", text, flags=re.MULTILINE)
        assert start is not None, f"{file} does not hold the line {first!r}"
        text = text[start.start() :]
        if last is not None:
            text = text[: text.rindex(last)]
        text = text.strip() + "\n"
        (FILES / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode("ascii"), 9, mtime=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fashion-mnist", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--texts", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    FILES.mkdir(exist_ok=True)
    build_digits()
    build_fashion_mnist(arguments.fashion_mnist)
    build_texts(arguments.texts)
    for path in sorted(FILES.iterdir()):
        print(f"{path.stat().st_size:>9,}  {path.name}")
