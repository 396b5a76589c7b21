"""A plan of many runs: single ones and grids, read from a TOML file or made in the window."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import itertools
import json
import math
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import config
from core.config import RunSettings, SettingField
from core.errors import SettingsError

MOST_RUNS = 2000
MOST_BYTES = 1_000_000
_TABLES = ("preset", "settings", "grid", "runs", "except")
# Where they are not given, the settings themselves say what counts.
_DERIVED = ("epochs", "learning_rate", "batch")
_DRAWN_SPLIT = ("mode", "train_share", "validation_share", "test_share", "folds", "fold")
_RANGE = re.compile(r"\s*(\d+)\s*(?:-|\.\.|to)\s*(\d+)\s*")


@dataclass(frozen=True)
class Plan:
    """Runs to be trained one after another.

    Attributes
    ----------
    runs : tuple of RunSettings
        In order, each once.
    left_out : tuple of str
        Sentences on what of a grid cannot be trained, or came twice.
    """

    runs: tuple[RunSettings, ...]
    left_out: tuple[str, ...] = ()


def run_key(settings: RunSettings, cohort_id: str) -> str:
    """Return a short name for a run of ``settings`` on a cohort; the same for the same run.

    Settings that change nothing (a test fold where the split has none) and settings at
    their default are left out, so that a setting of a later version leaves old keys alone.
    """
    content = json.dumps([cohort_id, sorted(_counting(settings).items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def expand(
    grid: Mapping[str, Sequence[Any]],
    base: RunSettings,
    *,
    excluded: Sequence[Mapping[str, Any]] = (),
) -> Plan:
    """Return every combination of a grid's values, put into ``base``.

    Parameters
    ----------
    grid : mapping of str to sequence
        Setting name -> the values it takes; the first one changes slowest.
    base : RunSettings
        Everything else.
    excluded : sequence of mapping
        Combinations that are not wanted: setting name -> value.

    Raises
    ------
    SettingsError
        If a value is not allowed, no combination can be trained, or there are too many.
    """
    values = {name: _parsed(name, options) for name, options in grid.items()}
    _require_few(math.prod(map(len, values.values())))
    runs: list[RunSettings] = []
    refused: dict[str, str] = {}
    for combination in itertools.product(*values.values()):
        chosen = dict(zip(values, combination, strict=True))
        try:
            run = config.change(base, chosen)
        except SettingsError as error:
            refused.setdefault(str(error), _words(chosen))
            continue
        if not any(_is_like(run, pattern) for pattern in excluded):
            runs.append(run)
    if not runs and refused:
        raise SettingsError(next(iter(refused)))
    plan = _each_once(runs)
    said = tuple(f"Left out {words}: {reason}" for reason, words in refused.items())
    return Plan(plan.runs, (*said, *plan.left_out))


def parse_numbers(text: str, name: str = "seed") -> list[int]:
    """Return the whole numbers of a text such as ``0-4`` or ``0, 3, 7-9``, for one setting.

    Raises
    ------
    SettingsError
        If it is no such text, or a number is not allowed.
    """
    field = config.find_field(name)
    found: list[int] = []
    for piece in filter(None, (item.strip() for item in re.split("[,; ]+", text))):
        match = _RANGE.fullmatch(piece)
        if match is None:
            found.append(field.parse(piece))
            continue
        first, last = field.parse(match[1]), field.parse(match[2])
        if last < first:
            raise SettingsError(f"{field.title}: {piece} runs backwards. Give {last}-{first}.")
        _require_few(last - first + 1)
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def read_plan(path: Path) -> Plan:
    """Read a plan from a TOML file.

    ``preset`` and ``[settings]`` hold for every run; each ``[grid]`` (or ``[[grid]]``) gives
    every combination of its lists, less those of ``[[except]]``; each ``[[runs]]`` is one run.

    Raises
    ------
    SettingsError
        If it cannot be read or a value is wrong; the text names file, line and key.
    """
    return _PlanFile(path).plan()


class _PlanFile:
    """A plan's text, with the place of every key for what has to be said about it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = _read_text(path)
        try:
            self._tables = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(
                f"'{path.name}' is no TOML file: {error}. Mend that line and start again."
            ) from error
        except RecursionError as error:
            raise SettingsError(f"'{path.name}' is nested too deeply for a plan.") from error

    def plan(self) -> Plan:
        """Return the runs, each once."""
        for name in self._tables:
            if name not in _TABLES:
                raise self._fault(f"'{name}' means nothing here{_guess(name, _TABLES)}.", name)
        base = self._base()
        excluded = [self._single("except", n, t) for n, t in enumerate(self._list("except"))]
        runs: list[RunSettings] = []
        said: list[str] = []
        for number, table in enumerate(self._list("grid")):
            part = self._grid(number, table, base, excluded)
            runs += part.runs
            said += part.left_out
        for number, table in enumerate(self._list("runs")):
            values = self._single("runs", number, table)
            runs.append(self._change(base, values, "runs", number))
        if not runs:
            raise SettingsError(
                f"'{self._path.name}' plans no run. Add a [grid], or [[runs]] one by one."
            )
        _require_few(len(runs))
        plan = _each_once(runs)
        return Plan(plan.runs, (*said, *plan.left_out))

    def _base(self) -> RunSettings:
        preset = self._tables.get("preset", "recommended")
        if not isinstance(preset, str) or preset not in config.PRESETS:
            allowed = ", ".join(config.PRESETS)
            raise self._fault(f"There is no preset '{preset}'. Give one of: {allowed}.", "preset")
        start = config.change(RunSettings(), config.PRESETS[preset])
        table = self._tables.get("settings", {})
        if not isinstance(table, dict):
            raise self._fault("'settings' must be a table: write [settings].", "settings")
        # Together they may contradict each other until a grid or a run completes them.
        return _put_in(start, self._single("settings", 0, table))

    def _grid(
        self,
        number: int,
        table: Mapping[str, Any],
        base: RunSettings,
        excluded: Sequence[Mapping[str, Any]],
    ) -> Plan:
        values: dict[str, list[Any]] = {}
        for key, given in table.items():
            field = self._field(key, "grid", number)
            try:
                values[field.name] = _options(field, given)
                values[field.name] = [
                    self._found(field, value) for value in _parsed(field.name, values[field.name])
                ]
            except SettingsError as error:
                raise self._fault(str(error), key, "grid", number) from error
        try:
            return expand(values, base, excluded=excluded)
        except SettingsError as error:
            raise self._fault(str(error), "", "grid", number) from error

    def _single(self, table: str, number: int, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return one table's values, each checked by itself."""
        values: dict[str, Any] = {}
        for key, given in content.items():
            field = self._field(key, table, number)
            if isinstance(given, list | dict):
                raise self._fault(
                    f"{field.title} takes one value here; lists stand in a [grid].",
                    key,
                    table,
                    number,
                )
            try:
                values[field.name] = self._found(field, field.parse(given))
            except SettingsError as error:
                raise self._fault(str(error), key, table, number) from error
        return values

    def _change(
        self, base: RunSettings, values: Mapping[str, Any], table: str, number: int
    ) -> RunSettings:
        try:
            return config.change(base, values)
        except SettingsError as error:
            raise self._fault(str(error), "", table, number) from error

    def _list(self, name: str) -> list[dict[str, Any]]:
        given = self._tables.get(name, [])
        tables = given if isinstance(given, list) else [given]
        if not all(isinstance(table, dict) for table in tables):
            raise self._fault(f"'{name}' must be a table: write [[{name}]].", name)
        return tables

    def _field(self, key: str, table: str, number: int) -> SettingField:
        fields = _fields_by_word()
        field = fields.get(key.replace("-", "_"))
        if field is None:
            raise self._fault(
                f"There is no setting '{key}'{_guess(key, fields)}.", key, table, number
            )
        return field

    def _found(self, field: SettingField, value: Any) -> Any:  # noqa: ANN401 - any setting
        """Return a file's path as seen from the plan, where it lies there."""
        if field.name not in ("weights", "split_file") or not value:
            return value
        near = self._path.parent / value
        return str(near) if near.exists() else value

    def _fault(self, text: str, key: str, table: str = "", number: int = 0) -> SettingsError:
        line = _line_of(self._text, key, table, number)
        where = f", line {line}" if line else ""
        return SettingsError(f"'{self._path.name}'{where}: {text}")


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SettingsError(
                f"'{path.name}' is larger than {MOST_BYTES // 1000} kB: too large for a plan."
            )
        # Notepad puts a mark before the text.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"'{path.name}' is no text in UTF-8. Save it as UTF-8.") from error
    except OSError as error:
        raise SettingsError(
            f"The plan '{path}' cannot be read: {error.strerror}. Give the path of a TOML file."
        ) from error


def _line_of(text: str, key: str, table: str, number: int) -> int:
    """Return the line (from 1) of a key in the ``number``-th table of a name; 0 if not found.

    tomllib keeps no places. An empty key stands for the table's own line.
    """
    here, count, own_line = "", -1, 0
    for n, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([\w-]+)\s*\]+", line)
        if header:
            here = header[1]
            if here == table:
                count += 1
                own_line = n if count == number else own_line
            if not table and here == key:
                return n
        elif key and (not table or (here == table and count == number)):
            pattern = rf"""\s*(?:"{re.escape(key)}"|'{re.escape(key)}'|{re.escape(key)})\s*[=.]"""
            if re.match(pattern, line):
                return n
    return own_line


