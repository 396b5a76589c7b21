"""Measure and wrap text as it will be printed on paper."""

from __future__ import annotations

from typing import Any

MM = 1 / 25.4  # inch
# The layout is made at one resolution, so that PNG of any dpi and SVG are the same picture.
LAYOUT_DPI = 300


class Ruler:
    """Measures and wraps text, in inches, as matplotlib's Agg will set it."""

    def __init__(self, renderer: Any) -> None:  # noqa: ANN401 - matplotlib is untyped here
        self._renderer = renderer

    def width(self, text: str, size: float) -> float:
        """Return the width of one line (inch) in letters of ``size`` points."""
        from matplotlib.font_manager import FontProperties

        properties = FontProperties(size=size)
        wide, _, _ = self._renderer.get_text_width_height_descent(text, properties, False)
        return float(wide) / LAYOUT_DPI

    def wrap(self, text: str, width: float, size: float, *, hang: str = "") -> str:
        """Return ``text`` with line breaks so that no line is wider than ``width`` inches.

        ``hang`` begins the lines that go on from the one before.
        """
        lines: list[str] = []
        for paragraph in text.splitlines() or [""]:
            line = ""
            for word in paragraph.split(" "):
                longer = f"{line} {word}" if line else word
                if not line or self.width(longer, size) <= width:
                    line = longer
                else:
                    lines.append(line)
                    line = hang + word
                while len(line) > len(hang) + 1 and self.width(line, size) > width:
                    kept = max(self._fitting(line, width, size), len(hang) + 1)
                    lines.append(line[:kept])
                    line = hang + line[kept:]
            lines.append(line)
        return "\n".join(lines)

    def _fitting(self, line: str, width: float, size: float) -> int:
        count = len(line) - 1
        while count > 1 and self.width(line[:count], size) > width:
            count -= 1
        return count
