"""What the window asks for in dialogs: folders, tables, a pattern."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QWidget

from core.data.scan_folder import compile_pattern
from core.errors import CohortError
from mrifcl_gui import preferences
from mrifcl_gui.session import Session


class WindowQuestions(QObject):
    """Asks the user and hands the answer to the session; a dialog that is left changes nothing.

    Parameters
    ----------
    window : QWidget
        What the dialogs lie above.
    session : Session
    """

    def __init__(self, window: QWidget, session: Session) -> None:
        super().__init__(window)
        self._window = window
        self._session = session

    def ask_folder(self) -> None:
        """Let the user choose a folder of scans."""
        chosen = QFileDialog.getExistingDirectory(self._window, self.tr("Folder of scans"))
        if chosen:
            self._session.open_paths([Path(chosen)])

    def ask_labelled(self) -> None:
        """Let the user choose a folder of scans and the table that says their classes."""
        folder = QFileDialog.getExistingDirectory(self._window, self.tr("Folder of scans"))
        if not folder:
            return
        table, _ = QFileDialog.getOpenFileName(
            self._window,
            self.tr("Table with a subject and a class column"),
            folder,
            self.tr("Tables (*.csv *.tsv *.txt)"),
        )
        if table:
            self._session.look([Path(folder)], labels=Path(table))

    def ask_existing(self) -> None:
        """Let the user choose a stored cohort or a run folder."""
        chosen = QFileDialog.getExistingDirectory(
            self._window,
            self.tr("A NAME.mrifcl cohort or a run folder"),
            str(self._session.data_folder),
        )
        if chosen:
            self._session.open_paths([Path(chosen)])

    def ask_pattern(self) -> None:
        """Let the user give the regular expression that tells subjects from file names."""
        text, given = QInputDialog.getText(
            self._window,
            self.tr("Subject pattern"),
            self.tr(
                "Regular expression with a group subject (and session, slice), tried on each "
                "file name.\nEmpty: OASIS, BIDS and ADNI names are recognised by themselves.\n"
                "Example: (?P<subject>P[0-9]+)_(?P<session>V[0-9])"
            ),
            QLineEdit.EchoMode.Normal,
            preferences.subject_pattern(),
        )
        if not given:
            return
        try:
            if text:
                compile_pattern(text)
        except CohortError as error:
            self._session.problem.emit(error)
            return
        preferences.set_subject_pattern(text)

    def ask_data_folder(self) -> None:
        """Let the user choose where cohorts and runs are kept."""
        chosen = QFileDialog.getExistingDirectory(
            self._window, self.tr("Folder for cohorts and runs"), str(self._session.data_folder)
        )
        if chosen:
            preferences.set_data_folder(Path(chosen))
            self._session.data_folder = Path(chosen)
            self._session.refresh_runs()
