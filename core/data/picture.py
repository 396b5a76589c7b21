"""Read ready-made slices: JPEG, PNG and TIFF pictures as grey levels."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.drive import open_watched, retried
from core.data.file_kind import (
    ARCHIVE_SUFFIXES,
    first_bytes,
    name_findings,
    no_scan_text,
    permission_text,
    require_regular_file,
    shown_name,
)
from core.data.findings import Finding
from core.errors import ScanError

logger = logging.getLogger(__name__)

# Pillow notes each entry of a TIFF, such as the artist's name, and warns with whole paths.
logging.getLogger("PIL").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module=r"PIL\b")

# The named formats alone: each further decoder is a further way in for bad files.
_FORMATS = ("JPEG", "PNG", "TIFF")
_WANTED = "JPEG, PNG or TIFF picture"
_MAX_PIXELS = 64_000_000
# What the EXIF entry asks for, by its value (EXIF 2.3, 4.6.4); 1 is upright.
_ORIENTATION_TAG = 0x0112
_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda grey: grey[:, ::-1],
    3: lambda grey: grey[::-1, ::-1],
    4: lambda grey: grey[::-1],
    5: lambda grey: grey.T,
    6: lambda grey: grey[::-1].T,
    7: lambda grey: grey[::-1, ::-1].T,
    8: lambda grey: grey[:, ::-1].T,
}
# Those that exchange width and height.
_ON_THEIR_SIDE = (5, 6, 7, 8)
_SEE_THROUGH_MODES = ("LA", "PA", "RGBA")
_COLOUR_MODES = ("RGB", "RGBA", "RGBX", "P", "PA", "YCbCr", "LAB", "HSV")
# JPEG shifts the channels of a grey picture by a few levels; colour shifts them by more.
_COLOUR_LEVELS, _COLOUR_SHARE = 16, 0.005
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_MARKS = (b"\xff\xd8", _PNG_MARK[:4], b"II*\0", b"MM\0*")
_BLOCK_BYTES = 1 << 20
# What deflate can reach at most (zlib's technical notes); the other packings reach less on
# pictures of a million pixels.
_MOST_PACKED, _ALWAYS_BEARABLE_BYTES = 1032, 1 << 20


@dataclass(frozen=True)
class Picture:
    """A ready-made slice.

    Attributes
    ----------
    grey : ndarray, shape (height, width), uint8
        Upright, as the EXIF data say; see-through pixels are black.
    findings : tuple of Finding
    """

    grey: NDArray[np.uint8]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class PictureHeader:
    """What a ready-made slice says before it is decoded.

    Attributes
    ----------
    shape : tuple of int
        (height, width), upright as the EXIF data say.
    datatype : str
        ``uint8`` or ``uint16``, as stored.
    has_channels : bool
        Whether it is stored in colour; its pixels may be grey for all that.
    findings : tuple of Finding
    """

    shape: tuple[int, int]
    datatype: str
    has_channels: bool
    findings: tuple[Finding, ...] = ()


@retried
def load_picture(path: Path, *, white: float = 0.0) -> Picture:
    """Read a ready-made slice and say what is doubtful about it.

    Parameters
    ----------
    path : Path
    white : float
        The level of a picture of 16 bits that becomes 255; 0 takes its own brightest. Slices of
        one scan are read with the brightest of all of them (:func:`brightest_level`), so that
        equal levels stay equal. Not with the type's 65535: scanners fill 12 of 16 bits, of which
        16 grey levels would be left.

    Raises
    ------
    ScanError
        If it cannot be decoded to its end.
    """
    with _opened_picture(path) as opened:
        if opened.format == "PNG":
            _check_png(path)
        exif_turn = _exif_turn(opened.getexif())
        findings = [*name_findings(path.name), *_header_findings(opened, exif_turn)]
        # Pillow turns a TIFF while it decodes it.
        turn = None if opened.format == "TIFF" else _TURNS.get(exif_turn)
        opened.load()
        grey, is_coloured = _grey(opened, path, white)
    if is_coloured:
        findings.append(Finding("Colours were turned into grey.", "colour"))
    if turn is not None:
        grey = np.ascontiguousarray(turn(grey))
    return Picture(grey, (*findings, *_contrast_findings(grey)))


def read_picture(path: Path, *, white: float = 0.0) -> NDArray[np.uint8]:
    """Read a ready-made slice as grey levels, shape (height, width), uint8.

    ``white`` is that of :func:`load_picture`.

    Raises
    ------
    ScanError
        If it cannot be decoded to its end.
    """
    return load_picture(path, white=white).grey


@retried
def brightest_level(path: Path) -> float:
    """Return the brightest level of a picture of 16 bits; 0 for others, which are not decoded.

    Raises
    ------
    ScanError
        If it cannot be decoded to its end.
    """
    with _opened_picture(path) as picture:
        if not _is_deep(picture):
            return 0.0
        picture.load()
        return _brightest(picture)


@retried
def read_picture_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of a ready-made slice, as stored, without decoding it.

    Raises
    ------
    ScanError
        If it is no picture or larger than any slice.
    """
    with _opened_picture(path) as picture:
        return picture.height, picture.width


