"""Small DICOM files for the tests of series, written by pydicom."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
)

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}
AXIAL = (1, 0, 0, 0, 1, 0)


def make_dataset(pixels, *, number=1, series="1.2.3.1", patient="P1", syntax="explicit"):
    """Make a slice of 2 x 1.5 mm pixels without a place; ``pixels`` is (rows, columns)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = f"{series}.{number}"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = f"{series}.{number}"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = series
    dataset.PatientID = patient
    dataset.InstanceNumber = number
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.SamplesPerPixel = 1
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.PixelSpacing = [2.0, 1.5]
    dataset.SliceThickness = 9.0
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == "big endian" else "<"
    content = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    return dataset


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder,
    voxels,
    *,
    directions=AXIAL,
    origin=(0.0, 0.0, 0.0),
    step_mm=3.0,
    change=lambda dataset, k: None,
    suffix=".dcm",
    **values,
):
    """Write ``voxels`` (columns, rows, slices) as files in scrambled name order; return them."""
    directions = np.array(directions, dtype=float)
    normal = np.cross(directions[:3], directions[3:])
    n_slices = voxels.shape[2]
    paths = []
    for k in range(n_slices):
        dataset = make_dataset(voxels[:, :, k].T, number=k + 1, **values)
        dataset.ImageOrientationPatient = list(directions)
        position = np.array(origin) + normal * step_mm * k
        dataset.ImagePositionPatient = [round(float(v), 6) for v in position]
        change(dataset, k)
        paths.append(save(dataset, folder / f"IM{(k * 7 + 2) % n_slices:03d}{suffix}"))
    return paths


def write_enhanced(path, voxels, *, step_mm=3.0, has_places=True):
    """Write ``voxels`` (columns, rows, slices) as the frames of one file."""
    dataset = make_dataset(np.moveaxis(voxels, 2, 0).swapaxes(1, 2))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = voxels.shape[2]
    del dataset.PixelSpacing
    if has_places:
        shared, measures, orientation = Dataset(), Dataset(), Dataset()
        measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 9.0
        orientation.ImageOrientationPatient = list(AXIAL)
        shared.PixelMeasuresSequence = Sequence([measures])
        shared.PlaneOrientationSequence = Sequence([orientation])
        dataset.SharedFunctionalGroupsSequence = Sequence([shared])
        frames = []
        for k in range(voxels.shape[2]):
            frame, place, scaling = Dataset(), Dataset(), Dataset()
            place.ImagePositionPatient = [0.0, 0.0, step_mm * k]
            frame.PlanePositionSequence = Sequence([place])
            scaling.RescaleSlope, scaling.RescaleIntercept = k + 1, 0
            frame.PixelValueTransformationSequence = Sequence([scaling])
            frames.append(frame)
        dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return save(dataset, path)
