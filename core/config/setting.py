"""How one setting is declared: its default, bounds, unit and help are metadata of a field."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(
    default: Any,  # noqa: ANN401 - any default
    title: str,
    help_text: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    advanced: bool = False,
    option: str = "",
    heading: str = "",
    networks: tuple[str, ...] = (),
    regimes: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - a dataclass field poses as the type of its setting
    """Declare one setting.

    ``option`` renames its terminal option; ``heading`` stands above it in a form; it counts
    for ``networks`` and ``regimes`` only, for all where they are empty.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "title": title,
            "help": help_text,
            "unit": unit,
            "low": low,
            "high": high,
            "low_open": low_open,
            "advanced": advanced,
            "option": option,
            "heading": heading,
            "networks": networks,
            "regimes": regimes,
        },
    )
