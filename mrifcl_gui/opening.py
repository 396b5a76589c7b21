"""From an empty frame on the screen to the whole window, a step at a time.

The frame is painted first; then the parts are loaded and built, and between two steps the
window answers; torch comes last, in a thread, when the window is in use already.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from mrifcl_gui import preferences
from mrifcl_gui.binding_check import check_binding
from mrifcl_gui.main_window import MainWindow

# Long enough for the first click to be answered before torch takes its share of the CPU.
WARM_UP_MS = 200


class Opening(QObject):
    """Completes a window after its first paint and opens what it was started on.

    Parameters
    ----------
    window : MainWindow
        Without a session yet.
    paths : list of Path
        Opened as soon as the window can.

    Signals
    -------
    ready
        The place in front can be used.
    complete
        All places and menus are built.
    """

    ready = Signal()
    complete = Signal()

    def __init__(self, window: MainWindow, paths: list[Path]) -> None:
        super().__init__(window)
        self._window = window
        self._paths = paths
        self._steps = self._build()
        self._turn = QTimer(self, interval=0)
        self._turn.timeout.connect(self._on_turn)
        window.painted.connect(self._turn.start)

    def _build(self) -> Generator[None]:
        from mrifcl_gui.class_mark import CLASS_MARKS
        from mrifcl_gui.session import Session

        CLASS_MARKS.use(preferences.class_colours())
        session = Session(self._window)
        yield
        self._window.build_cohort(session)
        if self._paths:
            session.open_paths(self._paths)
        self.ready.emit()
        yield
        import pyqtgraph  # noqa: F401 - what follows draws with it

        yield
        import mrifcl_gui.training_panel

        yield
        import mrifcl_gui.analysis_tabs  # noqa: F401 - the longest to load

        yield
        yield from self._window.build_rest()
        check_binding()
        QTimer.singleShot(WARM_UP_MS, session, session.warm_up)
        self.complete.emit()

    def _on_turn(self) -> None:
        if not self._window.isVisible():
            # Closed before it was whole.
            self._turn.stop()
            self._steps.close()
        elif next(self._steps, self) is self:
            self._turn.stop()
