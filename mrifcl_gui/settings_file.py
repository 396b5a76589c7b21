"""The file of what the window remembers: each value is checked, a damaged file is kept aside.

It knows nothing of Qt, and the program starts whatever is in it.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from core import atomic_file

logger = logging.getLogger(__name__)

VERSION = 1
_LARGEST_BYTES = 1 << 20

Check = Callable[[Any], bool]


class SettingsFile:
    """Named values in a JSON file.

    Parameters
    ----------
    path : Path
        The file; it need not be there.
    checks : Mapping
        For each name (or its part up to and with a slash) whether a value is allowed.
    write_later : callable, optional
        Takes the path and what writes it, to be called soon; without it, it is called at once.

    Attributes
    ----------
    problem : str
        What was wrong with the file, in words; empty where nothing was.
    """

    def __init__(
        self,
        path: Path,
        checks: Mapping[str, Check],
        *,
        write_later: Callable[[Path, Callable[[], None]], None] | None = None,
    ) -> None:
        self.path = path
        self._write_later = write_later
        self.problem = ""
        self._checks = checks
        self._is_read_only = False
        self._values = self._read()

    def value(self, name: str, default: Any = None, kind: type | None = None) -> Any:  # noqa: ANN401
        """Return a value; ``default`` where there is none of that kind."""
        found = self._values.get(name, default)
        return default if kind is not None and not isinstance(found, kind) else found

    def setValue(self, name: str, value: Any) -> None:  # noqa: ANN401 - as QSettings has it
        """Keep a value; a file that cannot be written is no reason to disturb anyone."""
        if self._values.get(name) == value:
            return
        self._values[name] = value
        self._keep()

    def forget(self, *names: str) -> None:
        """Drop the values of ``names``, and of all that begin with one that ends in a slash."""
        groups = tuple(name for name in names if name.endswith("/"))
        kept = {
            name: value
            for name, value in self._values.items()
            if name not in names and not name.startswith(groups)
        }
        if kept != self._values:
            self._values = kept
            self._keep()

    def contains(self, name: str) -> bool:
        """Tell whether there is a value."""
        return name in self._values

    def sync(self) -> None:
        """Write the file, here and now."""
        if not self._is_read_only:
            self._write({"version": VERSION, **self._values})

    def _keep(self) -> None:
        """Write the file, or have it written."""
        if self._write_later is None:
            self.sync()
        elif not self._is_read_only:
            record = {"version": VERSION, **self._values}
            self._write_later(self.path, lambda: self._write(record))

    def _write(self, record: dict[str, Any]) -> None:
        try:
            atomic_file.write_text(self.path, json.dumps(record, indent=1, ensure_ascii=False))
        except OSError as error:
            logger.warning("the settings could not be kept: %s", error.strerror)

    def _read(self) -> dict[str, Any]:
        try:
            data = self.path.read_bytes()[: _LARGEST_BYTES + 1]
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.problem = (
                f"The settings file '{self.path.name}' cannot be read ({error.strerror}): default "
                "settings are used. Allow this program to read it."
            )
            self._is_read_only = True
            return {}
        record = _parse(data)
        version = None if record is None else record.pop("version", None)
        if record is None or type(version) is not int:
            self._keep_aside()
            self.problem = (
                f"The settings file '{self.path.name}' is damaged: default settings are used. The "
                f"file was kept as '{self._bad().name}'."
            )
            return {}
        if version > VERSION:
            self._is_read_only = True
            self.problem = (
                f"The settings file '{self.path.name}' was written by a newer version of MRI-FCL: "
                "default settings are used, and changes are not kept. Update this program."
            )
            return {}
        return self._checked(record)

    def _checked(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what may be used; names that this version does not know are kept as they are."""
        wrong = [name for name, value in record.items() if not self._allows(name, value)]
        if wrong:
            self._keep_aside()
            self.problem = (
                f"In the settings file '{self.path.name}' the default is used for "
                f"{_names(wrong)}: what stood there cannot be. The file was kept as "
                f"'{self._bad().name}'."
            )
        kept = {name: value for name, value in record.items() if name not in wrong}
        if wrong:
            self._values = kept
            self.sync()
        return kept

    def _allows(self, name: str, value: Any) -> bool:  # noqa: ANN401 - anything JSON may hold
        check = self._checks.get(name) or self._checks.get(name[: name.find("/") + 1])
        return check is None or check(value)

    def _bad(self) -> Path:
        return self.path.with_name(f"{self.path.name}.bad")

    def _keep_aside(self) -> None:
        try:
            atomic_file.replace(self.path, self._bad())
        except OSError as error:
            logger.warning("the damaged settings could not be kept aside: %s", error.strerror)


def is_text(value: object) -> bool:
    """Allow text."""
    return isinstance(value, str)


def is_switch(value: object) -> bool:
    """Allow true and false."""
    return isinstance(value, bool)


def is_texts(value: object) -> bool:
    """Allow a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parse(data: bytes) -> dict[str, Any] | None:
    """Return the object in ``data``; None if it is damaged."""
    if len(data) > _LARGEST_BYTES:
        return None
    try:
        record = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_refuse,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            raise ValueError(f"{name} stands there twice")
        record[name] = value
    return record


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _names(names: list[str]) -> str:
    shown = ", ".join(f"'{name[:40]}'" for name in names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
