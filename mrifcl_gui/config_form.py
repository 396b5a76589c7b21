"""The settings of a run as a form, made from the fields of :mod:`core.config`."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QMouseEvent, QPalette, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from core import config
from core.config import RunSettings, SettingField
from core.errors import SettingsError
from mrifcl_gui.theme import alarm_colour, scaled

LABEL_WIDTH = 128
GROUP_TITLES = {"slices": "Slices", "split": "Split", "training": "Training"}
PRESET_TITLES = {"recommended": "Recommended", "paper": "Paper"}
_CHOICE_TITLES = {
    **config.NETWORK_TITLES,
    **config.REGIME_TITLES,
    "slice": "Slice (as in the paper)",
    "kfold": "Subject, k-fold",
    "brain": "Brain",
    "volume": "Whole volume",
    "relu": "ReLU",
    "leaky-relu": "Leaky ReLU (0.01)",
    "torch": "PyTorch default",
    "glorot": "Glorot uniform",
    "sgd": "SGD",
    "adam": "Adam",
    "auto": "Automatic",
    "cpu": "CPU",
    "cuda": "GPU (CUDA)",
    "32": "32 bit",
    "bf16": "bf16",
    "16": "16 bit",
}
# Fields that mean nothing under another choice: name -> (ruling field, values that need it).
_NEEDED_FOR = {
    "folds": ("mode", ("kfold",)),
    "fold": ("mode", ("kfold",)),
    "train_share": ("mode", ("subject", "slice")),
    "validation_share": ("mode", ("subject", "slice")),
    "test_share": ("mode", ("subject", "slice")),
}
_CHIP_STYLE = """
QPushButton { border: 1px solid palette(mid); border-radius: 6px; padding: 5px 9px;
  background: transparent; color: palette(window-text); }
QPushButton:hover { border-color: palette(window-text); }
QPushButton:checked { border: 2px solid palette(window-text); padding: 4px 8px;
  background: palette(midlight); }
QPushButton:focus { border-color: palette(highlight); }
QPushButton:disabled { color: palette(mid); }
"""


def choice_title(choice: str) -> str:
    """Return the words for one choice of a setting."""
    if choice in _CHOICE_TITLES:
        return _CHOICE_TITLES[choice]
    return choice.replace("-", " ").capitalize()


def value_text(value: Any) -> str:  # noqa: ANN401 - the value of any setting
    """Return a setting's value as it is typed: shortest decimal, point, no grouping."""
    if value is None:
        return ""
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    return str(value)


