"""What a probe of the precisions found; loads no torch, so that a window may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.config import NETWORK_TITLES, RunSettings

PRECISION_TITLES = {"32": "32 bit", "bf16": "bf16", "16": "16 bit"}
# Two steps tell no more: a smaller gain may be chance, and is not worth other numbers.
LEAST_GAIN = 1.05


@dataclass(frozen=True)
class ProbeResult:
    """How fast a network learns in each precision.

    Attributes
    ----------
    settings : RunSettings
        What was measured; other settings need another probe.
    device : str
        In words.
    rates : Mapping
        Images per second by precision ("32", "bf16", "16"); one that the device cannot
        do is missing.
    """

    settings: RunSettings
    device: str
    rates: Mapping[str, float]

    @property
    def best(self) -> str:
        """The fastest precision; "32" where no other one gains enough."""
        others = {name: rate for name, rate in self.rates.items() if name != "32"}
        fastest = max(others, key=lambda name: others[name], default="32")
        return fastest if self.is_faster(fastest) else "32"

    def is_faster(self, precision: str) -> bool:
        """Tell whether ``precision`` is measurably faster than 32 bit."""
        return precision != "32" and self.rates.get(precision, 0.0) >= (
            LEAST_GAIN * self.rates["32"]
        )

    def sentence(self) -> str:
        """Return the rates, and what to do, in one line."""
        said = ", ".join(
            f"{PRECISION_TITLES[name]} {_rate_text(rate)} images/s"
            for name, rate in self.rates.items()
        )
        if self.best == "32":
            return f"{said}: keep 32 bit."
        return f"{said}: {PRECISION_TITLES[self.best]} is faster, but keep 32 bit to publish."

    def where(self) -> str:
        """Return on what it was measured."""
        network = NETWORK_TITLES[self.settings.training.network]
        return f"{network}, batch {self.settings.batch}, {self.device}"

    def holds_for(self, settings: RunSettings) -> bool:
        """Tell whether runs with ``settings`` do the same steps as were measured."""
        return probed_values(settings) == probed_values(self.settings)


def probed_values(settings: RunSettings) -> tuple[object, ...]:
    """Return the values of ``settings`` that rule the time of a step."""
    training = settings.training
    return (
        training.network,
        training.regime,
        settings.batch,
        settings.cut.size,
        training.device,
        training.cnn_blocks,
        training.cnn_width,
        training.cnn_features,
    )


def _rate_text(rate: float) -> str:
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"
