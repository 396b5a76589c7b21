"""Runs that went on in the user's data folder are listed with the others (faults P4)."""

from __future__ import annotations

from core.config import RunSettings
from core.progress import RunMoved
from core.run_folder import create_run
from core.user_folder import rescued_runs
from mrifcl_gui.live_run_view import LiveRunView
from mrifcl_gui.run_queue import RunQueueView
from tests.tiny_cohort import tiny, wait_until_idle


def make_run(folder):
    writer = create_run(folder, RunSettings(), {"classes": ["AD", "NC"]})
    writer.update(state="stopped")
    writer.close()
    return writer.path


def test_that_a_rescued_run_is_listed_once(qtbot, session):
    usual, rescued = make_run(session.runs_folder), make_run(rescued_runs())
    session._extra_runs.append(rescued.absolute())
    with qtbot.waitSignal(session.runs_changed, timeout=20_000) as caught:
        session.refresh_runs()
    wait_until_idle(qtbot)
    assert sorted(run.path for run in caught.args[0]) == sorted([usual, rescued])


def test_that_the_queue_and_the_live_view_follow_a_run_to_its_new_folder(qtbot, tmp_path):
    queue = RunQueueView()
    live = LiveRunView(None, make_figure_view=_no_view)
    for widget in (queue, live):
        qtbot.addWidget(widget)
    queue.add([tiny()])
    queue.mark_running(tiny())
    for widget in (queue, live):
        widget.show_event(RunMoved(tmp_path / "new"))
    (entry,) = queue._entries
    assert entry.path == tmp_path / "new"
    assert live._path == tmp_path / "new"


def _no_view():
    from PySide6.QtWidgets import QWidget

    return QWidget()
