"""Preferences: light or dark, size of texts, colours of classes. Each change holds at once."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from core.colours import CLASS_COLOURS
from mrifcl_gui import preferences
from mrifcl_gui.class_mark import CLASS_MARKS, class_pixmap
from mrifcl_gui.theme import (
    GAP,
    MARGIN,
    SCHEMES,
    SMALL,
    TEXT_SCALES,
    Theme,
    scaled,
    set_type,
)

_CLASSES = ("AD", "MCI", "NC")


class PreferencesDialog(QDialog):
    """How the window looks; it is kept for the next start."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Preferences"))
        self.scheme = self._box(
            self.tr("Theme"),
            {
                "system": self.tr("As the system"),
                "light": self.tr("Light"),
                "dark": self.tr("Dark"),
            },
            preferences.scheme(),
        )
        self.text_scale = self._box(
            self.tr("Size of texts"),
            {None: self.tr("As the system")} | {s: f"{100 * s:.0f} %" for s in TEXT_SCALES},
            preferences.text_scale(),
        )
        self.class_colours = self._box(
            self.tr("Class colours"),
            dict(
                zip(
                    CLASS_COLOURS,
                    (
                        self.tr("Told apart with any colour vision"),
                        self.tr("As in the paper: AD blue, NC red"),
                    ),
                    strict=True,
                )
            ),
            preferences.class_colours(),
        )
        self.said = QLabel(self.tr("The size of texts holds from the next start."), self)
        self.said.hide()
        self.notifies = QCheckBox(self.tr("Tell me when runs have ended"), self)
        self.notifies.setToolTip(
            self.tr("A message of the system, where this window is not in front")
        )
        self.notifies.setChecked(preferences.notifies())
        self.notifies.toggled.connect(preferences.set_notifies)
        self._marks = {label: QLabel(self) for label in _CLASSES}
        self._build()
        self._show_marks()
        self.scheme.currentIndexChanged.connect(self._on_scheme)
        self.text_scale.currentIndexChanged.connect(self._on_text_scale)
        self.class_colours.currentIndexChanged.connect(self._on_class_colours)

    def _build(self) -> None:
        form = QFormLayout()
        form.setSpacing(GAP)
        for box in (self.scheme, self.text_scale, self.class_colours):
            label = QLabel(box.accessibleName(), self)
            label.setBuddy(box)
            form.addRow(label, box)
        form.addRow("", self._build_marks())
        form.addRow("", self.notifies)
        note = QLabel(
            self.tr("The viewer of scans is dark in both themes; exported figures are white."), self
        )
        note.setWordWrap(True)
        for label in (note, self.said):
            set_type(label, SMALL)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        column.setSpacing(GAP)
        column.addLayout(form)
        column.addWidget(self.said)
        column.addWidget(note)
        column.addStretch(1)
        column.addWidget(buttons)
        self.setMinimumWidth(scaled(440))

    def _build_marks(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(GAP)
        for label, mark in self._marks.items():
            row.addWidget(mark)
            row.addWidget(QLabel(label, self))
        row.addStretch(1)
        return row

    def _box(self, title: str, choices: dict, chosen: object) -> QComboBox:
        box = QComboBox(self)
        box.setAccessibleName(title)
        for value, words in choices.items():
            box.addItem(words, value)
        values = list(choices)
        box.setCurrentIndex(values.index(chosen) if chosen in values else 0)
        return box

    def _show_marks(self) -> None:
        for label, mark in self._marks.items():
            mark.setPixmap(class_pixmap(label, size=16))

    def _on_scheme(self) -> None:
        scheme = SCHEMES[self.scheme.currentIndex()]
        preferences.set_scheme(scheme)
        app = QApplication.instance()
        theme = app.findChild(Theme, options=Qt.FindChildOption.FindDirectChildrenOnly)
        if theme is not None:
            theme.set_scheme(scheme)

    def _on_text_scale(self) -> None:
        preferences.set_text_scale(self.text_scale.currentData())
        self.said.show()

    def _on_class_colours(self) -> None:
        preset = str(self.class_colours.currentData())
        preferences.set_class_colours(preset)
        CLASS_MARKS.use(preset)
        self._show_marks()
