"""Keep numpy's arrays in files: the one place that writes them and reads them again.

The files are numpy's own (``.npz``, ``.npy``). They are not read with ``numpy.load``: it has
Python parse each head as source text, and up to Python 3.11.7 two threads that do so at once may
get ``SystemError: AST constructor recursion depth mismatch`` (CPython issue 106905). A head of
plain arrays is read here with one regular expression; nothing is parsed, evaluated or unpickled.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"\x93NUMPY"
_LENGTH_TYPES = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}
_LONGEST_HEAD = 10_000
_HEAD = re.compile(
    rb"\{'descr': '([<>|=]?[biufcUS]\d{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:\d{1,18}(?:, ?|,?(?=\))))*)\), \}\s*\Z"
)
_BLOCK = 1 << 20


class ArrayFileError(ValueError):
    """A file of arrays that is damaged, or holds other than plain numbers and texts."""


def write_arrays(file: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``arrays`` under their names as one ``.npz``; each has a sum that reading checks."""
    np.savez(file, **arrays)  # type: ignore[arg-type]


def write_head(file: IO[bytes], dtype: np.dtype[Any], shape: Sequence[int]) -> None:
    """Write the head of a ``.npy`` file; the numbers of all rows are to follow, C order."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, header)


def read_arrays(path: Path, names: Sequence[str]) -> list[NDArray[Any]]:
    """Return the arrays ``names`` of the ``.npz`` file ``path``, in that order.

    Raises
    ------
    OSError
        As the file system gives it.
    ArrayFileError
        If the file is damaged, lacks a name, or holds objects or records.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as members:
            return [_read_member(members, f"{name}.npy") for name in names]
    except (OSError, MemoryError, ArrayFileError):
        raise
    except Exception as error:  # zipfile raises all kinds on damaged bytes
        raise ArrayFileError(f"'{path.name}' is damaged.") from error


def map_array(path: Path) -> NDArray[Any]:
    """Return the array of the ``.npy`` file ``path``, read-only, read from disk when looked at.

    Raises
    ------
    OSError
        As the file system gives it.
    ArrayFileError
        If the file is damaged, shorter than it says, or holds objects or records.
    """
    with path.open("rb") as file:
        dtype, shape, order = _read_head(file)
        start, size = file.tell(), file.seek(0, os.SEEK_END)
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > size - start:
        raise ArrayFileError(f"'{path.name}' is shorter than it says.")
    if n_bytes == 0:
        return _empty(shape, dtype, order)
    return np.memmap(path, dtype, "r", start, shape, order)


def _read_member(members: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with members.open(name) as stream:
        dtype, shape, order = _read_head(stream)
        if math.prod(shape) * dtype.itemsize != members.getinfo(name).file_size - stream.tell():
            raise ArrayFileError(f"'{name}' is not as long as it says.")
        array = _empty(shape, dtype, order)
        fill(stream, array)
        # The sum over the bytes is compared at the end, which a read past it makes sure of.
        if stream.read(1):
            raise ArrayFileError(f"'{name}' goes on past its end.")
    return array


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], order: Any) -> NDArray[Any]:  # noqa: ANN401
    try:
        return np.empty(shape, dtype, order)
    except ValueError as error:  # no numbers, but axes beyond all bounds
        raise ArrayFileError("An array has impossible axes.") from error


def fill(stream: IO[bytes], array: NDArray[Any]) -> None:
    """Read from ``stream`` straight into the memory of ``array``, without a second copy.

    Raises
    ------
    EOFError
        If the stream ends before the array is full.
    """
    if array.size == 0 or array.itemsize == 0:
        return
    view = array.reshape(-1, order="A").view(np.uint8).data
    done = 0
    while done < len(view):
        n_read = stream.readinto(view[done : done + _BLOCK])  # type: ignore[attr-defined]
        if not n_read:
            raise EOFError("a stream ended before its array did")
        done += n_read


def _read_head(file: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """Return type, shape and order ("C" or "F"), and leave ``file`` at the first number."""
    start = file.read(8)
    length_type = _LENGTH_TYPES.get((start[6], start[7])) if len(start) == 8 else None
    if start[:6] != _MAGIC or length_type is None:
        raise ArrayFileError("This is no file of an array.")
    size = struct.calcsize(length_type)
    length_bytes = file.read(size)
    length = struct.unpack(length_type, length_bytes)[0] if len(length_bytes) == size else 0
    found = _HEAD.match(file.read(length)) if length <= _LONGEST_HEAD else None
    if found is None:
        raise ArrayFileError("The head of an array is damaged, or it holds objects or records.")
    type_name, is_fortran, axes = found.groups()
    shape = tuple(int(size) for size in axes.split(b",") if size.strip())
    try:
        dtype = np.dtype(type_name.decode("ascii"))
    except TypeError as error:
        raise ArrayFileError("An array has a type of numbers that numpy does not know.") from error
    return dtype, shape, "F" if is_fortran == b"True" else "C"
