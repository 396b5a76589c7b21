"""Measure and wrap text as it will be printed on paper."""

from __future__ import annotations

from typing import Any

MM = 1 / 25.4  # inch
# The layout is made at one resolution, so that PNG of any dpi and SVG are the same picture.
LAYOUT_DPI = 300

_MOST_KEPT = 20_000  # widths
# How far the sum of its letters may be from the width of a line: kerning and hinting.
_KERNING_SHARE, _KERNING_LETTERS = 0.04, 0.5
_widths: dict[tuple[str, ...], float] = {}


def whole_terms(text: str) -> str:
    """Return ``text`` with each sign of an equation bound to the term after it.

    Lines are then broken before a sign, as in print: "… + 0.2*z" never ends in "+".
    """
    text = text.replace(" = ", "\u00a0=\u00a0")
    for sign in ("+", "-"):
        text = text.replace(f" {sign} ", f" {sign}\u00a0")
    return text


class Ruler:
    """Measures and wraps text, in inches, as matplotlib's Agg will set it."""

    def __init__(self, renderer: Any) -> None:  # noqa: ANN401 - matplotlib is untyped here
        self._renderer = renderer
        self._advances: dict[tuple[str, float], float] = {}

    def width(self, text: str, size: float) -> float:
        """Return the width of one line (inch) in letters of ``size`` points."""
        import matplotlib

        # Kept, as the figures of a run share many words, and PNG and SVG all of them.
        key = (text, str(size), *matplotlib.rcParams["font.family"])
        if key not in _widths:
            if len(_widths) >= _MOST_KEPT:
                _widths.clear()
            _widths[key] = self._measured(text, size)
        return _widths[key]

    def wrap(self, text: str, width: float, size: float, *, hang: str = "") -> str:
        """Return ``text`` with line breaks so that no line is wider than ``width`` inches.

        ``hang`` begins the lines that go on from the one before.
        """
        lines: list[str] = []
        for paragraph in text.splitlines() or [""]:
            line = ""
            for word in paragraph.split(" "):
                longer = f"{line} {word}" if line else word
                if not line or self._fits(longer, width, size):
                    line = longer
                else:
                    lines.append(line)
                    line = hang + word
                while len(line) > len(hang) + 1 and not self._fits(line, width, size):
                    kept = max(self._fitting(line, width, size), len(hang) + 1)
                    lines.append(line[:kept])
                    line = hang + line[kept:]
            lines.append(line)
        return "\n".join(lines)

    def _fitting(self, line: str, width: float, size: float) -> int:
        count = len(line) - 1
        while count > 1 and not self._fits(line[:count], width, size):
            count -= 1
        return count

    def _fits(self, line: str, width: float, size: float) -> bool:
        """Tell whether a line fits; a whole line is measured only where its letters leave doubt."""
        letters = sum(self._advance(letter, size) for letter in line)
        doubt = _KERNING_SHARE * letters + _KERNING_LETTERS * size / 72
        if abs(letters - width) > doubt:
            return letters < width
        return self.width(line, size) <= width

    def _advance(self, letter: str, size: float) -> float:
        known = self._advances.get((letter, size))
        if known is None:
            # Between two others, as the width of a space alone, without ink, is 0.
            known = self.width(f"n{letter}n", size) - self.width("nn", size)
            self._advances[letter, size] = known
        return known

    def _measured(self, text: str, size: float) -> float:
        from matplotlib.font_manager import FontProperties

        properties = FontProperties(size=size)
        wide, _, _ = self._renderer.get_text_width_height_descent(text, properties, False)
        return float(wide) / LAYOUT_DPI
