"""The rail on the left: the four places, always in sight."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from mrifcl_gui.icons import put_icon
from mrifcl_gui.theme import GAP, TIGHT, scaled

PLACES = ("cohort", "train", "runs", "analyse")
PLACE_ICONS = ("users", "brain-circuit", "list", "chart-scatter")


class PlaceRail(QWidget):
    """One button a place, with its icon and its word."""

    place_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.titles = (
            self.tr("Cohort"),
            self.tr("Train"),
            self.tr("Runs"),
            self.tr("Analyse"),
        )
        self.buttons = [self._button(number) for number in range(len(PLACES))]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, GAP, 0, GAP)
        layout.setSpacing(TIGHT)
        for button in self.buttons:
            layout.addWidget(button)
        layout.addStretch(1)
        self.mark("cohort")

    def mark(self, place: str) -> None:
        """Mark the place that is in front."""
        button = self.buttons[PLACES.index(place)]
        button.setChecked(True)
        # The mark of the keyboard on another place would look like a second choice.
        if self.focusWidget() in self.buttons and self.focusWidget() is not button:
            button.setFocus()

    def _button(self, number: int) -> QToolButton:
        button = QToolButton(self)
        button.setText(self.titles[number])
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIconSize(QSize(scaled(24), scaled(24)))
        button.setCheckable(True)
        button.setAutoExclusive(True)
        button.setFixedWidth(scaled(80))
        put_icon(button, PLACE_ICONS[number])
        button.setToolTip(self.tr("{0} (Ctrl+{1})").format(self.titles[number], number + 1))
        button.clicked.connect(self._on_clicked)
        return button

    def _on_clicked(self) -> None:
        sender = self.sender()
        if isinstance(sender, QToolButton):
            self.place_chosen.emit(PLACES[self.buttons.index(sender)])
