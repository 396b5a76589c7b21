"""Time scan_folder against a bare loop of nibabel header reads on the same generated files.

Run ``python -m benchmarks.scanning``; ``--help`` lists the options. Processor seconds are
compared, as those of the clock tell mainly what else the computer does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from core.data.cohort import Cohort
from core.data.scan_folder import scan_folder
from core.progress import run_to_end


def make_files(root: Path, *, count: int, size: int, suffix: str) -> None:
    """Write ``count`` noise volumes of ``size`` voxels a side into two class folders."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = root / ("AD", "NC")[number % 2] / f"sub-{number:04d}_T1w{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        voxels = rng.integers(0, 255, (size, size + 8, size - 8)).astype(np.int16)
        nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 1.25, 1])), path)


def read_headers(root: Path) -> int:
    """Read the header of every file as a script would; return how many."""
    count = 0
    for path in sorted(root.rglob("*.nii*")):
        image = nib.load(path)
        _ = image.shape, image.header.get_zooms(), nib.aff2axcodes(image.affine)
        count += 1
    return count


def scan(root: Path) -> Cohort:
    """Scan as the program does: headers checked, bytes hashed, middle planes compared."""
    return run_to_end(scan_folder(root))


def best_seconds(work: Callable[[Path], object], root: Path, repeats: int) -> float:
    """Return the shortest of several runs, processor seconds; a first one fills the disk cache."""
    work(root)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work(root)
        times.append(time.process_time() - start)
    return min(times)


def main() -> int:
    """Print files per second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--size", type=int, default=32, help="voxels along an axis")
    parser.add_argument("--suffix", default=".nii.gz", choices=(".nii", ".nii.gz"))
    parser.add_argument("--repeats", type=int, default=3)
    values = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_files(root, count=values.count, size=values.size, suffix=values.suffix)
        n_bytes = sum(path.stat().st_size for path in root.rglob("*.nii*"))
        headers = values.count / best_seconds(read_headers, root, values.repeats)
        scanning = values.count / best_seconds(scan, root, values.repeats)
    sys.stdout.write(
        f"{values.count} files ({values.suffix}, {n_bytes / 1e6:.1f} MB)\n"
        f"bare header loop  {headers:8.0f} files/s of processor time\n"
        f"scan_folder       {scanning:8.0f} files/s of processor time\n"
        f"ratio             {scanning / headers:8.2f}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
