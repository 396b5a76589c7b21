"""The queue: order, removal with undo, retry, pause and skip, the table, and a restart."""

import json

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton

from core.progress import BatchDone, EpochMetrics, RunStarted
from core.run_folder import Run, list_runs
from mrifcl_gui.job import cancel_and_wait
from mrifcl_gui.main_window import MainWindow
from mrifcl_gui.queue_memory import QueueMemory
from mrifcl_gui.run_queue import RunQueueView
from mrifcl_gui.session import Session
from tests.tiny_cohort import make_cohort, tiny, wait_until_idle

LIMIT_MS = 60_000
NAN = float("nan")


@pytest.fixture
def queue(qtbot):
    widget = RunQueueView()
    qtbot.addWidget(widget)
    widget.resize(376, 300)
    widget.show()
    return widget


def seeds(queue):
    return [entry.settings.training.seed for entry in queue._entries]


def select(queue, *rows):
    queue._list.clearSelection()
    for row in rows:
        queue._list.topLevelItem(row).setSelected(True)


def selected(queue):
    return sorted(queue._selected())


def press(queue, text):
    (button,) = [b for b in queue.findChildren(QPushButton) if b.text() == text]
    assert button.isVisible(), text
    button.click()


def texts(queue, column=2):
    view = queue._list
    return [view.topLevelItem(row).text(column) for row in range(view.topLevelItemCount())]


def metrics(epoch, seconds=2.0, left=10.0):
    return EpochMetrics(epoch, 0.5, 0.5, 0.5, 0.5, 1e-3, seconds, None, None, None, left)


# Order


