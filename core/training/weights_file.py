"""Look at a weights file before it is opened: what it is by its content, and is it sound.

Nothing here runs or unpickles anything, so any file may be looked at, and torch is not needed.
"""

from __future__ import annotations

import errno
import io
import itertools
import json
import math
import pickletools
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeGuard

from core.errors import TrainingError

Kind = Literal["safetensors", "torch-zip", "torch-old"]

# torch before 1.6 begins with its magic number as a pickle; torchvision's own GoogLeNet and
# VGG-19 files are of that time.
_OLD_TORCH_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_BARE_PICKLE = re.compile(rb"\x80[\x02-\x05]|[(\]}ldt\d]*c[\w.]+\n[\w.]+\n")
_LONGEST_HEADER_BYTES = 100 * 1024**2  # as in the safetensors format
_LONGEST_PICKLE_BYTES = 16 * 1024**2
_MOST_MEMBERS = 100_000
_MOST_OPCODES = 500_000  # ResNet-101 has some 20 000
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2"), 8),
}
_OTHER_FORMATS = {
    b"\x89HDF": "an HDF5 file, of Keras or MATLAB",
    b"MATLAB": "a MATLAB file",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "only a Git LFS pointer: the file itself was never fetched",
    b"<!": "a web page: the download asked for a log-in or the address is wrong",
    b"<h": "a web page: the download asked for a log-in or the address is wrong",
}
_ASK_FOR = "Ask for a .safetensors file or a plain state_dict"


def check_weights_file(path: Path) -> Kind:
    """Return what a file is by its first bytes, once all that can be checked from outside holds.

    Raises
    ------
    TrainingError
        If it is empty, damaged, of another kind, or built as no weights file is.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
            if not head:
                raise TrainingError(
                    f"The weights file '{path.name}' is empty (0 bytes). Copy it again."
                )
            if head[:2] == b"PK":
                _check_zip(path, size)
                return "torch-zip"
            if head.startswith(_OLD_TORCH_MAGIC):
                return "torch-old"
            # Eight bytes of length, then JSON.
            if head[8:9] in (b"{", b"["):
                _read_header(file, size, path.name)
                return "safetensors"
            if _BARE_PICKLE.match(head):
                raise TrainingError(
                    f"'{path.name}' is no weights file but a Python pickle, which may hold "
                    f"program code: it was not opened. {_ASK_FOR}."
                )
            if path.suffix == ".safetensors":
                raise damaged(path.name, "its header cannot be read")
    except OSError as error:
        raise TrainingError(
            f"The weights file '{path.name}' cannot be read: {error.strerror}. Check that its "
            "folder is still there and may be read."
        ) from error
    what = next((words for magic, words in _OTHER_FORMATS.items() if head.startswith(magic)), "")
    raise TrainingError(
        f"'{path.name}' is no weights file that this program reads{what and f' but {what}'}, and "
        f"was not opened. {_ASK_FOR} (.pth)."
    )


def damaged(name: str, detail: str = "") -> TrainingError:
    """Return the error for a damaged file."""
    return TrainingError(
        f"The weights file '{name}' is damaged or incomplete{detail and f': {detail}'}. "
        "Fetch it again from its source."
    )


def layer_names(path: Path, kind: Kind) -> frozenset[str]:
    """Return the names of the layers in a checked file, without opening it.

    The texts in a pickle are listed, not run; empty where they cannot be told.
    """
    try:
        with path.open("rb") as file:
            if kind == "safetensors":
                return frozenset(_read_header(file, path.stat().st_size, path.name))
            if kind == "torch-old":
                start = io.BytesIO(file.read(_LONGEST_PICKLE_BYTES))
                for _ in range(3):  # magic number, protocol and system come before the layers
                    _texts(start)
                return _texts(start)
        with zipfile.ZipFile(path) as archive:
            pickled = next(m for m in archive.infolist() if m.filename.endswith("/data.pkl"))
            if pickled.file_size > _LONGEST_PICKLE_BYTES:
                return frozenset()
            return _texts(io.BytesIO(archive.read(pickled)))
    except (OSError, ValueError, zipfile.BadZipFile, StopIteration, TrainingError):
        return frozenset()


def _texts(pickled: io.BytesIO) -> frozenset[str]:
    return frozenset(
        argument
        for opcode, argument, _ in itertools.islice(pickletools.genops(pickled), _MOST_OPCODES)
        if "UNICODE" in opcode.name and isinstance(argument, str)
    )


def _check_zip(path: Path, size: int) -> None:
    """Refuse what torch never writes; a zip's own sums find a flipped bit, which torch does not."""
    name = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(members, size, name)
            if archive.testzip() is not None:
                raise damaged(name, "its checksum does not match")
    except TrainingError:
        raise
    except OSError as error:
        # A damaged directory sends the reader to places before the file.
        if error.errno != errno.EINVAL:
            raise
        raise damaged(name) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise damaged(name) from error


def _check_members(members: list[zipfile.ZipInfo], size: int, name: str) -> None:
    names = [member.filename for member in members]
    parts = [tuple(member.split("/")) for member in names]
    is_one_folder = len({part[0] for part in parts}) == 1 and all(
        len(part) > 1 and not {"", ".", ".."} & set(part) for part in parts
    )
    if any("code" in part[1:2] or part[1:] == ("constants.pkl",) for part in parts):
        raise TrainingError(
            f"'{name}' is a TorchScript program and was not opened. Ask for a .safetensors file "
            "or a plain state_dict."
        )
    if not any(part[1:] == ("data.pkl",) for part in parts):
        raise TrainingError(
            f"'{name}' is a zip archive, not a weights file, and was not opened. Unpack it "
            "first, then choose the .pth or .safetensors file in it."
        )
    if (
        not is_one_folder
        or any(character in member for member in names for character in "\\:\0")
        or len(set(names)) < len(names)
        or len(names) > _MOST_MEMBERS
    ):
        raise TrainingError(
            f"'{name}' has parts outside its own folder, as no weights file has, and was not "
            "opened. Fetch it from its source again."
        )
    is_packed = any(
        member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members
    )
    if is_packed or sum(member.file_size for member in members) > 1.2 * size:
        raise TrainingError(
            f"'{name}' is compressed in a way that weights never are, and was not opened. "
            "Fetch it from its source again."
        )


def _read_header(file: BinaryIO, size: int, name: str) -> dict[str, Any]:
    """Return the layers of a safetensors file; its header must tell of each byte exactly once."""
    file.seek(0)
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _LONGEST_HEADER_BYTES):
        raise damaged(name, "its header is longer than the file")
    try:
        header = json.loads(file.read(length).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(name, "its header cannot be read") from error
    if not isinstance(header, dict):
        raise damaged(name, "its header cannot be read")
    header.pop("__metadata__", None)
    places = sorted(_place(entry, name) for entry in header.values())
    ends = [0, *itertools.chain.from_iterable(places), size - 8 - length]
    if any(first != second for first, second in zip(ends[::2], ends[1::2], strict=True)):
        raise damaged(name, "its header does not fit its length")
    return header


def _place(entry: object, name: str) -> tuple[int, int]:
    """Return where a layer's bytes begin and end."""
    fault = damaged(name, "its header is wrong about a layer")
    if not isinstance(entry, dict):
        raise fault
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    bits = _BITS.get(str(entry.get("dtype")))
    if bits is None or not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise fault
    begin, end = offsets
    if end - begin != math.prod(shape) * bits // 8:
        raise fault
    return begin, end


def _are_counts(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
