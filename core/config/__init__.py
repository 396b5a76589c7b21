"""Every setting of a run, once: type, default, bounds, unit and help.

The form in the window, the options of the terminal, the record in ``run.json`` and the
checks all read the fields of the modules below. Import from here.
"""

from __future__ import annotations

from core.config.changes import change, check, from_record, to_record
from core.config.cutting import CubeSettings, Cut, Plane, SliceSettings
from core.config.fields import SettingField, find_field, setting_fields
from core.config.networks import (
    BATCH_NORM_NETWORKS,
    CUSTOM_CNNS,
    NETWORK_NOTES,
    NETWORK_TITLES,
    REGIME_TITLES,
    Activation,
    Network,
    Regime,
)
from core.config.run_settings import PAPER_PRESET, PRESETS, RunSettings
from core.config.splitting import SplitMode, SplitSettings
from core.config.training import TrainSettings

__all__ = [
    "BATCH_NORM_NETWORKS",
    "CUSTOM_CNNS",
    "NETWORK_NOTES",
    "NETWORK_TITLES",
    "PAPER_PRESET",
    "PRESETS",
    "REGIME_TITLES",
    "Activation",
    "CubeSettings",
    "Cut",
    "Network",
    "Plane",
    "Regime",
    "RunSettings",
    "SettingField",
    "SliceSettings",
    "SplitMode",
    "SplitSettings",
    "TrainSettings",
    "change",
    "check",
    "find_field",
    "from_record",
    "setting_fields",
    "to_record",
]