def _options(field: SettingField, given: Any) -> list[Any]:  # noqa: ANN401 - any TOML value
    """Return the values a grid's key stands for: a list, a range of whole numbers, or one."""
    if isinstance(given, dict):
        raise SettingsError(f"{field.title}: give one value or a list of values.")
    if isinstance(given, list):
        if not given:
            raise SettingsError(f"{field.title}: the list is empty. Give at least one value.")
        return given
    if field.kind is int and isinstance(given, str) and given.strip():
        return parse_numbers(given, field.name)
    return [given]


def _parsed(name: str, options: Iterable[Any]) -> list[Any]:
    field = config.find_field(name)
    return list(dict.fromkeys(field.parse(value) for value in options))


def _fields_by_word() -> dict[str, SettingField]:
    """Return the fields by their names and by their options' names."""
    fields = config.setting_fields()
    by_option = {field.option.replace("-", "_"): field for field in fields}
    return {**by_option, **{field.name: field for field in fields}}


def _put_in(settings: RunSettings, values: Mapping[str, Any]) -> RunSettings:
    """Put checked values into settings that are not whole yet."""
    groups: dict[str, Any] = {}
    for name, value in values.items():
        group = config.find_field(name).group
        before = groups.get(group, getattr(settings, group))
        groups[group] = dataclasses.replace(before, **{name: value})
    return dataclasses.replace(settings, **groups)


