"""One file with all that a run needs to go on: arrays as safetensors, the rest as JSON in front.

Nothing is pickled, so a checkpoint from a stranger cannot run code. A crash while writing leaves
the old file whole.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

_KEY = "minigrad"  # where the JSON stands in the header
_ARRAY = "$array"  # {"$array": name}: this array is stored under that name


def write(path: str | os.PathLike[str], tree: Any) -> None:
    """Store nested dicts (text keys) and lists of NumPy arrays, numbers, text and None.

    Written beside ``path``, flushed to the disk, then renamed over it: readers see the old file or
    the new one, never a part. Tuples come back as lists.
    """
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_take_out(tree, arrays, ""))  # NaN and infinities as Python reads them
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(arrays, metadata={_KEY: text}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: str | os.PathLike[str]) -> Any:
    """What `write` stored, bit for bit.

    Raises: ValueError if the file is not one of `write`'s, or is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {})[_KEY]
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _put_back(json.loads(text), arrays)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"checkpoint {os.fspath(path)!r}: not a checkpoint of minigrad, or damaged ({error}). "
            "Mend: name another file, or delete this one to start anew"
        ) from error


def _take_out(tree: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """``tree`` as JSON data; its arrays go into ``arrays`` under the path that leads to them."""
    if isinstance(tree, np.ndarray):
        arrays[name] = np.array(tree, order="C")
        return {_ARRAY: name}
    if isinstance(tree, dict):
        for key in tree:
            if not isinstance(key, str) or key == _ARRAY:
                raise TypeError(
                    f"checkpoint: the key {key!r} in {name or 'the top'}; expected text"
                )
        return {key: _take_out(value, arrays, f"{name}/{key}") for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_take_out(value, arrays, f"{name}/{i}") for i, value in enumerate(tree)]
    if isinstance(tree, np.generic):
        return tree.item()
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(
        f"checkpoint: {name} is a {type(tree).__name__}; expected arrays, numbers, text, None, "
        "dicts or lists. Mend: convert it, e.g. with np.asarray"
    )


def _put_back(tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(tree, dict):
        if _ARRAY in tree:
            return arrays[tree[_ARRAY]]
        return {key: _put_back(value, arrays) for key, value in tree.items()}
    return [_put_back(value, arrays) for value in tree] if isinstance(tree, list) else tree
