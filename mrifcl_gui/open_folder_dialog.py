"""What was recognised in a dropped folder, to be confirmed or changed before it is scanned."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from core.data.findings import counted
from core.data.folder_look import FolderLook, LeftOut
from core.data.labels import some
from core.data.table_kind import TABLE_SUFFIXES
from core.tasks import ScanChoices
from mrifcl_gui.class_choice import ClassChoice
from mrifcl_gui.dropped_paths import local_paths
from mrifcl_gui.layout_form import LayoutForm
from mrifcl_gui.name_preview import NamePreview
from mrifcl_gui.theme import BODY, MARGIN, alarm_colour, set_type

# A longer one would need more width than there is, as names do not wrap.
_LONGEST_NAME = 34


class OpenFolderDialog(QDialog):
    """Asks whether a folder is read rightly; the answer is ``confirmed``.

    Whoever gets ``layout_changed`` or ``table_chosen`` answers with :meth:`show_look`.
    """

    layout_changed = Signal(object, object)  # FolderLook, Layout
    table_chosen = Signal(object, object)  # FolderLook, Path
    confirmed = Signal(object)  # ScanChoices

    def __init__(self, look: FolderLook, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Open scans"))
        self._look = look
        self._is_waiting = False
        self._form = LayoutForm(self)
        self._classes = ClassChoice(self)
        self._rows = NamePreview(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(MARGIN)
        column.addLayout(self._build_heading())
        column.addWidget(self._form)
        column.addWidget(self._build_middle(), 1)
        column.addLayout(self._build_options())
        column.addWidget(self._build_problem())
        column.addLayout(self._build_buttons())
        self._form.edited.connect(self._on_edited)
        self._form.layout_changed.connect(self._on_layout_changed)
        self._form.table_chosen.connect(self._on_table_chosen)
        self._classes.changed.connect(self._write_buttons)
        screen = QGuiApplication.primaryScreen().availableSize()
        self.resize(QSize(920, 680).boundedTo(screen * 0.92))
        self.show_look(look)
        self._scan.setFocus()
        self.setAcceptDrops(True)

    def takes(self, look: FolderLook) -> bool:
        """Tell whether a look is at what the dialog shows."""
        return look.found is self._look.found

    def show_look(self, look: FolderLook) -> None:
        """Show what was recognised."""
        self._look, self._is_waiting = look, False
        layout = look.layout
        self._heading.setText(layout.title)
        self._words.setText(f"{self._place_text(look)} {layout.class_from} {layout.subject_from}")
        self._form.show_look(look)
        self._classes.show_classes(look.classes)
        self._rows.show_rows(look.rows, has_pattern=bool(layout.subject_pattern))
        shown = self.tr("Files as they will be read")
        if len(look.rows) < look.n_files:
            shown += self.tr(" ({0} of {1})").format(len(look.rows), look.n_files)
        self._rows_title.setText(shown)
        self._show_left_out(look)
        self._key_file.setVisible(look.has_unnamed_patients)
        self._again.setVisible(look.known is not None)
        if look.known is not None:
            self._again.setText(self._again_text(look.known.folder.stem, look.known.n_changed))
        self._write_buttons()

    def choices(self) -> ScanChoices:
        """Return what the user confirms."""
        known = self._look.known
        labels = tuple(item.label for item in self._classes.chosen)
        return ScanChoices(
            self._look.folders,
            self._look.layout,
            classes=() if self._classes.are_all_chosen else labels,
            with_key_file=self._look.has_unnamed_patients and self._key_file.isChecked(),
            into=known.folder if known is not None and self._again.isChecked() else None,
        )

    def accept(self) -> None:
        """Confirm, by the button or Enter, if all is known that is needed."""
        if self._scan.isEnabled():
            self.confirmed.emit(self.choices())
            super().accept()

    def _build_heading(self) -> QVBoxLayout:
        self._heading = _label(size=16, bold=True)
        self._words = _label()
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(self._heading)
        column.addWidget(self._words)
        return column

    def _build_middle(self) -> QWidget:
        self._left_out = _label()
        self._left_out.setAlignment(Qt.AlignmentFlag.AlignTop)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._left_out)
        self._left_out_title = _label(self.tr("Left out"), bold=True)
        self._rows_title = _label(bold=True)
        self._left_out_area = _titled(self._left_out_title, scroll)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(MARGIN)
        classes = _titled(_label(self.tr("Classes"), bold=True), self._classes)
        # Else it would float in the middle where nothing is left out.
        classes.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column.addWidget(classes)
        column.addWidget(self._left_out_area, 1)
        column.addStretch()
        middle = QSplitter(Qt.Orientation.Horizontal)
        middle.addWidget(left)
        middle.addWidget(_titled(self._rows_title, self._rows))
        middle.setStretchFactor(0, 2)
        middle.setStretchFactor(1, 3)
        middle.setChildrenCollapsible(False)
        return middle

    def _build_options(self) -> QVBoxLayout:
        self._key_file = QCheckBox(
            self.tr("Write dicom_keys.csv beside the scans, to tell later who sub-001 is")
        )
        self._key_file.setToolTip(
            self.tr(
                "Patients without names get keys (sub-001 …). The file says which hash of a "
                "patient's id has which key; it holds no id itself."
            )
        )
        self._again = QCheckBox()
        self._again.setChecked(True)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addWidget(self._again)
        column.addWidget(self._key_file)
        return column

    def _build_problem(self) -> QWidget:
        self._problem = _label()
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.WindowText, alarm_colour(palette))
        self._problem.setPalette(palette)
        return self._problem

    def _build_buttons(self) -> QHBoxLayout:
        cancel = QPushButton(self.tr("Cancel"))
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        self._scan = QPushButton()
        self._scan.setProperty("primary", True)
        self._scan.setDefault(True)
        self._scan.clicked.connect(self.accept)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self._scan)
        return row

    def _place_text(self, look: FolderLook) -> str:
        if len(look.folders) == 1:
            return self.tr("Folder '{0}'.").format(look.root.name)
        names = [f"'{folder.name}'" for folder in look.folders]
        return self.tr("{0} folders: {1}.").format(len(names), some(names))

    def _again_text(self, name: str, n_changed: int) -> str:
        text = self.tr("Scan into the cohort '{0}' of this folder again").format(name)
        if n_changed:
            text += self.tr(" and keep your changes to {0}").format(counted(n_changed, "scan"))
        return text

    def _show_left_out(self, look: FolderLook) -> None:
        lines = [_left_out_text(item) for item in look.left_out]
        lines += look.layout.notes
        n_files = sum(item.n_files for item in look.left_out)
        title = self.tr("Left out ({0})").format(counted(n_files, "file"))
        self._left_out_title.setText(title if n_files else self.tr("To know"))
        self._left_out.setText("\n".join(f"• {line}" for line in lines))
        self._left_out_area.setVisible(bool(lines))

    def _write_buttons(self) -> None:
        chosen = self._classes.chosen
        subjects = frozenset[str]().union(*(item.subjects for item in chosen))
        n_unnamed = sum(item.n_unnamed for item in chosen)
        parts = [counted(len(subjects), "subject")] if subjects else []
        parts += [counted(n_unnamed, "DICOM file")] if n_unnamed else []
        self._scan.setText(self.tr("Scan {0}").format(" and ".join(parts)).strip())
        problem = self._look.problem
        if not problem and not chosen:
            problem = self.tr("No class is chosen. Tick at least one, two to train.")
        # The form shows what is wrong with a pattern in its place.
        self._problem.setText("" if self._is_waiting else problem)
        self._problem.setVisible(bool(self._problem.text()))
        is_ready = not problem and not self._is_waiting and not self._form.pattern_problem
        self._scan.setEnabled(is_ready)

    def _on_edited(self) -> None:
        self._is_waiting = True
        self._write_buttons()

    def _on_layout_changed(self, layout: object) -> None:
        self.layout_changed.emit(self._look, layout)

    def _on_table_chosen(self, path: object) -> None:
        self.table_chosen.emit(self._look, path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take one table of labels."""
        paths = local_paths(event.mimeData())
        if len(paths) == 1 and paths[0].suffix.lower() in TABLE_SUFFIXES:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Read the classes from the table that was dropped."""
        event.acceptProposedAction()
        self._on_table_chosen(local_paths(event.mimeData())[0])


def _left_out_text(item: LeftOut) -> str:
    name = item.example.rsplit("/", 1)[-1]
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME // 2]}…{name[-_LONGEST_NAME // 2 :]}"
    if item.n_files == 1:
        return f"'{name}': {item.reason}"
    return f"{item.n_files} files, such as '{name}': {item.reason}"


def _label(text: str = "", *, size: int = 0, bold: bool = False) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    set_type(label, size or BODY, bold=bold)
    return label


def _titled(title: QLabel, content: QWidget) -> QWidget:
    title.setBuddy(content)
    box = QWidget()
    column = QVBoxLayout(box)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    column.addWidget(title)
    column.addWidget(content, 1)
    return box