def test_that_keys_move_waiting_runs_past_what_does_not_wait(queue, qtbot):
    queue.add([tiny(seed=n) for n in range(5)])
    queue.set_state(1, "running")
    orders = []
    queue.ordered.connect(orders.append)
    select(queue, 2)
    qtbot.keyClick(queue._list, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert seeds(queue) == [2, 1, 0, 3, 4]
    assert selected(queue) == [0]
    qtbot.keyClick(queue._list, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert seeds(queue) == [2, 1, 0, 3, 4]
    select(queue, 2, 3)
    qtbot.keyClick(queue._list, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert seeds(queue) == [2, 1, 4, 0, 3]
    assert [run.training.seed for run in queue.waiting()] == [2, 4, 0, 3]
    assert orders[-1] == [entry.key for entry in queue._entries]


def test_that_dragged_runs_go_where_they_are_dropped(queue):
    queue.add([tiny(seed=n) for n in range(4)])
    select(queue, 0, 1)
    queue.drop_selected(4)
    assert seeds(queue) == [2, 3, 0, 1]
    select(queue, 3)
    queue.drop_selected(0)
    assert seeds(queue) == [1, 2, 3, 0]
    assert selected(queue) == [0]


def test_that_a_running_run_is_not_dragged(queue):
    queue.add([tiny(seed=n) for n in range(3)])
    queue.set_state(0, "running")
    assert not queue._list.topLevelItem(0).flags() & Qt.ItemFlag.ItemIsDragEnabled
    assert queue._list.topLevelItem(1).flags() & Qt.ItemFlag.ItemIsDragEnabled
    select(queue, 0)
    queue.drop_selected(3)
    assert seeds(queue) == [0, 1, 2]


# Remove, undo, retry, clear


def test_that_a_removal_is_undone_in_place_by_button_and_key(queue, qtbot):
    queue.add([tiny(seed=n) for n in range(4)])
    select(queue, 1, 3)
    qtbot.keyClick(queue._list, Qt.Key.Key_Delete)
    assert seeds(queue) == [0, 2]
    press(queue, "Undo remove")
    assert seeds(queue) == [0, 1, 2, 3]
    select(queue, 0)
    press(queue, "Remove")
    assert seeds(queue) == [1, 2, 3]
    qtbot.keyClick(queue._list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert seeds(queue) == [0, 1, 2, 3]
    queue.undo_remove()
    assert seeds(queue) == [0, 1, 2, 3]


def test_that_a_failed_run_waits_again_at_the_end(queue):
    queue.add([tiny(seed=n) for n in range(3)])
    queue.set_state(0, "failed", "No weights")
    select(queue, 0)
    press(queue, "Try again")
    assert seeds(queue) == [1, 2, 0]
    assert queue.states() == ["waiting"] * 3
    assert "No weights" not in queue._list.topLevelItem(2).toolTip(0)


def test_that_only_buttons_that_can_do_something_are_seen(queue):
    def shown():
        return {b.text() for b in queue.findChildren(QPushButton) if b.isVisible()}

    assert shown() == set()
    queue.add([tiny(), tiny(seed=1)])
    assert shown() == {"Table…"}
    select(queue, 0)
    assert shown() == {"Table…", "Up", "Down", "Remove"}
    queue.set_state(0, "running")
    assert shown() == {"Table…", "Pause after this run", "Skip"}
    queue.set_state(0, "done")
    assert shown() == {"Table…", "Clear ended"}


def test_that_the_menu_offers_the_same(queue):
    queue.add([tiny(), tiny(seed=1)])
    select(queue, 1)
    actions = {action.text().split("\t")[0]: action for action in queue.build_menu().actions()}
    assert actions["Up"].isEnabled()
    assert not actions["Try again"].isEnabled()
    actions["Remove"].trigger()
    assert seeds(queue) == [0]


# What is told


def test_that_the_running_row_counts_epochs_and_the_time_left_adds_up(queue, tmp_path):
    queue.add([tiny(epochs=6), tiny(epochs=10, seed=1), tiny(network="googlenet", epochs=3)])
    queue.mark_running(tiny(epochs=6))
    queue.show_event(RunStarted(tmp_path / "run", 6))
    queue.show_event(metrics(2, seconds=2.0, left=8.0))
    assert texts(queue)[0] == "▶ 2/6"
    assert queue.seconds_left() == (8.0 + 20.0, False)
    assert queue._count.text() == "Queue: 2 waiting, more than 0:00:28 left"
    select(queue, 2)
    queue.remove_selected()
    assert queue._count.text() == "Queue: 1 waiting, 0:00:28 left"
    queue.show_event(BatchDone(3, 1, 2, 0.5, 10.0, NAN))
    assert queue.seconds_left()[1] is False


def test_that_ended_runs_show_their_accuracy(queue, trained):
    queue.add([tiny(), tiny(mode="slice")])
    for path, settings in ((trained.by_subject, tiny()), (trained.by_slice, tiny(mode="slice"))):
        queue.mark_running(settings)
        queue.show_event(RunStarted(path, 2))
        queue.mark_ended("done", "Finished")
    runs = [Run(trained.by_subject), Run(trained.by_slice)]
    queue.show_runs(runs)
    subject, leaking = (f"{100 * run.test_accuracy:.1f} %" for run in runs)
    assert texts(queue) == [f"✓ test {subject}", f"✓ {leaking}, leaks"]
    assert texts(queue, 1) == ["subject, seed 0", "slice, seed 0"]
    assert "Leaking split" in queue._list.topLevelItem(1).toolTip(0)
    assert queue.summary() == "Queue done: 2 trained"


# The grid of the panel


def test_that_the_grid_makes_a_run_of_every_split_and_seed(window, qtbot):
    panel = window.training_panel
    panel._check_chips({"resnet101", "googlenet"}, {"scratch"})
    panel.grid.choose({"subject", "slice"}, "0-2")
    assert panel.add_button.text() == "Add 12 runs"
    panel.add_button.click()
    runs = panel.waiting_runs()
    assert {(r.training.network, r.split.mode, r.training.seed) for r in runs} == {
        (network, mode, seed)
        for network in ("resnet101", "googlenet")
        for mode in ("subject", "slice")
        for seed in (0, 1, 2)
    }
    panel.grid.choose({"kfold"}, "")
    assert panel.add_button.text() == "Add 10 runs"
    box = panel.form.editor("mode")
    box.setCurrentIndex(box.findData("kfold"))
    panel.form.editor("folds").setText("7")
    # The form keeps the number where its own split has no folds.
    box.setCurrentIndex(box.findData("subject"))
    assert panel.add_button.text() == "Add 14 runs"
    panel.add_button.click()
    assert sorted({r.split.fold for r in panel.waiting_runs()[12:]}) == list(range(1, 8))
    panel.grid.choose(set(), "")
    assert panel.add_button.text() == "Add 2 runs"


@pytest.mark.parametrize(("seeds", "words"), [("one", "Seed"), ("0-900", "too many")])
def test_that_wrong_seeds_add_nothing_and_are_told(window, seeds, words):
    panel = window.training_panel
    panel.grid.choose({"subject"}, seeds)
    assert not panel.add_button.isEnabled()
    assert words in panel.grid._fault.text()
    panel.grid.choose({"subject"}, "3")
    assert panel.add_button.isEnabled()
    assert panel.grid._fault.text() == ""


# With a session


@pytest.fixture
def opened(window, qtbot, trained):
    with qtbot.waitSignal(window.session.cohort_opened, timeout=LIMIT_MS):
        window.session.open_paths([trained.scanned.folder])
    wait_until_idle(qtbot)
    window.go_to("train")
    return window


def train_all(window, qtbot):
    with qtbot.waitSignal(window.session.queue_ended, timeout=LIMIT_MS):
        window.training_panel.train_button.click()
    wait_until_idle(qtbot)


def test_that_pause_lets_the_run_end_and_train_goes_on(opened, qtbot):
    queue = opened.training_panel.queue
    queue.add([tiny(seed=1, epochs=10), tiny(seed=2), tiny(seed=3)])
    with qtbot.waitSignal(opened.session.queue_ended, timeout=LIMIT_MS):
        opened.training_panel.train_button.click()
        press(queue, "Pause after this run")
    assert queue.states() == ["done", "waiting", "waiting"]
    assert opened.statusBar().currentMessage() == "Queue halted: 1 trained, 2 waiting"
    assert not queue.pause_button.isChecked()
    train_all(opened, qtbot)
    assert queue.states() == ["done"] * 3


def test_that_skip_stops_one_run_goes_on_and_try_again_resumes_it(opened, qtbot):
    queue, session = opened.training_panel.queue, opened.session
    queue.add([tiny(seed=1, epochs=60), tiny(seed=2)])

    def skip_at_third(event):
        if isinstance(event, EpochMetrics) and event.epoch == 3 and "waiting" in queue.states():
            queue.skip_button.click()

    session.training_event.connect(skip_at_third)
    train_all(opened, qtbot)
    assert queue.states() == ["stopped", "done"]
    stopped = queue._entries[0]
    assert stopped.run.state == "stopped"
    n_done = stopped.run.record["epochs_done"]
    assert n_done >= 2
    select(queue, 0)
    press(queue, "Try again")
    assert texts(queue)[1] == f"○ {60 - n_done} epochs"
    train_all(opened, qtbot)
    assert queue.states() == ["done", "done"]
    assert len(list(list_runs(session.runs_folder))) == 2
    assert Run(stopped.path).record["epochs_done"] == 60


def test_that_the_end_of_the_queue_is_told(opened, qtbot):
    queue = opened.training_panel.queue
    queue.add([tiny(), tiny(network="vgg19", regime="frozen", weights="gone.pth")])
    train_all(opened, qtbot)
    assert opened.statusBar().currentMessage() == "Queue done: 1 trained, 1 failed"


def test_that_the_table_fills_as_runs_end(opened, qtbot):
    queue = opened.training_panel.queue
    queue.add([tiny(seed=1), tiny(seed=2)])
    press(queue, "Table…")
    table = opened.training_link._queue_window.table

    def cells(name):
        shown = table.table()
        return [row[shown.columns.index(name)] for row in shown.rows] if shown else []

    qtbot.waitUntil(lambda: cells("state") == ["waiting", "waiting"], timeout=LIMIT_MS)
    assert cells("test_accuracy") == [None, None]
    train_all(opened, qtbot)
    qtbot.waitUntil(lambda: cells("state") == ["finished", "finished"], timeout=LIMIT_MS)
    runs = {run.name: run.test_accuracy for run in list_runs(opened.session.runs_folder)}
    assert cells("test_accuracy") == pytest.approx([runs[name] for name in cells("run")])


# Over a restart


def restarted(qtbot, window, tmp_path):
    window.close()
    again = MainWindow(Session(data_folder=tmp_path / "data"))
    qtbot.addWidget(again)
    again.show()
    wait_until_idle(qtbot)
    return again


def test_that_the_queue_is_there_again_after_a_restart(opened, qtbot, tmp_path):
    queue = opened.training_panel.queue
    gone = tiny(network="vgg19", regime="frozen", weights="gone.pth")
    queue.add([tiny(seed=1), gone, tiny(seed=2), tiny(seed=3), tiny(seed=4)])
    select(queue, 4)
    queue.move_selected(-1)
    select(queue, 2)
    queue.remove_selected()
    with qtbot.waitSignal(opened.session.training_ended, timeout=LIMIT_MS):
        with qtbot.waitSignal(opened.session.training_started, timeout=LIMIT_MS):
            opened.training_panel.train_button.click()
        queue.pause_button.click()
    wait_until_idle(qtbot)
    assert queue.states() == ["done", "waiting", "waiting", "waiting"]
    again = restarted(qtbot, opened, tmp_path)
    back = again.training_panel.queue
    assert back.states() == queue.states()
    assert [entry.settings for entry in back._entries] == [e.settings for e in queue._entries]
    assert texts(back)[0].startswith("✓ test ")
    # No cohort is open, but each run knows its own.
    assert again.session.opened is None
    train_all(again, qtbot)
    assert back.states() == ["done", "failed", "done", "done"]
    again.close()


def test_that_a_run_that_was_killed_can_be_resumed_after_the_restart(opened, qtbot, tmp_path):
    queue = opened.training_panel.queue
    queue.add([tiny(seed=1, epochs=4)])
    train_all(opened, qtbot)
    path = queue._entries[0].path
    opened.close()
    # As a kill leaves both: the run's record and the queue's log lack the end.
    log = tmp_path / "data" / "queue" / "queue.jsonl"
    lines = [line for line in log.read_text().splitlines() if '"ended"' not in line]
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    record = json.loads((path / "run.json").read_text(encoding="utf-8"))
    record.update(state="running")
    (path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    again = restarted(qtbot, opened, tmp_path)
    back = again.training_panel.queue
    assert back.states() == ["stopped"]
    assert "interrupted" in back._list.topLevelItem(0).toolTip(0)
    again.close()


def test_that_a_second_window_neither_shows_nor_changes_the_queue(opened, qtbot, tmp_path):
    opened.training_panel.queue.add([tiny(seed=1)])
    wait_until_idle(qtbot)
    log = tmp_path / "data" / "queue" / "queue.jsonl"
    before = log.read_bytes()
    other = QueueMemory(tmp_path / "data" / "queue")
    got = []
    other.restored.connect(got.append)
    other.restore()
    wait_until_idle(qtbot)
    other.note_removed([opened.training_panel.queue._entries[0].key])
    wait_until_idle(qtbot)
    other.close()
    assert got == []
    assert log.read_bytes() == before


def test_that_a_queue_that_cannot_be_written_is_told_once(qtbot, tmp_path, monkeypatch):
    memory = QueueMemory(tmp_path / "queue")
    problems = []
    memory.problem.connect(problems.append)
    memory.restore()
    wait_until_idle(qtbot)
    memory._log.path.mkdir()
    for n in range(3):
        memory.note_removed([str(n)])
        wait_until_idle(qtbot)
    assert len(problems) == 1
    assert "cannot be written" in str(problems[0])
    memory.close()
    assert cancel_and_wait()


def test_that_a_cohort_opened_later_does_not_take_over_what_waits(opened, qtbot, tmp_path):
    queue = opened.training_panel.queue
    queue.add([tiny(seed=1)])
    other = make_cohort(tmp_path / "other", classes=("A", "B", "C"), subjects=4)
    with qtbot.waitSignal(opened.session.cohort_opened, timeout=LIMIT_MS):
        opened.session.open_paths([other.folder])
    queue.add([tiny(seed=2)])
    train_all(opened, qtbot)
    assert [entry.run.classes for entry in queue._entries] == [("AD", "NC"), ("A", "B", "C")]