def _is_like(run: RunSettings, pattern: Mapping[str, Any]) -> bool:
    return bool(pattern) and all(_value(run, name) == value for name, value in pattern.items())


def _value(run: RunSettings, name: str) -> Any:  # noqa: ANN401 - the value of any setting
    return getattr(getattr(run, config.find_field(name).group), name)


def _each_once(runs: Iterable[RunSettings]) -> Plan:
    by_key: dict[str, RunSettings] = {}
    n_twice = 0
    for run in runs:
        n_twice += by_key.setdefault(run_key(run, ""), run) is not run
    if not n_twice:
        return Plan(tuple(by_key.values()))
    they = "1 run is" if n_twice == 1 else f"{n_twice} runs are"
    return Plan(
        tuple(by_key.values()),
        (f"{they} left out: another planned run differs from it in nothing that counts.",),
    )


def _require_few(n_runs: int) -> None:
    if n_runs > MOST_RUNS:
        raise SettingsError(
            f"These are {n_runs} runs; a plan holds {MOST_RUNS} at most. Shorten a list, or part "
            "it into several plans."
        )


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in values.values())


def _guess(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word.replace("-", "_"), known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _counting(settings: RunSettings) -> dict[str, Any]:
    return dict(_counting_values(settings))


def _counting_values(settings: RunSettings) -> Iterator[tuple[str, Any]]:
    training = settings.training
    for field in config.setting_fields():
        value = _value(settings, field.name)
        if field.name in _DERIVED:
            yield field.name, getattr(settings, field.name)
        elif field.name in ("network", "regime") or (
            value != field.default
            and field.counts_for((training.network,), (training.regime,))
            and _rules_split(field.name, settings)
        ):
            yield field.name, value


def _rules_split(name: str, settings: RunSettings) -> bool:
    if name not in _DRAWN_SPLIT:
        return True
    if settings.split.split_file:
        return False
    is_kfold = settings.split.mode == "kfold"
    return name == "mode" or is_kfold == (name in ("folds", "fold"))
