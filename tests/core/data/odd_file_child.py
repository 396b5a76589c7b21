"""Load files one after the other in a process of its own, which may be killed or run dry.

Reads from stdin a JSON list of [kind, path written in hex]; writes one JSON line before and one
after each file, so that a crash or a hang is known by the file that came before it. For each kind
``LOADERS`` has the function that the program itself would call.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.dicom import load_series
from core.data.findings import code_of
from core.data.picture import load_picture
from core.data.volume import load_volume, read_header
from core.errors import MriFclError

_LIMIT_ABOVE_START = 1536 * 1024**2


@dataclass(frozen=True)
class Loaded:
    """What a loader made of a file: its warnings, its voxels' hash and their bytes."""

    warnings: Iterable[str]
    sha256: str = ""
    decoded_bytes: int = 0


def load_any_volume(path: Path) -> Loaded:
    volume = load_volume(path)
    assert np.isfinite(volume.voxels).all()
    assert np.isfinite(volume.affine).all()
    header = read_header(path)
    assert set(header.warnings) <= set(volume.warnings)
    digest = hashlib.sha256(volume.voxels.tobytes() + repr(volume.voxels.shape).encode())
    return Loaded(volume.warnings, digest.hexdigest(), volume.voxels.nbytes)


def load_any_series(path: Path) -> Loaded:
    volume = load_series([path] if path.is_file() else sorted(path.iterdir()))
    assert np.isfinite(volume.voxels).all()
    assert np.isfinite(volume.affine).all()
    digest = hashlib.sha256(volume.voxels.tobytes() + repr(volume.voxels.shape).encode())
    return Loaded(volume.warnings, digest.hexdigest(), volume.voxels.nbytes)


def load_any_picture(path: Path) -> Loaded:
    picture = load_picture(path)
    assert picture.grey.dtype == np.uint8
    return Loaded(
        picture.findings, hashlib.sha256(picture.grey.tobytes()).hexdigest(), picture.grey.nbytes
    )


LOADERS: dict[str, Callable[[Path], Loaded]] = {
    "nifti": load_any_volume,
    "analyze": load_any_volume,
    "archive": load_any_volume,
    "dicom": load_any_series,
    "name": load_any_volume,
    "image": load_any_picture,
}


def memory_bytes(field: str) -> int:
    """Return VmRSS, VmHWM or VmSize of this process; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(rf"{field}:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    top = memory_bytes("VmSize") + _LIMIT_ABOVE_START
    resource.setrlimit(resource.RLIMIT_AS, (top, top))


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def try_file(kind: str, path: Path) -> dict[str, object]:
    """Load one file and return what came of it as plain JSON values."""
    _forget_peak()
    before, start = memory_bytes("VmRSS"), time.monotonic()
    result: dict[str, object] = {"outcome": "crash", "text": "", "codes": [], "decoded": 0}
    try:
        loaded = LOADERS[kind](path)
    except MriFclError as error:
        result |= {"outcome": "error", "text": str(error)}
    except BaseException as error:  # noqa: BLE001 - whatever else comes out is the finding
        result |= {"text": f"{type(error).__name__}: {error}"}
    else:
        result |= {
            "outcome": "load",
            "codes": [code_of(item) for item in loaded.warnings],
            "text": " ".join(loaded.warnings),
            "sha256": loaded.sha256,
            "decoded": loaded.decoded_bytes,
        }
    result["seconds"] = time.monotonic() - start
    result["memory"] = max(0, memory_bytes("VmHWM") - before)
    return result


def _say(record: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def main() -> None:
    jobs = json.load(sys.stdin)
    import nibabel  # noqa: F401 - its own start is no part of a file's time

    _limit_memory()
    for number, (kind, path) in enumerate(jobs):
        _say({"begins": number})
        result = try_file(kind, Path(os.fsdecode(bytes.fromhex(path))))
        _say({"number": number, **result})


if __name__ == "__main__":
    main()
