"""How a folder is read: layout, table and its columns, ratings, subject pattern; to be changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QPalette, QResizeEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from core.data.file_names import compile_pattern
from core.data.folder_look import FolderLook
from core.data.layout import Layout
from core.data.layout_words import choice_text
from core.errors import CohortError
from mrifcl_gui.elided_label import ElidedLabel
from mrifcl_gui.icons import put_icon
from mrifcl_gui.theme import alarm_colour

# While a word is typed, the folder is not looked at letter by letter.
TYPING_MS = 300
_RATINGS = (0.0, 0.5, 1.0)
_USUAL_CLASSES = ("NC", "MCI", "AD")


class LayoutForm(QWidget):
    """Shows a layout and lets the user change it.

    Whoever gets ``layout_changed`` or ``table_chosen`` answers with :meth:`show_look`.
    """

    edited = Signal()  # a change has begun; one of the others follows once it is whole
    layout_changed = Signal(object)  # Layout
    table_chosen = Signal(object)  # Path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look: FolderLook | None = None
        self._base: Layout | None = None
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.timeout.connect(self._on_settled)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self._form = QFormLayout()
        column.addLayout(self._form)
        self._form.setSpacing(8)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._build_kind()
        self._build_table()
        self._build_ratings()
        self._build_pattern()
        column.addWidget(self._state)

    @property
    def pattern_problem(self) -> str:
        """What is wrong with the subject pattern; empty where nothing is."""
        try:
            if text := self._pattern.text().strip():
                compile_pattern(text)
        except CohortError as error:
            return str(error)
        return ""

    def show_look(self, look: FolderLook) -> None:
        """Show the layout of a look and what its pattern captures."""
        self._look, self._base = look, look.layout
        layout = look.layout
        controls = (self._kind, self._subject, self._label, self._pattern, *self._ratings)
        blockers = [QSignalBlocker(control) for control in controls]
        self._kind.clear()
        self._kind.addItems([choice_text(choice) for choice in look.layouts])
        self._kind.setCurrentIndex(look.layouts.index(layout))
        self._table_name.setText(layout.table.name if layout.table else self.tr("none yet"))
        self._table_name.setToolTip(str(layout.table or ""))
        self._fill_columns(self._subject, layout.columns, layout.subject_column)
        self._fill_columns(self._label, layout.columns, layout.class_column)
        rules = dict(layout.class_rules)
        for rating, combo in zip(_RATINGS, self._ratings, strict=True):
            if not combo.hasFocus():
                combo.setCurrentText(rules.get(rating, "") or self._left_out)
        # What the user types meanwhile is newer than what was looked at.
        if not self._pattern.hasFocus():
            self._pattern.setText(layout.subject_pattern)
        del blockers
        self._show_rows(layout)
        self._write_pattern_state()

    def layout_as_set(self) -> Layout:
        """Return the layout with the user's values."""
        assert self._base is not None
        layout, changeable = self._base, self._base.changeable
        changes: dict[str, object] = {"subject_pattern": self._pattern.text().strip()}
        if "subject_column" in changeable:
            changes["subject_column"] = self._subject.currentText()
        if "class_column" in changeable:
            changes["class_column"] = self._label.currentText()
        if "class_rules" in changeable:
            classes = [combo.currentText().strip() for combo in self._ratings]
            changes["class_rules"] = tuple(
                (rating, "" if label == self._left_out else label)
                for rating, label in zip(_RATINGS, classes, strict=True)
            )
        return replace(layout, **changes)

    def _build_kind(self) -> None:
        self._kind = _combo(self.tr("How the folder is laid out"))
        self._kind.currentIndexChanged.connect(self._on_kind)
        self._form.addRow(self.tr("Read as"), self._kind)

    def _build_table(self) -> None:
        self._table = QWidget()
        self._table_name = ElidedLabel()
        choose = QPushButton(self.tr("Choose table…"))
        put_icon(choose, "table")
        choose.setToolTip(self.tr("CSV or TSV with a column of subjects and one of classes"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._on_choose_table)
        row = QHBoxLayout(self._table)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._table_name, 1)
        row.addWidget(choose)
        self._subject = _combo(self.tr("Column that names the subject"))
        self._label = _combo(self.tr("Column that names the class"))
        for combo in (self._subject, self._label):
            combo.currentIndexChanged.connect(self._on_chosen)
        self._form.addRow(self.tr("Table of labels"), self._table)
        self._form.addRow(self.tr("Subject column"), self._subject)
        self._form.addRow(self.tr("Class column"), self._label)

    def _build_ratings(self) -> None:
        self._left_out = self.tr("leave out")
        self._rules = QWidget()
        self._rules.setToolTip(
            self.tr(
                "Clinical dementia rating of OASIS-1: 0 none, 0.5 very mild, 1 mild, 2 moderate.\n"
                "Young subjects were not rated; they are left out."
            )
        )
        row = QHBoxLayout(self._rules)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        self._ratings = []
        names = (self.tr("CDR 0"), self.tr("CDR 0.5"), self.tr("CDR 1 or more"))
        for name in names:
            combo = _combo(self.tr("Class of {0}").format(name))
            combo.setEditable(True)
            combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
            combo.addItems([*_USUAL_CLASSES, self._left_out])
            combo.currentTextChanged.connect(self._on_typed)
            label = QLabel(name)
            label.setBuddy(combo)
            row.addWidget(label)
            row.addWidget(combo, 1)
            self._ratings.append(combo)
        self._form.addRow(self.tr("Classes"), self._rules)

    def _build_pattern(self) -> None:
        self._pattern = QLineEdit()
        self._pattern.setAccessibleName(self.tr("Subject pattern"))
        self._pattern.setPlaceholderText(
            self.tr("none needed: names of OASIS, BIDS and ADNI are known")
        )
        self._pattern.setToolTip(
            self.tr(
                "Regular expression with a group subject (and session, slice), tried on each "
                "file name.\nExample: (?P<subject>P[0-9]+)_(?P<session>V[0-9])"
            )
        )
        self._pattern.textEdited.connect(self._on_typed)
        self._state = QLabel()
        self._state.setTextFormat(Qt.TextFormat.PlainText)
        self._state.setWordWrap(True)
        self._form.addRow(self.tr("Subject pattern"), self._pattern)

    def _fill_columns(self, combo: QComboBox, columns: tuple[str, ...], chosen: str) -> None:
        combo.clear()
        combo.addItems(columns)
        combo.setCurrentIndex(columns.index(chosen) if chosen in columns else -1)

    def _show_rows(self, layout: Layout) -> None:
        uses_table = layout.kind in ("bids", "oasis", "table")
        has_columns = bool(layout.columns)
        for widget, is_shown in (
            (self._table, uses_table),
            (self._subject, has_columns and "subject_column" in layout.changeable),
            (self._label, has_columns and "class_column" in layout.changeable),
            (self._rules, "class_rules" in layout.changeable),
        ):
            self._form.setRowVisible(widget, is_shown)

    def _write_pattern_state(self) -> None:
        problem = self.pattern_problem
        text = problem
        if not problem and self._look is not None and self._look.layout.subject_pattern:
            missed = self._look.n_files - self._look.n_by_pattern
            text = self.tr("It tells the subject of {0} of {1} files.").format(
                self._look.n_by_pattern, self._look.n_files
            )
            if missed:
                text += " " + self.tr("The others are read by their names.")
        palette = self.palette()
        if problem:
            palette.setColor(QPalette.ColorRole.WindowText, alarm_colour(palette))
        self._state.setPalette(palette)
        self._state.setText(text)
        self._state.setVisible(bool(text))

    def _on_kind(self, index: int) -> None:
        if self._look is not None and index >= 0:
            self._base = self._look.layouts[index]
            with QSignalBlocker(self._subject), QSignalBlocker(self._label):
                self._fill_columns(self._subject, self._base.columns, self._base.subject_column)
                self._fill_columns(self._label, self._base.columns, self._base.class_column)
            for rating, combo in zip(_RATINGS, self._ratings, strict=True):
                with QSignalBlocker(combo):
                    rules = dict(self._base.class_rules)
                    combo.setCurrentText(rules.get(rating, "") or self._left_out)
            self._on_chosen()

    def _on_chosen(self) -> None:
        self._begin(0)

    def _on_typed(self) -> None:
        self._write_pattern_state()
        self._begin(TYPING_MS)

    def _begin(self, delay_ms: int) -> None:
        self._settled.start(delay_ms)
        self.edited.emit()

    def _on_settled(self) -> None:
        if not self.pattern_problem:
            self.layout_changed.emit(self.layout_as_set())

    def _on_choose_table(self) -> None:
        start = str(self._look.root) if self._look else ""
        chosen, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Table with a subject and a class column"),
            start,
            self.tr("Tables (*.csv *.tsv *.txt)"),
        )
        if chosen:
            self._settled.stop()
            self.edited.emit()
            self.table_chosen.emit(Path(chosen))

    # Qt

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep what is said of the pattern below it."""
        super().resizeEvent(event)
        self._state.setContentsMargins(self._pattern.x(), 0, 0, 0)


def _combo(name: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(name)
    # A folder of long column names must not widen the dialog.
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return combo
