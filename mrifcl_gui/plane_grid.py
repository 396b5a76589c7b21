"""Arranges the planes of one or two scans and the histogram."""

from __future__ import annotations

from PySide6.QtWidgets import QGridLayout, QWidget

from mrifcl_gui.plane_view import PlaneView

# Beside two scans there is little height left; the histogram needs no more.
_COMPARED_HEIGHT = 130


class PlaneGrid(QWidget):
    """Shows three planes and the intensities in a square, or the planes of two scans in pairs.

    Parameters
    ----------
    first, second : dict
        The views of the two scans by plane.
    intensities : QWidget
    """

    def __init__(
        self,
        first: dict[str, PlaneView],
        second: dict[str, PlaneView],
        intensities: QWidget,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._first, self._second, self._intensities = first, second, intensities
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        for widget in (*first.values(), *second.values(), intensities):
            widget.setParent(self)

    def arrange(self, *, enlarged: str | None, is_compared: bool) -> None:
        """Show all planes or one, of one scan or of both."""
        while self._grid.takeAt(0) is not None:
            pass
        names = [enlarged] if enlarged else list(self._first)
        for name in self._first:
            self._first[name].setVisible(name in names)
            self._second[name].setVisible(is_compared and name in names)
        self._intensities.setVisible(enlarged is None)
        self._intensities.setMaximumHeight(_COMPARED_HEIGHT if is_compared else 16777215)
        if is_compared:
            self._add_pairs(names)
        else:
            self._add_square(names)

    def shown_views(self) -> list[PlaneView]:
        """Return the views that are not hidden, scan by scan."""
        views = [*self._first.values(), *self._second.values()]
        return [view for view in views if not view.isHidden()]

    def _add_square(self, names: list[str]) -> None:
        for number, name in enumerate(names):
            self._grid.addWidget(self._first[name], number // 2, number % 2)
        if len(names) > 1:
            self._grid.addWidget(self._intensities, 1, 1)
        # A hidden row would keep its part of the room.
        used = 2 if len(names) > 1 else 1
        self._share(rows=used, columns=used)

    def _add_pairs(self, names: list[str]) -> None:
        if len(names) == 1:
            self._grid.addWidget(self._first[names[0]], 0, 0)
            self._grid.addWidget(self._second[names[0]], 0, 1)
            self._share(rows=1, columns=2)
            return
        # One below the other: the viewer is wider than high, so that the planes are larger.
        for column, name in enumerate(names):
            self._grid.addWidget(self._first[name], 0, column)
            self._grid.addWidget(self._second[name], 1, column)
        self._grid.addWidget(self._intensities, 2, 0, 1, len(names))
        self._share(rows=2, columns=len(names))

    def _share(self, *, rows: int, columns: int) -> None:
        for row in range(3):
            self._grid.setRowStretch(row, 1 if row < rows else 0)
        for column in range(3):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
