"""Damage good files in ways that one number repeats: flipped bits, cuts, splices, pokes."""

from __future__ import annotations

import gzip
import io
import struct

import nibabel as nib
import numpy as np
from PIL import Image

from tests.core.data.dicom_builder import AXIAL, make_dataset

HEADER_BYTES = 400
# Entries at the ends of their ranges, and not-a-number, are what readers stumble over.
POKES = [
    *(struct.pack("<h", value) for value in (0, -1, 1, 7, 8, 32767, -32768, 348, 1536)),
    *(struct.pack(">h", value) for value in (1, 7, 348, -2)),
    *(struct.pack("<i", value) for value in (0, -1, 2**31 - 1, -(2**31), 540)),
    *(struct.pack(">i", value) for value in (1, 1000, 2**31 - 1)),
    *(struct.pack("<f", value) for value in (0.0, -1.0, float("nan"), float("inf"), 1e38, 1e-45)),
    *(struct.pack("<q", value) for value in (0, -1, 2**62)),
]


def good_files():
    """Return {name: {file name: bytes}}; a pair is two files, the first of which is opened."""
    values = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10) % 251
    affine = np.array([[-1, 0, 0, 4], [0, 1.5, 0, -6], [0, 0, 2, -10], [0, 0, 0, 1.0]])
    plain = nib.Nifti1Image(values, affine)
    with_note = nib.Nifti1Image(values.astype(np.float32), affine)
    with_note.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a" * 40))
    scaled = nib.Nifti1Image(values * 0.5, affine)
    scaled.set_data_dtype(np.int16)
    files = {
        "int16.nii": plain.to_bytes(),
        "float32.nii": with_note.to_bytes(),
        "scaled.nii": scaled.to_bytes(),
        "frames.nii": nib.Nifti1Image(np.stack([values] * 3, -1), affine).to_bytes(),
        "nifti2.nii": nib.Nifti2Image(values, affine).to_bytes(),
        "packed.nii.gz": gzip.compress(plain.to_bytes(), mtime=0),
        "brain.mgh": nib.MGHImage(values, affine).to_bytes(),
        "packed.mgz": gzip.compress(nib.MGHImage(values, affine).to_bytes(), mtime=0),
    }
    grey = (values[:, :, 4] % 256).astype(np.uint8)
    files |= {
        "grey.png": _picture(Image.fromarray(grey), "PNG"),
        "deep.png": _picture(Image.fromarray(grey.astype(np.uint16) * 200), "PNG"),
        "colour.png": _picture(Image.fromarray(np.stack([grey, 255 - grey, grey], -1)), "PNG"),
        "grey.jpg": _picture(Image.fromarray(grey.repeat(4, 0).repeat(4, 1)), "JPEG"),
        "grey.tif": _picture(Image.fromarray(grey), "TIFF"),
        "deep.tif": _picture(
            Image.fromarray(grey.astype(np.uint16) * 200), "TIFF", compression="tiff_lzw"
        ),
    }
    files["slice.dcm"] = _dicom(values[:, :, 4])
    return {name: {name: data} for name, data in files.items()} | {
        "analyze": _pair(nib.AnalyzeImage(values, np.diag([-1, 1.5, 2, 1.0])), "analyze"),
        "pair": _pair(nib.Nifti1Pair(values, affine), "pair"),
    }


def _dicom(pixels):
    stream = io.BytesIO()
    dataset = make_dataset(pixels)
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = list(AXIAL), [0, 0, 0]
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _picture(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _pair(image, stem):
    places = image.make_file_map()
    for place in places.values():
        place.fileobj = io.BytesIO()
    image.to_file_map(places)
    return {
        f"{stem}.hdr": places["header"].fileobj.getvalue(),
        f"{stem}.img": places["image"].fileobj.getvalue(),
    }


def mutate(files, number, *, seed=0):
    """Return (name of the good file, its files with one of them damaged, how).

    The same ``number`` and ``seed`` give the same bytes, so that a find can be kept as a number.
    """
    rng = np.random.default_rng([seed, number])
    name = sorted(files)[rng.integers(len(files))]
    members = dict(files[name])
    member = sorted(members)[rng.integers(len(members))]
    other = files[sorted(files)[rng.integers(len(files))]]
    how = ("flip", "cut", "splice", "poke")[rng.integers(4)]
    change = {"flip": _flip, "cut": _cut, "splice": _splice, "poke": _poke}[how]
    members[member] = change(bytearray(members[member]), rng, next(iter(other.values())))
    return name, members, how


def _place(data, rng):
    # Half of the hits go to the header, which is a small part of a file but decides most.
    end = min(HEADER_BYTES, len(data)) if rng.random() < 0.5 else len(data)
    return int(rng.integers(max(1, end)))


def _flip(data, rng, _other):
    for _ in range(rng.integers(1, 9)):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _cut(data, rng, _other):
    return bytes(data[: _place(data, rng)])


def _splice(data, rng, other):
    start = _place(data, rng)
    length = int(rng.integers(1, 200))
    source = _place(other, rng)
    piece = other[source : source + length]
    # Overwritten, put between, or taken out.
    replaced = (len(piece), 0, length)[rng.integers(3)]
    piece = b"" if rng.random() < 0.2 else piece
    return bytes(data[:start]) + piece + bytes(data[start + replaced :])


def _poke(data, rng, _other):
    for _ in range(rng.integers(1, 4)):
        value = POKES[rng.integers(len(POKES))]
        # Header entries lie at even places.
        start = _place(data, rng) // 2 * 2
        data[start : start + len(value)] = value
    return bytes(data)
