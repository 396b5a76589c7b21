"""How fast are 30 slices cut from a 256^3 scan, beside the plain way of nibabel and SciPy?

Run ``python -m benchmarks.slicing``; ``--help`` lists the options. The plain way reads the
scan with ``get_fdata`` and shrinks the 30 slices to 224 x 224 in one ``scipy.ndimage.zoom``;
ours also finds the brain, the window and the grey levels. Both run in this process, turn and
turn about; the best of several is compared, since other work only ever slows a run down.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from core.config import SliceSettings
from core.data.cohort import Cohort, Scan
from core.data.slices import slices_of_scan

SIDE = 256
AIMS = {"scan.nii": 10.0, "pair.img": 10.0, "scan.nii.gz": 6.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="Keep the scans here.")
    parser.add_argument("--plane", default="axial", choices=["axial", "coronal", "sagittal"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        write_scans(folder)
        print(
            f"256^3 int16 to 30 {arguments.plane} slices of 224 x 224, best of {arguments.repeats}"
        )
        for name, aim in AIMS.items():
            compare(folder / name, aim, arguments.plane, arguments.repeats)


def compare(path: Path, aim: float, plane: str, repeats: int) -> None:
    settings = SliceSettings(plane=plane)
    header = path.with_suffix(".hdr") if path.suffix == ".img" else path
    scan = Scan("scan", "scan", "", "AD", "volume", (header.name,))
    cohort = Cohort(path.parent, ("AD",), (scan,))
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    plain, ours = [], []
    for _ in range(repeats):
        plain.append(seconds(lambda: cut_plainly(path, axis)))
        ours.append(seconds(lambda: slices_of_scan(cohort, scan, settings)))
    ratio = min(plain) / min(ours)
    print(
        f"{path.name:12s} {path.stat().st_size / 1e6:5.1f} MB   plain {1e3 * min(plain):6.0f} ms   "
        f"ours {1e3 * min(ours):5.0f} ms   {ratio:5.1f} times (aim {aim:.0f})"
    )


def seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cut_plainly(path: Path, axis: int) -> np.ndarray:
    voxels = nib.load(path).get_fdata()
    first = (SIDE - 30) // 2
    slices = np.take(voxels, range(first, first + 30), axis=axis)
    factors = [224 / SIDE] * 3
    factors[axis] = 1.0
    return ndimage.zoom(slices, factors)


def write_scans(folder: Path) -> None:
    """Write a head-like ball in weak noise: compresses to two fifths, as a whole head does."""
    rng = np.random.default_rng(0)
    axes = (np.arange(SIDE, dtype=np.float32) - SIDE / 2) ** 2
    radius = np.sqrt(axes[:, None, None] + axes[:, None] + axes)
    tissue = 600 + 100 * np.sin(radius / 5) + rng.normal(0, 30, radius.shape)
    air = np.abs(rng.normal(0, 8, radius.shape))
    voxels = np.where(radius < 90, tissue, air).astype(np.int16)
    affine = np.diag([-1.0, 1, 1, 1])
    folder.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), folder / "scan.nii")
    nib.save(nib.Nifti1Image(voxels, affine), folder / "scan.nii.gz")
    nib.save(nib.Nifti1Pair(voxels, affine), folder / "pair.img")


if __name__ == "__main__":
    main()
