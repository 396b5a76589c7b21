"""Change settings by name, check them against each other, and keep them as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from core.config.fields import find_field, setting_fields
from core.config.networks import CUSTOM_CNNS
from core.config.run_settings import RunSettings
from core.errors import SettingsError


def change(settings: RunSettings, values: Mapping[str, Any]) -> RunSettings:
    """Return ``settings`` with ``values`` (setting name -> value or text) checked and put in.

    Raises
    ------
    SettingsError
        If a name is unknown or a value not allowed.
    """
    by_group: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        field = find_field(name)
        by_group.setdefault(field.group, {})[name] = field.parse(value)
    groups = {
        group: dataclasses.replace(getattr(settings, group), **changed)
        for group, changed in by_group.items()
    }
    result = dataclasses.replace(settings, **groups)
    check(result)
    return result


def check(settings: RunSettings) -> None:
    """Check the settings against each other; single bounds are checked in :func:`change`.

    Raises
    ------
    SettingsError
        If two settings contradict each other.
    """
    if settings.slices.low_percentile >= settings.slices.high_percentile:
        raise SettingsError("Black at must lie below White at: lower the first percentile.")
    if settings.slices.centre == "mm" and settings.slices.centre_mm is None:
        raise SettingsError("Centred on mm needs a Centre position: give it in mm.")
    if (
        settings.training.augment_flip
        and settings.slices.plane == "sagittal"
        and not settings.sees_cubes
    ):
        raise SettingsError(
            "Flip left to right would turn sagittal slices front to back: switch it off, or "
            "cut axial or coronal slices."
        )
    if settings.split.fold > settings.split.folds:
        raise SettingsError(
            f"Test fold {settings.split.fold} does not exist: there are "
            f"{settings.split.folds} folds."
        )
    _check_custom_cnn(settings)


def _check_custom_cnn(settings: RunSettings) -> None:
    training = settings.training
    if training.network not in CUSTOM_CNNS:
        return
    if settings.sees_cubes and settings.slices.centre == "mm":
        raise SettingsError(
            "The 3-D CNN sees cubes: Centred on mm is for slices. Choose brain or volume."
        )
    side, name = (
        (training.cube_size, "Cube size")
        if settings.sees_cubes
        else (settings.slices.size, "Slice size")
    )
    if side < 2**training.cnn_blocks:
        raise SettingsError(
            f"CNN blocks: {training.cnn_blocks} blocks halve {side} {training.cnn_blocks} times, "
            f"so that nothing is left. Take fewer blocks, or a {name} of at least "
            f"{2**training.cnn_blocks}."
        )
    if training.regime != "scratch" and not training.weights:
        raise SettingsError(
            "The custom CNN has no ImageNet weights: choose the regime 'scratch', "
            "or name an earlier run of it as the weights."
        )


def to_record(settings: RunSettings) -> dict[str, Any]:
    """Return the settings as plain JSON values, grouped as in :class:`RunSettings`."""
    return dataclasses.asdict(settings)


def from_record(record: Mapping[str, Any]) -> RunSettings:
    """Return settings from :func:`to_record`; unknown keys of other versions are left out.

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    known = {field.name for field in setting_fields()}
    values = {
        name: value
        for group in record.values()
        if isinstance(group, Mapping)
        for name, value in group.items()
        if name in known
    }
    return change(RunSettings(), values)
