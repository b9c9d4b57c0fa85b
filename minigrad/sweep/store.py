"""Results on disk: one JSON line per finished run, appended at once, readable in any editor.

A store begins with a record of how it was made. A process killed while writing leaves a torn last
line, which readers skip and the next writer removes. Nothing is pickled.
"""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np


def encode(value: Any, where: str = "value") -> Any:
    """``value`` as strict JSON data; exact for floats, arrays, NaN and infinities.

    NumPy scalars become Python numbers, tuples lists. Arrays keep dtype and shape.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise TypeError(f"{where} is an array of {value.dtype}; expected bool, int or float")
        flat = [encode(entry, where) for entry in value.ravel().tolist()]
        return {"$array": flat, "dtype": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, (list, tuple)):
        return [encode(entry, f"{where}[{i}]") for i, entry in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise TypeError(f"{where} has the key {key!r}; expected a text not starting with $")
        return {key: encode(entry, f"{where}[{key!r}]") for key, entry in value.items()}
    raise TypeError(
        f"{where} is a {type(value).__name__}, which has no place in a JSON store; expected None, "
        "numbers, text, lists, dicts or NumPy arrays (float(x) or x.numpy() may be the mend)"
    )


def decode(value: Any) -> Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "$float" in value:
        return float(value["$float"])
    if "$array" in value:
        array = np.array(decode(value["$array"]), dtype=value["dtype"])
        return array.reshape(value["shape"])
    return {key: decode(entry) for key, entry in value.items()}


def dumps(encoded: Any, sort: bool = False) -> str:
    """One line of strict JSON (no NaN tokens, which most readers refuse)."""
    return json.dumps(encoded, allow_nan=False, sort_keys=sort, separators=(",", ":"))


def read(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a store. A torn last line is left out, another is an error."""
    lines: list[dict[str, Any]] = []
    text = path.read_bytes().split(b"\n")
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError("expected an object")
            lines.append(entry)
        except ValueError as error:  # also what is not UTF-8
            if number == len(text):
                break
            raise ValueError(f"{path.name}, line {number} is no JSON object: {error}") from None
    return lines


@contextmanager
def appending(path: Path):
    """Open a store for appending: one writer at a time, a torn last line removed.

    Yields a function that writes one entry and returns when it is on the disk.
    Raises: RuntimeError if another process is writing to the same store (not checked on Windows).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        _lock(file, path)
        _mend(file)

        def append(entry: dict[str, Any]) -> None:
            file.write(dumps(entry).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield append


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:  # the system drops the lock with the process, so that a killed sweep leaves none behind
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RuntimeError(
            f"another sweep is writing to {path.name}; wait for it or give a store of its own"
        ) from None


def _mend(file: IO[bytes]) -> None:
    """End the file behind its last complete line."""
    file.seek(0)
    content = file.read()
    torn = content[content.rfind(b"\n") + 1 :]
    if not torn:
        return
    try:
        json.loads(torn)
        file.write(b"\n")  # only the newline was lost
    except ValueError:
        file.truncate(len(content) - len(torn))


def record(device: str = "cpu", **more: Any) -> dict[str, Any]:
    """How a result was made: command, versions, device, processor, start. Holds no folder names."""
    import importlib.metadata

    versions = {}
    for package in ("minigrad", "numpy", "scipy", "joblib"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    program = Path(sys.argv[0] if sys.argv else "")
    words = [Path(word).name for word in sys.argv[1:]]
    if "ipykernel" in program.name:
        command = "notebook"
    elif program.name == "__main__.py":
        command = " ".join(["python -m", program.parent.name, *words])
    else:
        command = " ".join([program.name, *words])
    return {
        "command": command,
        "versions": {"python": platform.python_version(), **versions},
        "device": device,
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **more,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
