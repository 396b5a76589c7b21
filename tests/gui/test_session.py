"""The session opens what is dropped, trains its queue, and says what goes wrong."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from core import config
from core.config import RunSettings
from core.errors import MriFclError, RunError, TrainingError
from core.progress import BatchDone, EpochMetrics, Progress, RunStarted
from core.run_folder import Run, reopen_run
from core.tasks import ScanChoices
from mrifcl_gui import preferences
from mrifcl_gui import session as session_module
from mrifcl_gui.job import cancel_and_wait
from mrifcl_gui.openable import Openable, find_openable
from mrifcl_gui.session import Session
from tests.tiny_cohort import make_folder, tiny, wait_until_idle

LIMIT_MS = 30_000


@pytest.fixture
def problems(session):
    found = []
    session.problem.connect(found.append)
    return found


@pytest.fixture
def opened(qtbot, session, trained):
    """A session on the tiny cohort."""
    open_and_wait(qtbot, session, [trained.scanned.folder])
    return session


def open_and_wait(qtbot, session, paths):
    confirm_folders(session)
    with qtbot.waitSignal(session.cohort_opened, timeout=LIMIT_MS):
        session.open_paths(paths)
    wait_until_idle(qtbot)


def confirm_folders(session):
    """Scan folders as they were recognised, as the window does after its question."""

    def confirm(look):
        session.folder_looked.disconnect(confirm)
        session.scan(ScanChoices(look.folders, look.layout))

    session.folder_looked.connect(confirm)


class Ends(list):
    """Collects how runs end."""

    def __init__(self, session):
        super().__init__()
        session.training_ended.connect(self.add)

    def add(self, state, text):
        self.append((state, text))

    def wait(self, qtbot, session, count):
        qtbot.waitUntil(lambda: len(self) >= count and not session.is_training, timeout=LIMIT_MS)
        wait_until_idle(qtbot)
        return [state for state, _ in self]


# Opening


def test_that_a_dropped_folder_is_scanned_stored_and_remembered(qtbot, session, tmp_path):
    open_and_wait(qtbot, session, [make_folder(tmp_path / "scans")])
    assert session.opened.cohort.classes == ("AD", "NC")
    assert session.opened.folder == session.data_folder / "cohorts" / "scans.mrifcl"
    assert preferences.recent() == [session.opened.folder]


def test_that_scanning_a_folder_again_does_not_overwrite_the_first_cohort(qtbot, session, tmp_path):
    folder = make_folder(tmp_path / "scans")
    open_and_wait(qtbot, session, [folder])
    open_and_wait(qtbot, session, [folder])
    assert session.opened.folder.name == "scans-2.mrifcl"


def test_that_dropped_class_folders_become_the_classes(qtbot, session, tmp_path):
    folder = make_folder(tmp_path / "scans", classes=("AD", "MCI", "NC"), subjects=3)
    open_and_wait(qtbot, session, [folder / "MCI", folder / "NC"])
    assert session.opened.cohort.classes == ("MCI", "NC")


@pytest.mark.parametrize("name", ["", "cohort.json"])
def test_that_a_cohort_is_opened_by_its_folder_or_its_file(qtbot, session, trained, name):
    open_and_wait(qtbot, session, [trained.scanned.folder / name])
    assert session.opened.folder == trained.scanned.folder


@pytest.mark.parametrize("name", ["", "run.json"])
def test_that_a_run_is_opened_by_its_folder_or_its_file(qtbot, session, trained, name):
    with qtbot.waitSignal(session.runs_opened, timeout=LIMIT_MS) as opened:
        session.open_paths([trained.by_subject / name])
    assert [run.path for run in opened.args[0]] == [trained.by_subject]
    wait_until_idle(qtbot)


def test_that_an_opened_run_from_elsewhere_joins_the_list_once(qtbot, session, trained):
    lists = []
    session.runs_changed.connect(lists.append)
    for _ in range(2):
        with qtbot.waitSignal(session.runs_changed, timeout=LIMIT_MS):
            session.open_runs([trained.by_subject])
        wait_until_idle(qtbot)
    assert [run.path for run in lists[-1]] == [trained.by_subject]


def test_that_a_run_that_has_gone_does_not_hide_the_others(qtbot, session, trained, problems):
    session.open_runs([trained.by_subject, trained.by_slice])
    wait_until_idle(qtbot)
    shutil.rmtree(trained.by_subject)
    with qtbot.waitSignal(session.runs_changed, timeout=LIMIT_MS) as changed:
        session.refresh_runs()
    assert [run.path for run in changed.args[0]] == [trained.by_slice]
    assert not problems
    wait_until_idle(qtbot)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: [write(folder / "notes.txt")], "'notes.txt' is no folder"),
        (lambda folder: [folder / "gone"], "There is no 'gone'"),
        (
            lambda folder: [write(folder / f"{i}.jpg") for i in range(5)],
            "'0.jpg', '1.jpg', '2.jpg' and 2 more are no folders",
        ),
    ],
)
def test_that_what_cannot_be_opened_is_refused_in_plain_words(
    qtbot, session, tmp_path, problems, make, words
):
    session.open_paths(make(tmp_path))
    wait_until_idle(qtbot)
    assert len(problems) == 1
    assert isinstance(problems[0], MriFclError)
    assert words in str(problems[0])


def test_that_a_drive_that_answers_late_takes_nothing_away(
    qtbot, session, trained, problems, monkeypatch
):
    asleep, wakes = Path("/drive/far.mrifcl"), threading.Event()

    def find(paths):
        if paths == [asleep]:
            wakes.wait(20)
            return Openable(scans=[asleep])
        return find_openable(paths)

    monkeypatch.setattr(session_module, "find_openable", find)
    looked = []
    session.folder_looked.connect(looked.append)
    session.open_paths([asleep])
    with qtbot.waitSignal(session.cohort_opened, timeout=LIMIT_MS):
        session.open_paths([trained.scanned.folder])
    wakes.set()
    wait_until_idle(qtbot)
    assert session.opened.folder == trained.scanned.folder
    assert (looked, problems) == ([], [])


def test_that_a_closed_session_asks_and_tells_nothing(qtbot, session, tmp_path, problems):
    told = []
    session.folder_looked.connect(told.append)
    session.cohort_opened.connect(told.append)
    session.open_paths([tmp_path / "gone"])
    session.open_paths([make_folder(tmp_path / "scans", subjects=3)])
    session.close()
    wait_until_idle(qtbot)
    assert (told, problems) == ([], [])


def test_that_class_folders_of_different_places_make_one_cohort(qtbot, session, tmp_path):
    folders = [
        make_folder(tmp_path / place, subjects=3).joinpath(name)
        for place, name in (("one", "AD"), ("two", "NC"))
    ]
    open_and_wait(qtbot, session, folders)
    counts = session.opened.cohort.counts()
    assert {name: count["subjects"] for name, count in counts.items()} == {"AD": 3, "NC": 3}


def test_that_ten_thousand_dropped_files_are_refused_at_once(qtbot, session, tmp_path, problems):
    paths = [tmp_path / f"{i}.dcm" for i in range(10_000)]
    began = time.monotonic()
    session.open_paths(paths)
    assert time.monotonic() - began < 0.1
    wait_until_idle(qtbot)
    assert len(problems) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', "\x00" * 50])
def test_that_a_damaged_cohort_is_told_and_nothing_else_changes(
    qtbot, opened, problems, tmp_path, content
):
    before = opened.opened
    folder = tmp_path / "broken.mrifcl"
    folder.mkdir()
    (folder / "cohort.json").write_text(content)
    with qtbot.waitSignal(opened.problem, timeout=LIMIT_MS):
        opened.open_paths([folder])
    assert isinstance(problems[0], MriFclError)
    assert opened.opened is before
    wait_until_idle(qtbot)


def test_that_a_folder_without_scans_is_told(qtbot, session, tmp_path, problems):
    (tmp_path / "empty").mkdir()
    with qtbot.waitSignal(session.problem, timeout=LIMIT_MS):
        session.open_paths([tmp_path / "empty"])
    assert isinstance(problems[0], MriFclError)
    assert "empty" in str(problems[0])
    assert session.opened is None
    wait_until_idle(qtbot)


def test_that_opening_no_job_is_announced_that_ends_at_once(qtbot, session, trained):
    announced = []
    session.job_lasts.connect(announced.append)
    session.job_started.connect(announced.append)
    open_and_wait(qtbot, session, [trained.scanned.folder])
    qtbot.wait(session_module.QUIET_MS + 50)
    assert not announced


def test_that_a_job_that_lasts_is_announced(qtbot, session):
    def operation():
        end = time.monotonic() + LIMIT_MS / 1e3  # cancelled as soon as it is told
        while time.monotonic() < end:
            time.sleep(0.01)
            yield Progress("going")

    with qtbot.waitSignal(session.job_lasts, timeout=LIMIT_MS) as announced:
        job = session.start("going", operation, session._on_audit)
    assert announced.args[0] is job
    job.cancel()
    wait_until_idle(qtbot)


def test_that_a_demo_brings_settings_that_suit_it(qtbot, session, monkeypatch):
    monkeypatch.setattr("core.demo.SUBJECTS_PER_CLASS", 3)
    suggested = []
    session.settings_suggested.connect(suggested.append)
    with qtbot.waitSignal(session.cohort_opened, timeout=LIMIT_MS):
        session.open_demo()
    assert session.opened.cohort.simulated
    assert suggested[0].training.network == "cnn2d"
    wait_until_idle(qtbot)


# Looking at scans


def test_that_a_scan_is_read_with_its_strip_as_the_network_sees_it(qtbot, opened):
    opened.change_settings(tiny())
    scan = opened.opened.cohort.scans[0]
    with qtbot.waitSignals([opened.scan_read, opened.strip_read], timeout=LIMIT_MS):
        opened.read_scan(scan)
    wait_until_idle(qtbot)


def test_that_only_the_last_of_many_chosen_scans_is_sure_to_be_read(qtbot, opened):
    read = []
    opened.scan_read.connect(lambda scan, _: read.append(scan.key))
    scans = opened.opened.cohort.scans
    for scan in scans:
        opened.read_scan(scan)
    qtbot.waitUntil(lambda: scans[-1].key in read, timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def test_that_a_scan_whose_file_has_gone_is_told(qtbot, session, tmp_path, problems):
    folder = make_folder(tmp_path / "scans", subjects=3)
    open_and_wait(qtbot, session, [folder])
    shutil.rmtree(folder / "AD")
    with qtbot.waitSignal(session.problem, timeout=LIMIT_MS):
        session.read_scan(session.opened.cohort.scans[0])
    assert isinstance(problems[0], MriFclError)
    wait_until_idle(qtbot)


def test_that_new_settings_are_audited_only_where_they_change_split_or_slices(qtbot, opened):
    changes = []
    opened.settings_changed.connect(changes.append)
    with qtbot.waitSignal(opened.audit_done, timeout=LIMIT_MS) as done:
        opened.change_settings(config.change(RunSettings(), {"mode": "slice", "size": 32}))
    assert done.args[0].leaks
    assert len(changes) == 1
    opened.change_settings(config.change(opened.settings, {"epochs": 7}))
    assert len(changes) == 1
    assert opened.settings.epochs == 7
    wait_until_idle(qtbot)


def test_that_the_audit_of_the_newest_settings_comes_last(qtbot, opened):
    done = []
    opened.audit_done.connect(done.append)
    for mode in ("subject", "slice", "kfold", "slice"):
        opened.change_settings(config.change(RunSettings(), {"mode": mode, "size": 32}))
    qtbot.waitUntil(lambda: bool(done) and done[-1].mode == "slice", timeout=LIMIT_MS)
    wait_until_idle(qtbot)
    assert done[-1].mode == "slice"


def test_that_the_open_cohort_is_not_read_again_for_its_audit(qtbot, opened, monkeypatch):
    read = []
    load = session_module.cohort_file.load_cohort
    monkeypatch.setattr(
        session_module.cohort_file, "load_cohort", lambda path: (read.append(path), load(path))[1]
    )
    with qtbot.waitSignal(opened.audit_done, timeout=LIMIT_MS) as done:
        opened.audit()
    assert done.args[0].mode == "subject"
    wait_until_idle(qtbot)
    assert read == []


# Training


def test_that_a_queue_of_two_runs_trains_both_in_order(qtbot, opened):
    ends, started, events = Ends(opened), [], []
    opened.training_started.connect(lambda settings, *_: started.append(settings))
    opened.training_event.connect(events.append)
    opened.train([tiny(seed=1), tiny(seed=2)])
    assert opened.is_training
    assert ends.wait(qtbot, opened, 2) == ["finished", "finished"]
    assert [settings.training.seed for settings in started] == [1, 2]
    runs = [Run(path) for path in sorted(opened.runs_folder.iterdir())]
    assert [run.state for run in runs] == ["finished", "finished"]
    assert sum(isinstance(event, RunStarted) for event in events) == 2
    epochs = [event.epoch for event in events if isinstance(event, EpochMetrics)]
    assert [epoch for epoch in epochs if epoch] == [1, 2, 1, 2]
    assert "% of the test slices" in ends[0][1]


def test_that_a_failed_run_says_why_and_the_next_one_follows(qtbot, opened, tmp_path):
    ends = Ends(opened)
    missing = tiny(weights=str(tmp_path / "gone.safetensors"), regime="fine-tuned")
    opened.train([missing, tiny()])
    assert ends.wait(qtbot, opened, 2) == ["failed", "finished"]
    assert "gone.safetensors" in ends[0][1]


def test_that_an_unforeseen_fault_of_training_gives_no_technical_text(qtbot, opened, monkeypatch):
    def broken(*_):
        yield Progress("training")
        raise ZeroDivisionError("float division")

    monkeypatch.setattr("core.tasks.train", broken)
    ends = Ends(opened)
    opened.train([tiny()])
    assert ends.wait(qtbot, opened, 1) == ["failed"]
    assert "division" not in ends[0][1]


def test_that_stop_ends_the_run_as_stopped_and_starts_no_other(qtbot, opened):
    ends = Ends(opened)
    opened.train([tiny(epochs=500), tiny()])
    with qtbot.waitSignal(
        opened.training_event,
        timeout=LIMIT_MS,
        check_params_cb=lambda event: isinstance(event, EpochMetrics) and event.epoch == 2,
    ):
        pass
    began = time.monotonic()
    opened.stop_training()
    assert ends.wait(qtbot, opened, 1) == ["stopped"]
    assert time.monotonic() - began < 2
    (run,) = [Run(path) for path in opened.runs_folder.iterdir()]
    assert run.state == "stopped"
    assert run.record["epochs_done"] >= 2
    qtbot.wait(50)
    assert not opened.is_training


def test_that_after_a_stop_the_next_training_runs(qtbot, opened):
    ends = Ends(opened)
    opened.train([tiny(epochs=500), tiny()])
    opened.stop_training()
    ends.wait(qtbot, opened, 1)
    opened.set_queue([tiny()])
    opened.train([tiny()])
    assert ends.wait(qtbot, opened, 2) == ["stopped", "finished"]


def test_that_runs_added_and_removed_meanwhile_are_heeded(qtbot, opened):
    ends, started = Ends(opened), []
    opened.training_started.connect(lambda settings, *_: started.append(settings.training.seed))
    opened.train([tiny(seed=1), tiny(seed=2)])
    opened.set_queue([tiny(seed=3)])
    assert ends.wait(qtbot, opened, 2) == ["finished", "finished"]
    assert started == [1, 3]


def test_that_a_queue_stays_on_the_cohort_it_was_started_on(qtbot, opened, tmp_path):
    ends, classes = Ends(opened), []
    opened.training_started.connect(lambda _, names, __: classes.append(names))
    opened.train([tiny(), tiny()])
    open_folder = make_folder(tmp_path / "other", classes=("A", "B", "C"), subjects=3)
    confirm_folders(opened)
    opened.open_paths([open_folder])
    ends.wait(qtbot, opened, 2)
    assert classes == [("AD", "NC")] * 2
    qtbot.waitUntil(lambda: opened.opened.cohort.classes == ("A", "B", "C"), timeout=LIMIT_MS)
    wait_until_idle(qtbot)


def stopped_run(trained, epochs_done=1, **changes):
    """Turn a finished run of 2 epochs into one that was asked for more and stopped."""
    writer = reopen_run(trained.by_subject)
    settings = writer.record["settings"]
    settings["training"]["epochs"] = 4
    writer.update(state="stopped", epochs=4, settings=settings, **changes)
    return Run(trained.by_subject)


def test_that_a_stopped_run_goes_on_from_its_last_epoch(qtbot, opened, trained):
    ends, started, events = Ends(opened), [], []
    opened.training_started.connect(lambda *given: started.append(given))
    opened.training_event.connect(events.append)
    run = stopped_run(trained)
    opened.resume(run)
    assert ends.wait(qtbot, opened, 1) == ["finished"]
    assert started[0][1:] == (("AD", "NC"), run)
    epochs = [event.epoch for event in events if isinstance(event, EpochMetrics)]
    assert [epoch for epoch in epochs if epoch > 2] == [3, 4]
    assert Run(run.path).state == "finished"
    assert list(Run(run.path).history.epoch) == [1, 2, 3, 4]


def test_that_nothing_is_resumed_while_a_run_is_trained(qtbot, opened, trained, problems):
    ends = Ends(opened)
    opened.train([tiny(epochs=500)])
    opened.resume(stopped_run(trained))
    assert isinstance(problems[0], RunError)
    opened.stop_training()
    assert ends.wait(qtbot, opened, 1) == ["stopped"]


def test_that_resuming_says_why_it_cannot(qtbot, opened, trained):
    ends = Ends(opened)
    run = stopped_run(trained)
    shutil.rmtree(trained.scanned.folder)
    opened.resume(run)
    assert ends.wait(qtbot, opened, 1) == ["failed"]
    assert "cohort" in ends[0][1]


def test_that_a_closed_session_starts_nothing(qtbot, opened):
    ends = Ends(opened)
    opened.train([tiny(epochs=500), tiny()])
    opened.close()
    assert cancel_and_wait()
    qtbot.waitUntil(lambda: bool(ends))
    qtbot.wait(50)
    assert not opened.is_training
    opened.audit()
    opened.refresh_runs()
    wait_until_idle(qtbot)


def test_that_a_change_of_the_cohort_that_cannot_be_stored_is_told(
    qtbot, opened, problems, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.data.cohort.save_cohort", full)
    opened.change_cohort(opened.opened.cohort)
    qtbot.waitUntil(lambda: bool(problems), timeout=LIMIT_MS)
    assert "No space left" in str(problems[0])


def test_that_a_fault_in_one_stage_of_training_never_leaves_the_session_training(
    qtbot, opened, monkeypatch
):
    def at_once(*_):
        raise TrainingError("no torch")

    def after_batch(*_):
        yield BatchDone(1, 1, 1, 0.5, 1.0, 1.0)
        raise TrainingError("loss is not a number")

    for broken in (at_once, after_batch):
        monkeypatch.setattr("core.tasks.train", broken)
        ends = Ends(opened)
        opened.train([tiny()])
        assert ends.wait(qtbot, opened, 1) == ["failed"]
        assert not opened.is_training


def test_that_a_session_keeps_its_data_where_the_preferences_say(tmp_path):
    preferences.set_data_folder(tmp_path / "elsewhere")
    assert Session().runs_folder == tmp_path / "elsewhere" / "runs"


def write(path):
    path.write_bytes(b"text")
    return path


def test_that_a_cohort_and_its_run_open_together(qtbot, session, trained):
    opened, analysed = [], []
    session.cohort_opened.connect(opened.append)
    session.runs_opened.connect(analysed.append)
    session.open_paths([trained.scanned.folder, trained.by_subject])
    wait_until_idle(qtbot)
    assert [item.folder for item in opened] == [trained.scanned.folder]
    assert [run.path for runs in analysed for run in runs] == [trained.by_subject]
