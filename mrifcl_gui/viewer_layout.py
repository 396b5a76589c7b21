"""What the viewer keeps from scan to scan and from start to start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ViewerLayout:
    """Which plane is enlarged (or ""), and what is drawn over the planes."""

    enlarged: str = ""
    crosshair: bool = True
    network_slices: bool = True