class Chip(QPushButton):
    """A small choice that stays pressed; the check mark says so without colour."""

    def __init__(self, text: str, help_text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = text
        self.setCheckable(True)
        self.setProperty("chip", True)
        self.setStyleSheet(_CHIP_STYLE)
        self.setAccessibleName(text)
        self.setToolTip(help_text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def sizeHint(self) -> QSize:
        """Return the width with the check mark, so that nothing jumps when pressed."""
        width = self.fontMetrics().horizontalAdvance(f"✓ {self._text}") + 24
        return QSize(width, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Return the same: a chip is never cut."""
        return self.sizeHint()

    def _on_toggled(self, checked: bool) -> None:
        self.setText(f"✓ {self._text}" if checked else self._text)


class AlertLabel(QLabel):
    """A sentence in red that suits light and dark; hidden while empty."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._paint_red()
        self.hide()

    def show_text(self, text: str) -> None:
        """Show ``text``, or nothing where it is empty."""
        self.setText(text)
        self.setVisible(bool(text))

    def changeEvent(self, event: QEvent) -> None:
        """Follow a change between light and dark."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ApplicationPaletteChange:
            self._paint_red()

    def _paint_red(self) -> None:
        # A palette holding one colour inherits all others, so a later theme still reaches them.
        own = QPalette()
        own.setColor(QPalette.ColorRole.WindowText, alert_colour(self))
        self.setPalette(own)


def alert_colour(widget: QWidget) -> QColor:
    """Return the red that is readable on the background of ``widget``."""
    window = widget.parentWidget() or widget
    return alarm_colour(window.palette())


class ConfigForm(QWidget):
    """All settings of a run, each checked as it is typed.

    Parameters
    ----------
    hidden : collection of str
        Settings without a row; they keep the value of :meth:`set_settings`.
    front : sequence of str, optional
        Settings in front, in this order; all others are folded under *Advanced*. By
        default those that :mod:`core.config` does not mark as advanced.
    """

    settings_changed = Signal()

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        hidden: Collection[str] = (),
        front: Sequence[str] | None = None,
    ) -> None:
        super().__init__(parent)
        self._fields = {
            field.name: field for field in config.setting_fields() if field.name not in hidden
        }
        if front is None:
            front = [name for name, field in self._fields.items() if not field.advanced]
        self._base = RunSettings()
        self._rows: dict[str, _FieldRow] = {}
        self._presets: dict[str, Chip] = {}
        self._headings: list[tuple[QLabel, list[str]]] = []
        self._alert = AlertLabel(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(self._build_presets())
        for name in front:
            layout.addWidget(self._build_row(self._fields[name]))
        layout.addWidget(self._alert)
        self._advanced = self._build_advanced([n for n in self._fields if n not in front])
        layout.addWidget(self._fold)
        layout.addWidget(self._advanced)
        layout.addStretch(1)
        self.set_settings(self._base)

    def set_settings(self, settings: RunSettings) -> None:
        """Show ``settings``; emits nothing."""
        self._base = settings
        for name, row in self._rows.items():
            row.write(getattr(getattr(settings, row.field.group), name))
        self.show_for([settings.training.network], [settings.training.regime])
        self._follow_values()

    def settings(self) -> RunSettings:
        """Return the settings as typed; what is wrong is said in red at its place.

        Raises
        ------
        SettingsError
            The first fault, if there is one.
        """
        first: SettingsError | None = None
        values = {}
        for name, row in self._rows.items():
            try:
                values[name] = row.read()
                row.show_fault("")
            except SettingsError as error:
                if row.isHidden():
                    continue  # it counts for no chosen network: what it was before will do
                row.show_fault(str(error))
                first = first or error
        self._alert.show_text("")
        if first is not None:
            raise first
        try:
            return config.change(self._base, self._changed(values))
        except SettingsError as error:
            self._alert.show_text(str(error))
            raise

    def set_start(self, network: str, regime: str) -> None:
        """Set the network and regime of :meth:`settings` where they have no row of their own."""
        training = dataclasses.replace(
            self._base.training, **{"network": network, "regime": regime}
        )
        self._base = dataclasses.replace(self._base, training=training)

    def show_for(self, networks: Sequence[str], regimes: Sequence[str]) -> None:
        """Show only what counts for one of ``networks`` and one of ``regimes``.

        Empty optional fields show what these networks get there.
        """
        for name, row in self._rows.items():
            # A path that was typed or dropped is never out of sight.
            is_path = name == "weights" and bool(row.raw())
            row.setVisible(is_path or row.field.counts_for(networks, regimes))
            if row.field.optional:
                row.set_placeholder(self._placeholder(name, networks))
        for heading, names in self._headings:
            heading.setVisible(any(not self._rows[name].isHidden() for name in names))

    def focus_first_fault(self) -> None:
        """Put the cursor into the first wrong field, unfolding *Advanced* where it is there."""
        for row in self._rows.values():
            if row.has_fault:
                if self._advanced.isAncestorOf(row):
                    self._fold.setChecked(True)
                row.editor.setFocus(Qt.FocusReason.OtherFocusReason)
                return

    def settings_if_right(self) -> RunSettings | None:
        """Return the settings as typed so far; None where a field is wrong, which is not said."""
        values = {}
        try:
            for name, row in self._rows.items():
                values[name] = row.read()
            return config.change(self._base, self._changed(values))
        except SettingsError:
            return None

    def add_below(self, name: str, widget: QWidget) -> None:
        """Put ``widget`` below the control of the setting ``name``."""
        self._rows[name].add_below(widget)

    def set_warning(self, name: str, text: str) -> None:
        """Say what speaks against the value of the setting ``name`` although it is allowed."""
        self._rows[name].set_warning(text)

    def editor(self, name: str) -> QWidget:
        """Return the control of the setting ``name``."""
        return self._rows[name].editor

    def fault(self, name: str) -> str:
        """Return the red text under the setting ``name``; empty where it is right."""
        row = self._rows[name]
        return row.message.text() if row.has_fault else ""

    def _changed(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value
            for name, value in values.items()
            if value != getattr(getattr(self._base, self._fields[name].group), name)
        }

    def _placeholder(self, name: str, networks: Sequence[str]) -> str:
        if not hasattr(RunSettings, name):
            return ""  # empty means none, and the setting's help says so
        chosen = {"optimiser": self._rows["optimiser"].raw()} if "optimiser" in self._rows else {}
        of_networks = [config.change(RunSettings(), {"network": n, **chosen}) for n in networks]
        values = sorted({getattr(settings, name) for settings in of_networks})
        is_ours = (
            name == "batch"
            or (name == "learning_rate" and chosen.get("optimiser") == "adam")
            or not set(networks).isdisjoint(config.CUSTOM_CNNS)
        )
        source = self.tr("default") if is_ours else self.tr("paper")
        return f"{' / '.join(value_text(value) for value in values)} ({source})" if values else ""

    def _build_presets(self) -> QHBoxLayout:
        layout = QHBoxLayout()
        layout.setSpacing(8)
        label = QLabel(self.tr("Preset"), self)
        label.setFixedWidth(scaled(LABEL_WIDTH))
        layout.addWidget(label)
        for name, values in config.PRESETS.items():
            listed = ", ".join(
                f"{self._fields[n].title.lower()} {choice_title(value_text(value))}"
                for n, value in values.items()
                if n in self._fields
            )
            chip = Chip(PRESET_TITLES.get(name, name), listed or self.tr("Our defaults"), self)
            chip.setObjectName(name)
            chip.clicked.connect(self._on_preset_clicked)
            self._presets[name] = chip
            layout.addWidget(chip)
        return layout

    def _build_row(self, field: SettingField) -> _FieldRow:
        row = _FieldRow(field, self)
        row.edited.connect(self._on_edited)
        self._rows[field.name] = row
        return row

    def _build_advanced(self, names: Sequence[str]) -> QWidget:
        self._fold = QToolButton(self)
        self._fold.setText(self.tr("Advanced"))
        self._fold.setCheckable(True)
        self._fold.setAutoRaise(True)
        self._fold.setArrowType(Qt.ArrowType.RightArrow)
        self._fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._fold.setToolTip(self.tr("Show or hide the settings that seldom change"))
        self._fold.setAccessibleName(self.tr("Advanced settings"))
        self._fold.setVisible(bool(names))
        self._fold.toggled.connect(self._on_fold_toggled)
        advanced = QWidget(self)
        layout = QVBoxLayout(advanced)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for title, below in self._by_heading(names).items():
            heading = QLabel(self.tr(title), advanced)
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            if self._headings:
                layout.addSpacing(8)
            layout.addWidget(heading)
            self._headings.append((heading, below))
            for name in below:
                layout.addWidget(self._build_row(self._fields[name]))
        advanced.hide()
        return advanced

    def _by_heading(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the settings below each heading, in the order of the groups."""
        found: dict[str, list[str]] = {}
        for group, title in GROUP_TITLES.items():
            for name in names:
                if self._fields[name].group == group:
                    found.setdefault(self._fields[name].heading or title, []).append(name)
        return found

    def _on_fold_toggled(self, is_open: bool) -> None:
        self._fold.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)
        self._advanced.setVisible(is_open)

    def _on_preset_clicked(self) -> None:
        preset = config.PRESETS[self.sender().objectName()]
        for name in _preset_names():
            if name in self._rows:
                self._rows[name].write(preset.get(name, self._fields[name].default))
        self._follow_values()
        self.settings_changed.emit()

    def _on_edited(self) -> None:
        self._alert.show_text("")
        self._follow_values()
        self.settings_changed.emit()

    def _follow_values(self) -> None:
        """Let presets, greyed fields and the leak warning follow what is typed."""
        raw = {name: row.raw() for name, row in self._rows.items()}
        if "network" in raw and "regime" in raw:
            self.show_for([raw["network"]], [raw["regime"]])
        for preset, chip in self._presets.items():
            chip.setChecked(self._is_preset(config.PRESETS[preset], raw))
        for name, (ruler, values) in _NEEDED_FOR.items():
            if name in self._rows and ruler in raw:
                self._rows[name].editor.setEnabled(raw[ruler] in values)
        if "mode" in self._rows:
            self._rows["mode"].set_warning(
                self.tr(
                    "Leaking split, as in the paper: slices of one person are in training and "
                    "in test, so accuracies are inflated."
                )
                if raw["mode"] == "slice"
                else ""
            )

    def _is_preset(self, preset: dict[str, Any], raw: dict[str, Any]) -> bool:
        for name in _preset_names():
            if name in raw:
                field = self._fields[name]
                try:
                    if field.parse(raw[name]) != preset.get(name, field.default):
                        return False
                except SettingsError:
                    return False
        return True


def _preset_names() -> set[str]:
    return {name for values in config.PRESETS.values() for name in values}


class _FieldRow(QWidget):
    """One setting: title, control, unit, explanation, and what is wrong with it below."""

    edited = Signal()

    def __init__(self, field: SettingField, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.has_fault = False
        self._warning = ""
        self.message = AlertLabel(self)
        self.editor = self._build_editor()
        self.editor.setAccessibleName(
            f"{field.title} ({field.unit})" if field.unit else field.title
        )
        self.editor.setAccessibleDescription(field.help)
        self.editor.setToolTip(_help_text(field))
        title = QLabel(field.title, self)
        title.setWordWrap(True)
        title.setFixedWidth(scaled(LABEL_WIDTH))
        title.setBuddy(self.editor)
        title.setToolTip(_help_text(field))
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(8)
        layout.setVerticalSpacing(2)
        layout.addWidget(title, 0, 0)
        layout.addWidget(self.editor, 0, 1)
        if field.unit:
            layout.addWidget(QLabel(field.unit, self), 0, 2)
        layout.addWidget(_HelpButton(field, self), 0, 3)
        layout.addWidget(self.message, 1, 1, 1, 3)
        layout.setColumnStretch(1, 1)

    def write(self, value: Any) -> None:  # noqa: ANN401 - the value of any setting
        """Show ``value`` without saying that it changed."""
        with QSignalBlocker(self.editor):
            if isinstance(self.editor, QCheckBox):
                self.editor.setChecked(bool(value))
            elif isinstance(self.editor, QComboBox):
                self.editor.setCurrentIndex(self.editor.findData(value))
            else:
                self.editor.setText(value_text(value))
        self.show_fault("")

    def raw(self) -> Any:  # noqa: ANN401 - text, choice or truth
        """Return what stands in the control, unchecked."""
        if isinstance(self.editor, QCheckBox):
            return self.editor.isChecked()
        if isinstance(self.editor, QComboBox):
            return self.editor.currentData()
        return self.editor.text().strip()

    def read(self) -> Any:  # noqa: ANN401 - the value of any setting
        """Return the checked value.

        Raises
        ------
        SettingsError
            If it is not allowed.
        """
        return self.field.parse(self.raw())

    def add_below(self, widget: QWidget) -> None:
        """Put ``widget`` below the control and what is said of it."""
        layout = self.layout()
        assert isinstance(layout, QGridLayout)
        layout.addWidget(widget, layout.rowCount(), 1, 1, 3)

    def show_fault(self, text: str) -> None:
        """Say what is wrong; an empty text brings back the warning, if any."""
        self.has_fault = bool(text)
        self.message.show_text(text or self._warning)

    def set_warning(self, text: str) -> None:
        """Say what is dangerous although it is allowed."""
        if text != self._warning:
            self._warning = text
            if not self.has_fault:
                self.message.show_text(text)

    def set_placeholder(self, text: str) -> None:
        """Show in grey what an empty field means."""
        if isinstance(self.editor, QLineEdit):
            self.editor.setPlaceholderText(text)

    def _build_editor(self) -> QCheckBox | QComboBox | QLineEdit | _PathBox:
        if self.field.choices:
            box = _ChoiceBox(self)
            for choice in self.field.choices:
                box.addItem(choice_title(choice), choice)
            box.currentIndexChanged.connect(self._on_edited)
            return box
        if self.field.kind is bool:
            check = QCheckBox(self)
            check.toggled.connect(self._on_edited)
            return check
        if self.field.name == "weights":
            path = _PathBox(self)
            path.edited.connect(self._on_edited)
            return path
        # A line of text, not QDoubleSpinBox: in a German locale Qt reads "0.001" as 1.
        line = QLineEdit(self)
        line.setMinimumWidth(scaled(72))
        line.textEdited.connect(self._on_edited)
        line.editingFinished.connect(self._on_finished)
        return line

    def _on_edited(self) -> None:
        # Half-typed numbers are not scolded: red comes when the field is left.
        if self.has_fault:
            self._check()
        self.edited.emit()

    def _on_finished(self) -> None:
        self._check()

    def _check(self) -> None:
        try:
            self.read()
        except SettingsError as error:
            self.show_fault(str(error))
        else:
            self.show_fault("")


def _help_text(field: SettingField) -> str:
    return f"{field.help} ({field.unit})" if field.unit else field.help


class _HelpButton(QToolButton):
    """A '?' that explains one setting, by pointer and by keyboard."""

    def __init__(self, field: SettingField, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("?")
        self.setAutoRaise(True)
        self.setFixedSize(scaled(22), scaled(22))
        self.setToolTip(_help_text(field))
        self.setAccessibleName(self.tr("What is {name}?").format(name=field.title))
        self.setAccessibleDescription(field.help)
        self.clicked.connect(self._on_clicked)

    def _on_clicked(self) -> None:
        QToolTip.showText(self.mapToGlobal(QPoint(0, self.height())), self.toolTip(), self)


class _ChoiceBox(QComboBox):
    """A combo box that a wheel changes only where it has the focus."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area, lest scrolling past changes a setting."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class _PathBox(QFrame):
    """The path of a weights file or of an earlier run: typed, browsed or dropped."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = _PathLine(self)
        self.line.setPlaceholderText(self.tr("ImageNet"))
        self.line.textChanged.connect(self.edited)
        self.setFocusProxy(self.line)
        browse = QToolButton(self)
        browse.setText(self.tr("Browse…"))
        browse.setAccessibleName(self.tr("Browse for weights"))
        browse.setToolTip(self.tr("Choose a weights file or the folder of an earlier run"))
        browse.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(browse)
        menu.addAction(self.tr("Weights file…"), self._on_browse_file)
        menu.addAction(self.tr("Earlier run…"), self._on_browse_run)
        browse.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.line, 1)
        layout.addWidget(browse)

    def text(self) -> str:
        """Return the path."""
        return self.line.text()

    def setText(self, text: str) -> None:
        """Show the path ``text``."""
        self.line.setText(text)

    def setAccessibleName(self, name: str) -> None:
        """Name the line, which is what has the focus."""
        super().setAccessibleName(name)
        self.line.setAccessibleName(name)

    def _on_browse_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Choose a weights file"),
            self.text(),
            self.tr("Weights (*.safetensors *.pth *.pt);;All files (*)"),
        )
        if path:
            self.setText(path)

    def _on_browse_run(self) -> None:
        path = QFileDialog.getExistingDirectory(self, self.tr("Choose a run folder"), self.text())
        if path:
            self.setText(path)


class _PathLine(QLineEdit):
    """A line that takes a dropped file as its path, not as ``file:///``."""

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept one local file or folder, and text as any line does."""
        if event.mimeData().hasUrls():
            is_one = len(event.mimeData().urls()) == 1
            event.setAccepted(is_one and event.mimeData().urls()[0].isLocalFile())
            if event.isAccepted():
                event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Put in the path of the dropped file."""
        urls = event.mimeData().urls()
        if not urls:
            super().dropEvent(event)
        elif urls[0].isLocalFile():
            self.setText(urls[0].toLocalFile())
            event.acceptProposedAction()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Select the whole path; its words mean nothing alone."""
        del event
        self.selectAll()
