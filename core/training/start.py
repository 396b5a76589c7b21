"""What a network starts from, and what the record of a run says about it."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import core
from core.config import NETWORK_TITLES, REGIME_TITLES, RunSettings, TrainSettings
from core.data.cohort import Cohort
from core.data.slices import SliceSet
from core.data.split import Split, split_name
from core.errors import TrainingError
from core.run_folder import is_run, read_record, recorded_sums
from core.training import pretrained
from core.training.devices import describe_device
from core.training.engine import Engine
from core.training.network import FCL_NAMES, fcl_of
from core.training.regime import apply_regime
from core.training.torchvision_gateway import torchvision


@dataclass(frozen=True)
class Start:
    """What a network starts from: weights of a file, or random ones where there is none."""

    weights: dict[str, Tensor] | None = None
    transform_input: bool = False
    name: str = ""
    sha256: str = ""

    def record(self) -> dict[str, str] | None:
        """Return what ``run.json`` says of it: never where the file lay."""
        if self.weights is None:
            return None
        return {"name": self.name, "sha256": self.sha256}


def read_start(settings: TrainSettings) -> Start:
    """Return what the regime starts from; GoogLeNet rescales its input for ImageNet weights.

    Raises
    ------
    TrainingError
        If the weights are missing or refused.
    """
    if settings.regime == "scratch":
        return Start()
    path = pretrained.find_weights(settings.network, settings.weights)
    is_own = path.name == "network.safetensors"
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if is_own and is_run(path.parent):
        sums = recorded_sums(read_record(path.parent), path.name)
        if sums and sha256 not in sums:
            raise TrainingError(
                f"'{path.name}' of run '{path.parent.name}' is damaged. Resume that run to write "
                "it again, or choose other weights."
            )
    return Start(
        weights=pretrained.load_weights(path),
        transform_input=settings.network == "googlenet"
        and pretrained.from_imagenet(settings.weights),
        name=path.parent.name if is_own else path.name,
        sha256=sha256,
    )


def without_place(settings: RunSettings, start: Start) -> RunSettings:
    """Return the settings to store: weights and split file by name, without their folders."""
    weights = start.name if settings.training.weights else ""
    return replace(
        settings,
        training=replace(settings.training, weights=weights),
        split=replace(settings.split, split_file=Path(settings.split.split_file).name),
    )


def run_record(
    cohort: Cohort, settings: RunSettings, network: nn.Module, engine: Engine
) -> dict[str, Any]:
    """Return what ``run.json`` says of cohort, network and devices."""
    learning = apply_regime(network, settings.training)
    name = settings.training.network
    device = describe_device(engine.device)
    return {
        "title": f"{NETWORK_TITLES[name]}, {REGIME_TITLES[settings.training.regime].lower()}",
        "classes": cohort.classes,
        "simulated": cohort.simulated,
        "split_mode": split_name(settings.split),
        "epochs": settings.epochs,
        "epochs_done": 0,
        "learning_rate": settings.learning_rate,
        "batch": settings.batch,
        "fcl": FCL_NAMES[name],
        "fcl_inputs": fcl_of(network, name).in_features,
        "device": f"{engine.count} x {device}" if engine.count > 1 else device,
        "deterministic": engine.is_deterministic,
        "tf32": engine.uses_tf32,
        "parameters": {
            "all": sum(p.numel() for p in network.parameters()),
            "learning": sum(p.numel() for p in learning),
        },
        "versions": {
            "mri-fcl": core.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": np.__version__,
        },
    }


def cohort_record(cohort: Cohort, cohort_folder: Path, run_folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` says to find the cohort again: no path outside but relative."""
    return {
        "id": cohort.identity,
        "name": cohort_folder.name,
        "folder": _relative_folder(cohort_folder, run_folder),
        "scans": {scan.key: scan.sha256 for scan in cohort.included_scans},
    }


def split_rows(slices: SliceSet, split: Split) -> list[tuple[Any, ...]]:
    """Return the rows of ``split.csv``."""
    return [
        (
            slices.subject[i],
            slices.session[i],
            slices.scan[i],
            int(slices.number[i]),
            slices.classes[split.label[i]],
            split.part[i],
        )
        for i in range(len(slices))
    ]


def _relative_folder(cohort_folder: Path, run_folder: Path) -> str:
    """Return the cohort's folder as seen from the run, so that both can move together."""
    try:
        return Path(os.path.relpath(cohort_folder.resolve(), run_folder.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return cohort_folder.resolve().as_posix()
