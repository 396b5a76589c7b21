"""The only door to torchvision: makes its import work beside any build of torch.

torchvision's wheel is linked to CUDA. Beside a CPU build of torch its extension cannot
load, and then the import fails with "operator torchvision::nms does not exist", because
it registers two operators without looking whether they are defined. Its networks need
neither. Where the extension loads, nothing is done here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

# WORKAROUND: https://github.com/pytorch/vision/issues/8985, torchvision 0.28.0 on CPU torch 2.13.0.
# The library object must stay alive: its definitions vanish with it.
_definitions: torch.library.Library | None = None


def _extension_loads() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return False
    for path in sorted(Path(found.origin).parent.glob("_C*")):
        try:
            torch.ops.load_library(str(path))  # type: ignore[no-untyped-call]
        except (OSError, ImportError):
            continue
        return True
    return False


if not _extension_loads():
    _definitions = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _operator in ("nms", "qnms"):
        _schema = f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        _definitions.define(_schema)  # type: ignore[no-untyped-call]

import torchvision  # noqa: E402 - only after the definitions above
from torchvision import models  # noqa: E402

__all__ = ["models", "torchvision"]
