"""Unpack compressed DICOM slices: which kinds are read, and the decoding in a child process.

The codecs are C libraries fed with files from anywhere, so the program itself never runs them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.child_process import ChildError, ChildResult, run_in_child
from core.data.drive import drive_text, is_drive_fault, once_more
from core.data.file_kind import shown_name
from core.data.pydicom_gateway import quiet_pydicom
from core.errors import ScanError
from core.missing_package import how_to_add

# Transfer syntax -> what people call it. Deflate is left out: pydicom would unpack any amount of
# it, and video because it is no scan.
COMPRESSED = {
    "1.2.840.10008.1.2.4.50": "JPEG",
    "1.2.840.10008.1.2.4.51": "JPEG",
    "1.2.840.10008.1.2.4.57": "lossless JPEG",
    "1.2.840.10008.1.2.4.70": "lossless JPEG",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.81": "JPEG-LS",
    "1.2.840.10008.1.2.4.90": "JPEG 2000",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE",
}
_EXTENDED_JPEG = "1.2.840.10008.1.2.4.51"
# A child takes about half a second to start, and its answer is held beside the volume.
_BATCH_BYTES = 256 * 1024**2
_START_SECONDS, _SECONDS_PER_MB = 15.0, 0.5
# A codec holds a picture a few times over while it unpacks it.
_CODEC_BYTES = 256 * 1024**2
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_MAX_PIECES = 200_000

Picture = tuple[Path, int, tuple[int, int], str]
"""File, frame, (rows, columns) and type of a pixel, such as ``<u2``, of a slice to unpack."""


def require_codec(path: Path, syntax: str, bits_stored: int) -> None:
    """Refuse a compressed file that cannot be unpacked here.

    Raises
    ------
    ScanError
        With the name of the package to add.
    """
    plugins = _plugins(syntax)
    kind, packages = COMPRESSED[syntax], "mri-fcl[dicom]"
    if syntax == _EXTENDED_JPEG and bits_stored > 8:
        # The others say that they read this kind and mean its pictures of 8 bits. The one that
        # does is under the GPL, so it is no part of our extra.
        plugins &= {"pylibjpeg"}
        kind, packages = f"JPEG of {bits_stored} bits", "pylibjpeg pylibjpeg-libjpeg"
    if not plugins:
        remedy = how_to_add(packages, otherwise="export the series uncompressed")
        raise ScanError(
            f"'{shown_name(path)}' is compressed ({kind}), and the package that unpacks it is "
            f"missing. {remedy}"
        )


@cache
def _plugins(syntax: str) -> frozenset[str]:
    from pydicom.pixels import get_decoder

    return frozenset(get_decoder(syntax).available_plugins)


def check_pieces(path: Path, file: BinaryIO, start: int, size: int) -> None:
    """Check that all pieces of the compressed pictures are there; nothing is unpacked.

    Parameters
    ----------
    path : Path
    file : BinaryIO
    start : int
        Where the first piece (the table of offsets) begins.
    size : int
        Of the file, bytes.

    Raises
    ------
    ScanError
        If the file ends before its pictures do.
    """
    at, n_pictured = start, 0
    for piece in range(_MAX_PIECES):
        file.seek(at)
        head = file.read(8)
        if len(head) == 8 and head[:4] == _END and n_pictured:
            return
        length = struct.unpack("<L", head[4:])[0] if len(head) == 8 else 0
        if head[:4] != _ITEM or at + 8 + length > size:
            break
        n_pictured += piece > 0 and length > 0
        at += 8 + length
    raise ScanError(
        f"'{shown_name(path)}' is incomplete: its compressed picture is cut off or damaged. Copy "
        "it again from the source."
    )


def decode(pictures: Sequence[Picture], name: str) -> Iterator[NDArray[Any]]:
    """Unpack slices in child processes, some at a time; yield them in order.

    Parameters
    ----------
    pictures : sequence of Picture
    name : str
        What the slices are together, for the text of an error.

    Yields
    ------
    ndarray, shape (rows, columns), of the picture's type

    Raises
    ------
    ScanError
        If one is damaged, or the decoder crashes, takes too long or too much memory.
    """
    for batch in _batches(pictures):
        n_bytes = sum(_bytes_of(item) for item in batch)
        payload = [[str(path), frame, *shape, type_] for path, frame, shape, type_ in batch]
        try:
            result = run_in_child(
                "decode-dicom",
                {"pictures": payload},
                seconds=_START_SECONDS + _SECONDS_PER_MB * n_bytes / 1e6,
                # All pictures, and a few copies of the one in work.
                memory_bytes=n_bytes + 8 * max(map(_bytes_of, batch)) + _CODEC_BYTES,
            )
        except ChildError as error:
            raise ScanError(
                f"The compressed pictures of {name} could not be unpacked. {error} Copy the files "
                "again from the source, or export the series uncompressed."
            ) from error
        for place, picture in enumerate(batch):
            yield _checked(result.arrays.get(str(place)), picture)


def _bytes_of(picture: Picture) -> int:
    _, _, (rows, columns), type_ = picture
    return rows * columns * np.dtype(type_).itemsize


def _batches(pictures: Sequence[Picture]) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for picture in pictures:
        if batch and sum(map(_bytes_of, (*batch, picture))) > _BATCH_BYTES:
            yield batch
            batch = []
        batch.append(picture)
    if batch:
        yield batch


def _checked(array: NDArray[Any] | None, picture: Picture) -> NDArray[Any]:
    path, _, shape, type_ = picture
    if array is None or array.shape != shape or array.dtype.itemsize != np.dtype(type_).itemsize:
        raise damaged(path)
    # Some decoders give back bits without their sign: the header has the last word.
    return array.astype(array.dtype.newbyteorder("=")).view(np.dtype(type_).newbyteorder("="))


def damaged(path: Path) -> ScanError:
    """Return what is said of a compressed picture that cannot be unpacked."""
    return ScanError(
        f"The compressed picture in '{shown_name(path)}' is damaged: it could not be decoded. Copy "
        "the file again from the source, or export the series uncompressed."
    )


def decode_in_child(payload: Mapping[str, Any]) -> ChildResult:
    """Unpack pictures with pydicom's plug-ins; the task ``decode-dicom`` of a child process."""
    pydicom = quiet_pydicom()
    arrays: dict[str, NDArray[Any]] = {}
    opened: tuple[str, Any] | None = None
    for place, (path, frame, *_) in enumerate(payload["pictures"]):
        try:
            # Frames of one file follow each other: it is read once.
            if opened is None or opened[0] != path:
                opened = path, once_more(partial(pydicom.dcmread, path))
            arrays[str(place)] = _decoded(opened[1], frame)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - damaged bytes raise all kinds
            if is_drive_fault(error):
                raise ScanError(drive_text(Path(path))) from None
            raise damaged(Path(path)) from None
    return ChildResult(arrays=arrays)


def _decoded(dataset: Any, frame: int) -> NDArray[Any]:  # noqa: ANN401 - untyped
    from pydicom.pixels import get_decoder

    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    array, _ = decoder.as_array(dataset, index=frame, raw=True)
    return np.asarray(array)