@retried
def read_picture_header(path: Path) -> PictureHeader:
    """Read what a ready-made slice says without decoding it.

    Raises
    ------
    ScanError
        If it is no picture or larger than any slice.
    """
    with _opened_picture(path) as picture:
        # Not a PNG's own getexif: that decodes the pixels for data that may stand behind them.
        exif_turn = _exif_turn(Image.Image.getexif(picture))
        height, width = picture.height, picture.width
        return PictureHeader(
            shape=(width, height) if _is_to_be_laid(picture, exif_turn) else (height, width),
            datatype="uint16" if picture.mode.startswith("I") else "uint8",
            has_channels=picture.mode in (*_COLOUR_MODES, "CMYK"),
            findings=(
                *name_findings(path.name),
                *_header_findings(picture, exif_turn),
                *_storage_findings(picture),
            ),
        )


def _is_to_be_laid(picture: Image.Image, exif_turn: int) -> bool:
    """Tell whether width and height have still to be exchanged; Pillow does so for a TIFF."""
    return exif_turn in _ON_THEIR_SIDE and picture.format != "TIFF"


def _exif_turn(exif: Image.Exif) -> int:
    value = exif.get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) else 1


def _header_findings(picture: Image.Image, exif_turn: int) -> Iterator[Finding]:
    if exif_turn in _TURNS:
        yield Finding("The picture's EXIF data turn it; it is shown as they say.", "exif_rotation")
    n_frames = int(getattr(picture, "n_frames", 1))
    if n_frames > 1:
        yield Finding(f"The file holds {n_frames} pictures; the first is used.", "frame_used")


def _storage_findings(picture: Image.Image) -> Iterator[Finding]:
    """Say what becomes of a picture that is stored in another way than as 8 bits of grey."""
    if _is_deep(picture):
        yield Finding(
            "Its grey levels of 16 bits were scaled to 8 bits, the brightest of the scan to white.",
            "depth_scaled",
        )
    if picture.mode in ("P", "PA"):
        yield Finding("Its colours come from a palette; their brightness is used.", "palette")
    if picture.mode in _SEE_THROUGH_MODES or "transparency" in picture.info:
        yield Finding("It has see-through parts; they are shown black.", "transparency")


@contextmanager
def _opened_picture(path: Path) -> Iterator[Image.Image]:
    require_regular_file(path)
    name = shown_name(path)
    if path.name.lower().endswith(ARCHIVE_SUFFIXES):
        raise ScanError(no_scan_text(path, _WANTED))
    try:
        with open_watched(path) as file, Image.open(file, formats=_FORMATS) as picture:
            if picture.width * picture.height > _MAX_PIXELS:
                raise Image.DecompressionBombError
            if max(picture.size) < 2:
                raise ScanError(f"'{name}' is too small: one pixel. Choose a picture of a slice.")
            _check_extent(path, picture)
            yield picture
    except ScanError:
        raise
    except PermissionError as error:
        raise ScanError(permission_text(path)) from error
    except Image.DecompressionBombError as error:
        raise ScanError(
            f"'{name}' is too large: more than 64 megapixels, far more than a slice has. "
            "Export it smaller."
        ) from error
    except Exception as error:  # decoders raise all kinds on damaged bytes
        logger.info("a picture was refused: %s", type(error).__name__)
        raise ScanError(_fault_text(path)) from error


def _fault_text(path: Path) -> str:
    name = shown_name(path)
    if first_bytes(path).startswith(_MARKS):
        return (
            f"'{name}' is damaged: its checksum does not match, its size is impossible or its end "
            "is missing. Copy it again from the source."
        )
    return no_scan_text(path, _WANTED)


