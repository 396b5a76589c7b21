"""Where the program's own pictures lie, also in a frozen build."""

from __future__ import annotations

from pathlib import Path

import resources


def icon_file(name: str) -> Path:
    """Return the SVG of an icon."""
    return Path(next(iter(resources.__path__))) / "icons" / f"{name}.svg"
