"""The settings as a form or a terminal reads them: type, bounds and how text is understood."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from core.config.run_settings import RunSettings
from core.errors import SettingsError
from core.typed_number import read_number, read_whole_number


@dataclass(frozen=True)
class SettingField:
    """One setting as a form or a terminal needs it.

    ``group`` is the attribute of :class:`RunSettings` that holds it; ``kind`` is int,
    float, bool or str; ``optional`` allows empty (None); ``choices`` is empty where free;
    ``networks`` and ``regimes`` are those it counts for, empty for all.
    """

    group: str
    name: str
    kind: type
    optional: bool
    choices: tuple[str, ...]
    default: Any
    title: str
    help: str
    unit: str
    low: float | None
    high: float | None
    low_open: bool
    advanced: bool
    option: str
    heading: str = ""
    networks: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()

    def counts_for(self, networks: Collection[str], regimes: Collection[str]) -> bool:
        """Tell whether it changes anything for one of ``networks`` and one of ``regimes``."""
        for own, asked in ((self.networks, networks), (self.regimes, regimes)):
            if own and asked and not set(own) & set(asked):
                return False
        return True

    def parse(self, value: Any) -> Any:  # noqa: ANN401 - text or a typed value
        """Return ``value`` as this setting's type.

        Text may have a decimal comma; grouped numbers ("1.000,5") are refused, so that
        no locale makes a learning rate a thousand times too big.

        Raises
        ------
        SettingsError
            If it is of the wrong type, out of bounds, or no known choice.
        """
        if value is None or (self.optional and isinstance(value, str) and not value.strip()):
            if self.optional:
                return None
            raise SettingsError(f"{self.title} is empty. Give {self._wanted()}.")
        try:
            parsed = _as_kind(self.kind, value)
        except (ValueError, TypeError, OverflowError):
            raise SettingsError(
                f"{self.title}: '{value}' cannot be used. Give {self._wanted()}."
            ) from None
        in_choices = not self.choices or parsed in self.choices
        if not in_choices or not self._in_bounds(parsed):
            raise SettingsError(f"{self.title}: {value} is not allowed. Give {self._wanted()}.")
        return parsed

    def _in_bounds(self, value: Any) -> bool:  # noqa: ANN401 - a parsed value
        if self.kind not in (int, float):
            return True
        if not math.isfinite(value):
            return False
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return self.high is None or value <= self.high

    def _wanted(self) -> str:
        if self.choices:
            return "one of: " + ", ".join(self.choices)
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            return "a text"
        word = "a whole number" if self.kind is int else "a number"
        start = "above" if self.low_open else "from"
        if self.low is not None and self.high is not None:
            return f"{word} {start} {self.low:g} to {self.high:g}"
        return word


@cache
def setting_fields() -> tuple[SettingField, ...]:
    """Return every setting of :class:`RunSettings`, in the order of a form."""
    return tuple(_read_fields())


def _read_fields() -> Iterator[SettingField]:
    for group in dataclasses.fields(RunSettings):
        owner: Any = type(group.default)
        hints = get_type_hints(owner)
        for field in dataclasses.fields(owner):
            kind, optional, choices = _read_type(hints[field.name])
            meta = field.metadata
            yield SettingField(
                group=group.name,
                name=field.name,
                kind=kind,
                optional=optional,
                choices=choices,
                default=field.default,
                title=meta["title"],
                help=meta["help"],
                unit=meta["unit"],
                low=meta["low"],
                high=meta["high"],
                low_open=meta["low_open"],
                advanced=meta["advanced"],
                option=meta["option"] or field.name.replace("_", "-"),
                heading=meta["heading"],
                networks=meta["networks"],
                regimes=meta["regimes"],
            )


def find_field(name: str) -> SettingField:
    """Return the setting called ``name``.

    Raises
    ------
    SettingsError
        If there is none.
    """
    for field in setting_fields():
        if field.name == name:
            return field
    raise SettingsError(f"There is no setting called '{name}'.")


def _read_type(hint: Any) -> tuple[type, bool, tuple[str, ...]]:  # noqa: ANN401 - a type hint
    optional = False
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        optional, hint = True, members[0]
    if get_origin(hint) is Literal:
        return str, optional, tuple(get_args(hint))
    return hint, optional, ()


def _as_kind(kind: type, value: Any) -> Any:  # noqa: ANN401 - text or a typed value
    if kind is str:
        return str(value)
    if kind is bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in ("true", "yes", "on", "1"):
            return True
        if text in ("false", "no", "off", "0"):
            return False
        raise ValueError(value)
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, str):
        return read_whole_number(value) if kind is int else read_number(value)
    if kind is int:
        if not float(value).is_integer():
            raise ValueError(value)
        return int(value)
    return float(value)