def _check_extent(path: Path, picture: Image.Image) -> None:
    """Check that the file can fill the picture; Pillow leaves what is missing of a TIFF black."""
    parts = [tile[1] for tile in getattr(picture, "tile", ()) if tile[1]]
    right, bottom = (max((part[side] for part in parts), default=0) for side in (2, 3))
    n_bytes = picture.width * picture.height // 8
    on_disk = path.stat().st_size
    width, height = picture.size
    if picture.format == "TIFF" and _exif_turn(picture.getexif()) in _ON_THEIR_SIDE:
        # Pillow gives the upright size of a TIFF, and its strips as they are stored.
        width, height = height, width
    if right < width or bottom < height:
        raise ValueError("strips are missing")
    if n_bytes > max(_ALWAYS_BEARABLE_BYTES, on_disk * _MOST_PACKED):
        raise ValueError("the size is a lie")


def _check_png(path: Path) -> None:
    """Compare the checksum of every chunk to the last one: decoders stop at the last pixel."""
    with path.open("rb") as file:
        file.seek(len(_PNG_MARK))
        kind = b""
        while kind != b"IEND":
            length, kind = int.from_bytes(file.read(4), "big"), file.read(4)
            checksum = zlib.crc32(kind)
            while length > 0 and (data := file.read(min(length, _BLOCK_BYTES))):
                checksum = zlib.crc32(data, checksum)
                length -= len(data)
            if file.read(4) != checksum.to_bytes(4, "big"):
                raise ValueError("a chunk of the PNG is damaged or cut")


def _is_deep(picture: Image.Image) -> bool:
    return picture.mode.startswith("I")


def _grey(picture: Image.Image, path: Path, white: float) -> tuple[NDArray[np.uint8], bool]:
    """Return the grey levels and whether the picture was in colour, some rows at a time."""
    if picture.mode == "F":
        # No level is sure to be black or white, and slices of one scan must stay alike.
        raise ScanError(
            f"'{shown_name(path)}' stores decimal numbers, no grey levels. Save it with 8 or 16 "
            "bits."
        )
    # Pictures of 16 bits are scaled; Pillow's own conversion would clip them.
    is_deep = _is_deep(picture)
    top = (white or _brightest(picture)) if is_deep else 255.0
    grey = np.empty((picture.height, picture.width), dtype=np.uint8)
    n_coloured = 0
    for rows, strip in _strips(picture):
        if is_deep:
            values = np.maximum(np.asarray(strip, dtype=np.float32), 0)
            grey[rows] = np.minimum(values * np.float32(255.0 / top), 255).round()
            continue
        grey[rows] = _grey_strip(strip, picture)
        if picture.mode in _COLOUR_MODES:
            channels = np.asarray(strip.convert("RGB"), dtype=np.uint8)
            differs = channels.max(axis=2) - channels.min(axis=2) > _COLOUR_LEVELS
            n_coloured += int(np.count_nonzero(differs))
    # A picture for print is converted, however grey it looks.
    return grey, picture.mode == "CMYK" or n_coloured > _COLOUR_SHARE * grey.size


def _grey_strip(strip: Image.Image, picture: Image.Image) -> NDArray[np.uint8]:
    grey = np.asarray(strip.convert("L"), dtype=np.uint8)
    if picture.mode in _SEE_THROUGH_MODES or "transparency" in picture.info:
        alpha = np.asarray(strip.convert("RGBA").getchannel("A"), dtype=np.uint16)
        return ((grey * alpha + 127) // 255).astype(np.uint8)
    return grey


def _brightest(picture: Image.Image) -> float:
    # Pillow's own getextrema knows no pictures of 16 bits with the high byte first.
    return max(1.0, *(float(np.asarray(strip).max()) for _, strip in _strips(picture)))


def _strips(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    for rows in _row_blocks(picture.height, picture.width):
        yield rows, picture.crop((0, rows.start, picture.width, rows.stop))


def _row_blocks(height: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // width)
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def _contrast_findings(grey: NDArray[np.uint8]) -> tuple[Finding, ...]:
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return (Finding(f"Every pixel has the same grey level ({low}).", "constant"),)
    blocks = (grey[rows] for rows in _row_blocks(*grey.shape))
    if all(np.all((block == low) | (block == high)) for block in blocks):
        text = "Holds two grey levels only: it looks like a mask, no scan."
        return (Finding(text, "looks_like_mask"),)
    return ()
