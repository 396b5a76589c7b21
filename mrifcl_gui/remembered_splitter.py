"""A splitter whose parts keep the shares that they were given, also at the next start."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter, QWidget

from mrifcl_gui import preferences


class RememberedSplitter(QSplitter):
    """Keeps the sizes of its parts in the preferences.

    Parameters
    ----------
    name : str
        Under which they are kept; the same for splitters that are to be alike.
    usual : tuple of int
        Sizes of the parts, logical pixels, until others are chosen.
    """

    def __init__(
        self,
        name: str,
        usual: tuple[int, ...],
        orientation: Qt.Orientation,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(orientation, parent)
        self._name = name
        self._usual = usual
        self.splitterMoved.connect(self._on_moved)

    def fill(self, *parts: QWidget) -> None:
        """Take in the parts and give them their shares."""
        for part in parts:
            self.addWidget(part)
        self.setSizes(list(preferences.shares(self._name, self._usual)))

    def reset(self) -> None:
        """Give the parts their usual shares again."""
        self.setSizes(list(self._usual))

    def _on_moved(self) -> None:
        sizes = tuple(self.sizes())
        # A part that is hidden for now, or folded away, is to come back with its share.
        if all(sizes):
            preferences.set_shares(self._name, sizes)
