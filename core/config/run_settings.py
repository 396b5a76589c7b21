"""All settings of one run, the paper's values where they are left empty, and the presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config.cutting import CubeSettings, Cut, SliceSettings
from core.config.networks import CUSTOM_CNNS
from core.config.splitting import SplitSettings
from core.config.training import TrainSettings


@dataclass(frozen=True)
class RunSettings:
    """All settings of one run."""

    slices: SliceSettings = SliceSettings()
    split: SplitSettings = SplitSettings()
    training: TrainSettings = TrainSettings()

    @property
    def epochs(self) -> int:
        """Epochs as asked, or the paper's for this network and regime (P1 Table 2)."""
        training = self.training
        if training.epochs is not None:
            return training.epochs
        return {"resnet101": 20, "cnn2d": 50, "cnn3d": 50}.get(training.network, 30)

    @property
    def learning_rate(self) -> float:
        """Initial learning rate as asked, or the paper's for this network (P1 Table 2)."""
        training = self.training
        if training.learning_rate is not None:
            return training.learning_rate
        if training.network == "vgg19":
            return 1e-4
        # Ours, for SGD: a step of Adam is as long as the rate, however small the gradient.
        is_large = training.network in CUSTOM_CNNS and training.optimiser == "sgd"
        return 1e-2 if is_large else 1e-3

    @property
    def batch(self) -> int:
        """Slices (or cubes) in one step, as asked or 32; 8 cubes, of which there are few."""
        if self.training.batch is not None:
            return self.training.batch
        return 8 if self.sees_cubes else 32

    @property
    def sees_cubes(self) -> bool:
        """Whether the network sees whole volumes as cubes, not slices."""
        return self.training.network == "cnn3d"

    @property
    def items(self) -> str:
        """What is counted, in the plural: slices, or whole scans for the 3-D CNN."""
        return f"{self.item}s"

    @property
    def item(self) -> str:
        """What the network sees at once: a slice, or a whole scan as a cube."""
        return "scan" if self.sees_cubes else "slice"

    @property
    def cut(self) -> Cut:
        """How a scan becomes what the network sees."""
        if not self.sees_cubes:
            return self.slices
        return CubeSettings(
            size=self.training.cube_size,
            side_mm=self.training.cube_mm,
            centre=self.slices.centre,
            low_percentile=self.slices.low_percentile,
            high_percentile=self.slices.high_percentile,
        )


# What the authors' tool does by default where the paper is silent (domain.md, section 2).
PAPER_PRESET: dict[str, Any] = {
    "batch": 128,
    "optimiser": "sgd",
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "shuffle": "once",
    "fc_init": "glorot",
}
PRESETS: dict[str, dict[str, Any]] = {"recommended": {}, "paper": PAPER_PRESET}
