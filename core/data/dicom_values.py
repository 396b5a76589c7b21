"""Take values from a DICOM header as raw bytes, without pydicom's own conversion.

That conversion quotes what it cannot read in its warnings and errors: names must not get into
logs that way.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

Vector = tuple[float, ...]


def raw(dataset: Any, tag: int) -> bytes:  # noqa: ANN401 - pydicom is followed as untyped
    """Return the bytes of an entry; none where it is missing or a sequence."""
    if tag not in dataset:
        return b""
    value = dataset.get_item(tag, keep_deferred=True).value
    return value if isinstance(value, bytes) else b""


def text(dataset: Any, tag: int) -> str:  # noqa: ANN401
    """Return an entry as ASCII text."""
    return raw(dataset, tag).strip(b"\0 ").decode("ascii", "replace")


def hashed(dataset: Any, tag: int) -> str:  # noqa: ANN401
    """Return the SHA-256 of an entry; empty where that is empty."""
    value = raw(dataset, tag).strip(b"\0 ")
    return text_hash(value) if value else ""


def text_hash(value: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(value).hexdigest()


def whole_number(dataset: Any, tag: int, byte_order: str) -> int | None:  # noqa: ANN401
    """Return an entry of two bytes as a number."""
    value = raw(dataset, tag)
    return struct.unpack(byte_order + "H", value[:2])[0] if len(value) >= 2 else None


def numbers(dataset: Any, tag: int) -> Vector:  # noqa: ANN401
    """Return decimal numbers; nothing if one is none, or beyond any length on earth."""
    try:
        values = tuple(float(part) for part in text(dataset, tag).split("\\"))
    except ValueError:
        return ()
    return values if all(math.isfinite(v) and abs(v) < 1e12 for v in values) else ()


def first_numbers(groups: list[Any], tag: int, count: int) -> Vector | None:
    """Return the first ``count`` numbers of the first data set that has as many."""
    for dataset in groups:
        values = numbers(dataset, tag)
        if len(values) >= count:
            return values[:count]
    return None
