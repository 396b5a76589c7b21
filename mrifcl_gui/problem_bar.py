"""The bar above a page that says what went wrong and what to do, until it is dismissed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from mrifcl_gui.theme import alarm_colour


class ProblemBar(QFrame):
    """One sentence in red, and a button that takes it away; so does Esc, by the window."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("problem", True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._text = QLabel(self)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        dismiss = QPushButton(self.tr("Dismiss"), self)
        dismiss.setToolTip(self.tr("Take this away (Esc)"))
        dismiss.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 16, 8)
        row.addWidget(self._text, 1)
        row.addWidget(dismiss)
        self.hide()

    def text(self) -> str:
        """Return what is said."""
        return self._text.text()

    def show_text(self, text: str) -> None:
        """Say ``text``."""
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.WindowText, alarm_colour(palette))
        self._text.setPalette(palette)
        self._text.setText(text)
        self.show()
