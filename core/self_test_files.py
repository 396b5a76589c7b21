"""One small file of each format, made on the spot from a simulated brain, and read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data import phantom_brain
from core.data.dicom import load_series
from core.data.dicom_codecs import COMPRESSED
from core.data.picture import load_picture
from core.data.volume import load_volume
from core.errors import ScanError

# Every fourth voxel of the simulated brain: enough to be a scan, quick to write and to read.
_STEP = 4
_SPACING_MM = _STEP * phantom_brain.SPACING_MM
# One of each family, all of which keep every grey level.
_PACKED = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90")
# JPEG changes grey levels by a few.
_JPEG_TOLERANCE = 12


@dataclass(frozen=True)
class FormatCheck:
    """A format that the program reads.

    Attributes
    ----------
    name : str
        What people call it.
    try_it : callable
        Given an empty folder, writes a file, reads it, and says what is wrong; "" if nothing.
    needs_dicom : bool
        Whether the extra ``dicom`` has to be installed.
    """

    name: str
    try_it: Callable[[Path], str]
    needs_dicom: bool = False


def format_checks() -> list[FormatCheck]:
    """Return a check for each format."""
    volumes = [
        ("NIfTI-1 (.nii)", "Nifti1Image", "scan.nii", "scan.nii"),
        ("NIfTI-1, packed (.nii.gz)", "Nifti1Image", "scan.nii.gz", "scan.nii.gz"),
        ("NIfTI-2 (.nii)", "Nifti2Image", "scan.nii", "scan.nii"),
        ("NIfTI-1, a pair (.hdr, .img)", "Nifti1Pair", "scan.img", "scan.hdr"),
        ("Analyze 7.5 (.hdr, .img)", "AnalyzeImage", "scan.img", "scan.hdr"),
        ("FreeSurfer (.mgh)", "MGHImage", "scan.mgh", "scan.mgh"),
        ("FreeSurfer, packed (.mgz)", "MGHImage", "scan.mgz", "scan.mgz"),
    ]
    checks = [FormatCheck(name, _volume_check(*rest)) for name, *rest in volumes]
    checks.append(FormatCheck("DICOM", _dicom_check(""), needs_dicom=True))
    checks += [
        FormatCheck(f"DICOM, {COMPRESSED[syntax]}", _dicom_check(syntax), needs_dicom=True)
        for syntax in _PACKED
    ]
    checks += [
        FormatCheck(f"{kind} pictures", _picture_check(f"slice.{suffix}", tolerance))
        for kind, suffix, tolerance in (
            ("PNG", "png", 0),
            ("JPEG", "jpg", _JPEG_TOLERANCE),
            ("TIFF", "tif", 0),
        )
    ]
    return checks


def write_cohort(folder: Path, *, subjects_per_class: int = 4) -> Path:
    """Write class folders of small simulated scans; return ``folder``."""
    rng = np.random.default_rng(0)
    nibabel = _nibabel()
    for number in range(2 * subjects_per_class):
        label = ("AD", "NC")[number % 2]
        voxels = small_brain(label, _STEP // 2)
        # One brain of each class, scanned again and again: quick, and no two files are alike.
        noisy = voxels + (voxels > 0) * rng.integers(0, 60, voxels.shape)
        place = folder / label
        place.mkdir(parents=True, exist_ok=True)
        image = nibabel.Nifti1Image(noisy.astype(np.int16), np.diag([3.5, 3.5, 3.5, 1]))
        nibabel.save(image, place / f"sub-{number + 1:02d}.nii.gz")
    return folder


@cache
def small_brain(label: str, step: int) -> NDArray[np.int16]:
    """Return every ``step``-th voxel of a simulated brain, in RAS+."""
    voxels, _ = phantom_brain.simulate_subject(1, label)
    return np.ascontiguousarray(voxels[::step, ::step, ::step])


def _nibabel() -> Any:  # noqa: ANN401 - untyped
    import nibabel

    return nibabel


def _brain() -> NDArray[np.int16]:
    return small_brain("NC", _STEP)


def _volume_check(kind: str, written: str, read: str) -> Callable[[Path], str]:
    def try_it(folder: Path) -> str:
        nibabel = _nibabel()
        affine = np.diag([_SPACING_MM, _SPACING_MM, _SPACING_MM, 1.0])
        nibabel.save(getattr(nibabel, kind)(_brain(), affine), folder / written)
        return _difference(load_volume(folder / read).voxels, either_side=kind == "AnalyzeImage")

    return try_it


def _dicom_check(syntax: str) -> Callable[[Path], str]:
    def try_it(folder: Path) -> str:
        voxels = _brain()
        paths = []
        for k in range(voxels.shape[2]):
            paths.append(folder / f"IM{k:04d}.dcm")
            _write_dicom(paths[-1], voxels[:, :, k], k, syntax)
        return _difference(load_series(paths).voxels)

    return try_it


def _write_dicom(path: Path, plane: NDArray[np.int16], k: int, syntax: str) -> None:
    """Write one axial slice of RAS+ voxels."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    # DICOM's axes run to the left and to the back.
    pixels = np.ascontiguousarray(plane[::-1, ::-1].T, dtype="<i2")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax or ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = f"1.2.3.4.{k + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.PatientID, dataset.InstanceNumber = "SIMULATED", k + 1
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel = "MONOCHROME2", 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelSpacing, dataset.SliceThickness = [_SPACING_MM] * 2, _SPACING_MM
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, k * _SPACING_MM]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    content = pixels.tobytes()
    dataset.PixelData = encapsulate([_packed(pixels, syntax)]) if syntax else content
    dataset["PixelData"].VR = "OB" if syntax else "OW"
    dataset["PixelData"].is_undefined_length = bool(syntax)
    dataset.save_as(path, enforce_file_format=True)


def _packed(pixels: NDArray[np.int16], syntax: str) -> bytes:
    """Pack a slice with GDCM's codec, in memory: its way to files knows no Unicode on Windows."""
    import gdcm

    writer = gdcm.ImageWriter()  # keeps the image alive
    image = writer.GetImage()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((pixels.shape[1], pixels.shape[0], 1))
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ImplicitVRLittleEndian))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 16, 15, 1))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(pixels.tobytes())
    image.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(image)
    if not change.Change():
        raise ScanError(f"GDCM could not pack a slice as {COMPRESSED[syntax]}. Install it again.")
    pieces = change.GetOutput().GetDataElement().GetSequenceOfFragments()
    text = pieces.GetFragment(0).GetByteValue().GetBuffer()
    return bytes(text.encode("utf-8", "surrogateescape"))


def _picture_check(name: str, tolerance: int) -> Callable[[Path], str]:
    def try_it(folder: Path) -> str:
        plane = _brain()[:, :, _brain().shape[2] // 2].T[::-1].astype(np.float64)
        grey = np.rint(255 * plane / plane.max()).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / name, quality=95)
        read = load_picture(folder / name).grey
        if read.shape != grey.shape:
            return f"it has {read.shape} pixels instead of {grey.shape}"
        most = int(np.abs(read.astype(int) - grey.astype(int)).max())
        return f"its grey levels are up to {most} off" if most > tolerance else ""

    return try_it


def _difference(read: NDArray[np.float32], *, either_side: bool = False) -> str:
    """Say how voxels that were read differ from those written; "" if they do not."""
    brain = _brain()
    if read.shape != brain.shape:
        return f"it has {read.shape} voxels instead of {brain.shape}"
    if np.array_equal(read, brain) or (either_side and np.array_equal(read[::-1], brain)):
        return ""
    return "its voxels are not those that were written"
