"""Close the window at random moments of whatever it does: it ends in time and nothing is lost.

Each moment is a process of its own, with the whole window, on its own copy of a cohort and a
run: while it starts, scans, changes the cohort, cuts slices, trains, works off a queue, opens
a run, or exports. It is closed after a random time; then its exit status must be 0, two
seconds must have been enough, and every cohort, run, queue and settings file must be whole:
the epochs that the window was told of, the classes that were changed, the queue as it was::

    python -m benchmarks.closing [--count 100 --seed 1 --only train,scan]

The packages are loaded once and each process begins as a copy of that one (fork), as to load
torch a hundred times would take hours; so this needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")

LIMIT_SECONDS = 2.0
# Longest time after a work was begun, s: most are under way then, some at their end.
LONGEST = {
    "start": 1.2,
    "scan": 2.0,
    "change": 0.3,
    "slice": 1.5,
    "train": 3.0,
    "queue": 3.0,
    "analyse": 1.5,
    "export": 2.0,
}


@dataclass
class Ended:
    """How one process ended."""

    work: str
    after: float
    status: int
    seconds: float  # from the close to the end of the process
    cpu_seconds: float  # of these, the process's own
    problems: list[str]


def prepare(folder: Path) -> None:
    """Make what the processes work on: slices, volumes, their cohorts, a run, many files."""
    from tests.tiny_cohort import make_cohort, make_folder, make_volume_cohort, train_run

    scanned = make_cohort(folder / "slices")
    train_run(scanned, folder / "runs", epochs=4)
    # Thick enough for the 30 slices that the window shows and the network sees.
    make_volume_cohort(folder / "volumes", subjects=10, shape=(20, 24, 40))
    make_folder(folder / "many", subjects=60, slices=20, size=16)


class Closing:
    """In a process of its own: the window, its work, and its close."""

    def __init__(self, place: Path, work: str, after: float, tell: Callable[..., None]) -> None:
        self.place, self.work, self.after, self.tell = place, work, after, tell

    def run(self) -> int:
        """Run the program until its window was closed; return the exit status."""
        from PySide6.QtCore import QTimer

        import main
        from mrifcl_gui import app, opening

        closing = self

        class Opening(opening.Opening):
            def __init__(self, window: object, paths: list[Path]) -> None:
                super().__init__(window, paths)
                closing.window = window
                if closing.work == "start":
                    QTimer.singleShot(round(1e3 * closing.after), window, closing.close)
                else:
                    self.complete.connect(closing.begin)

        app.Opening = Opening
        sys.argv = ["mri-fcl"]
        return main.main()

    def begin(self) -> None:
        """Begin the work; it is closed a while later."""
        from PySide6.QtCore import QTimer

        self.session = self.window.session
        self.session.training_event.connect(self.on_event)
        self.session.problem.connect(lambda error: self.tell("problem", str(error)))
        getattr(self, f"do_{self.work}")()
        QTimer.singleShot(round(1e3 * self.after), self.window, self.close)

    def do_scan(self) -> None:
        self.session.folder_looked.connect(self.on_looked)
        self.session.open_paths([self.place / "many"])

    def do_change(self) -> None:
        self.session.cohort_opened.connect(self.on_opened_to_change)
        self.session.open_paths([self.cohort("slices")])

    def do_slice(self) -> None:
        self.session.cohort_opened.connect(self.on_opened_to_train)
        self.session.open_paths([self.cohort("volumes")])

    def do_train(self) -> None:
        self.session.cohort_opened.connect(self.on_opened_to_train)
        self.session.open_paths([self.cohort("slices")])

    def do_queue(self) -> None:
        self.session.cohort_opened.connect(self.on_opened_to_queue)
        self.session.open_paths([self.cohort("slices")])

    def do_analyse(self) -> None:
        self.session.open_paths(self.runs())

    def do_export(self) -> None:
        from core import tasks
        from mrifcl_gui.job import Job

        (run,) = self.runs()
        self.job = Job("Export", lambda: tasks.analyse(run, self.place / "out"), self.window)
        self.job.start()

    def on_looked(self, _look: object) -> None:
        from mrifcl_gui.open_folder_dialog import OpenFolderDialog

        for dialog in self.window.findChildren(OpenFolderDialog):
            dialog.accept()

    def on_opened_to_change(self, opened: object) -> None:
        scans = opened.cohort.scans
        changed = opened.cohort.with_scans([replace(scans[0], label="NC"), *scans[1:]])
        self.session.change_cohort(changed)
        self.tell("changed", [scan.label for scan in changed.scans])

    def on_opened_to_train(self, _opened: object) -> None:
        from tests.tiny_cohort import tiny

        self.session.train([tiny(epochs=400)])

    def on_opened_to_queue(self, _opened: object) -> None:
        from tests.tiny_cohort import tiny

        queue = self.window.training_panel.queue
        queue.add([tiny(epochs=3), tiny(epochs=400), tiny(epochs=5, seed=1)])
        self.tell("queued", len(queue.queued()))
        self.window.training_panel.train_button.click()

    def on_event(self, event: object) -> None:
        from core.progress import EpochMetrics

        if isinstance(event, EpochMetrics):
            self.tell("epoch", event.epoch)

    def close(self) -> None:
        self.tell("closing", time.process_time())
        if not self.window.close():
            self.tell("problem", "the window refused to close")

    def cohort(self, name: str) -> Path:
        return next((self.place / name / "cohorts").iterdir())

    def runs(self) -> list[Path]:
        return list((self.place / "runs").iterdir())


def close_once(made: Path, place: Path, work: str, after: float) -> Ended:
    """Start a process, let it be closed, and look at what it leaves."""
    shutil.copytree(made, place)
    ear, mouth = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(ear)
        _be_child(place, work, after, mouth)
    os.close(mouth)
    told: list[tuple[str, object]] = []
    closed = time.monotonic()
    with os.fdopen(ear, encoding="utf-8") as lines:
        for line in lines:
            what, value = json.loads(line)
            told.append((what, value))
            if what == "closing":
                closed = time.monotonic()
    _, status, used = os.wait4(child, 0)
    seconds = time.monotonic() - closed
    cpu = used.ru_utime + used.ru_stime
    at_close = next((float(value) for what, value in told if what == "closing"), cpu)
    problems = [str(value) for what, value in told if what == "problem"]
    problems += [
        f"its log says: {line}" for line in _log_of(place) if "propagateSizeHints" not in line
    ]
    problems += _lost(place, work, told)
    if not any(what == "closing" for what, _ in told):
        problems.append("it ended before it was closed")
    code = os.waitstatus_to_exitcode(status)
    return Ended(work, after, code, seconds, max(0.0, cpu - at_close), problems)


def _be_child(place: Path, work: str, after: float, mouth: int) -> None:
    """Be the program, in a process that is a copy of this one; it does not return."""
    os.environ["HOME"] = str(place / "home")
    os.environ["XDG_CONFIG_HOME"] = str(place / "home" / "config")
    os.environ["XDG_DATA_HOME"] = str(place / "home" / "share")
    from PySide6.QtCore import QSettings

    from mrifcl_gui import preferences

    for kind in (QSettings.Format.IniFormat, QSettings.Format.NativeFormat):
        QSettings.setPath(kind, QSettings.Scope.UserScope, str(place / "home" / "config"))
    preferences.set_data_folder(place / "data")

    def tell(what: str, value: object) -> None:
        os.write(mouth, (json.dumps([what, value]) + "\n").encode())

    try:
        status = Closing(place, work, after, tell).run()
    except Exception:  # noqa: BLE001 - told by its status
        traceback.print_exc()
        status = 70
    # To the very end of the interpreter, as there threads that are left end a process badly.
    sys.exit(status)


def _log_of(place: Path) -> Iterator[str]:
    for file in (place / "home" / "share").rglob("*.log"):
        yield from file.read_text(encoding="utf-8").splitlines()[:20]


def _lost(place: Path, work: str, told: list[tuple[str, object]]) -> list[str]:
    """Return what is not as the window last had it."""
    from core.data.cohort import load_cohort
    from core.plan_log import PlanLog
    from core.run_folder import Run

    problems = []
    runs = [Run(path) for path in (place / "data" / "runs").glob("*") if path.is_dir()]
    for run in runs:
        if run.state not in ("stopped", "finished"):
            problems.append(f"{run.name} is left as {run.state}")
        if run.state == "finished" and not (run.path / "predictions.csv").is_file():
            problems.append(f"{run.name} has no predictions")
    epochs = [int(value) for what, value in told if what == "epoch"]
    kept = [len(run.history.epoch) for run in runs if run.history is not None]
    # Each run tells its epochs from 1; the state before training is epoch 0.
    if sum(1 for epoch in epochs if epoch > 0) > sum(kept):
        problems.append(f"epochs were told of, {len(epochs)}, and are not in {kept}")
    for folder in [*place.rglob("*.mrifcl")]:
        if (folder / "cohort.json").exists():
            load_cohort(folder)
    # What an event brought after the close was never seen by anyone.
    names = [what for what, _ in told]
    seen = told[: names.index("closing")] if "closing" in names else told
    changed = next((value for what, value in seen if what == "changed"), None)
    if changed is not None:
        folder = next((place / "slices" / "cohorts").iterdir())
        if [scan.label for scan in load_cohort(folder).scans] != changed:
            problems.append("a change of the cohort is lost")
    queued = next((value for what, value in seen if what == "queued"), None)
    entries = PlanLog(place / "data" / "queue" / "queue.jsonl").entries()
    if queued is not None and len(entries) != queued:
        problems.append(f"of {queued} runs in the queue {len(entries)} are remembered")
    if work != "start":
        settings = json.loads(next((place / "home").rglob("settings.json")).read_text("utf-8"))
        if "window/geometry" not in settings:
            problems.append("the place of the window is not remembered")
    problems += [f"left over: {file.name}" for file in place.rglob("*.part")]
    return problems


def main() -> int:
    """Close many times; print each that failed, and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(LONGEST))
    given = parser.parse_args()
    works = given.only.split(",")
    chance = random.Random(given.seed)
    folder = Path(tempfile.mkdtemp(prefix="closing-"))
    # The list of fonts is made once in a user's life, not at each export.
    os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")
    prepare(folder / "made")
    if set(works) & {"slice", "train", "queue"}:
        import core.training.train
    if "export" in works:
        import core.report  # noqa: F401 - before the fork
    import mrifcl_gui.app
    import mrifcl_gui.main_window  # noqa: F401 - before the fork

    ends = []
    for number in range(given.count):
        work = works[number % len(works)]
        after = chance.uniform(0.0, LONGEST[work])
        end = close_once(folder / "made", folder / str(number), work, after)
        ends.append(end)
        # A busy computer takes its share of the time; what the program itself took counts.
        late = end.seconds > LIMIT_SECONDS and end.cpu_seconds > LIMIT_SECONDS / 2
        if end.status != 0 or end.problems or late:
            print(
                f"{number}: {work}, closed after {after:.3f} s: status {end.status}, "
                f"{end.seconds:.2f} s ({end.cpu_seconds:.2f} s of CPU); {end.problems}",
                flush=True,
            )
        shutil.rmtree(folder / str(number), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    return _summary(ends)


def _summary(ends: list[Ended]) -> int:
    bad = [end for end in ends if end.status != 0 or end.problems]
    late = [end for end in ends if end.seconds > LIMIT_SECONDS]
    load = os.getloadavg()[0]
    print(f"{len(ends)} moments: {len(ends) - len(bad)} ended with status 0 and all kept")
    for work in dict.fromkeys(end.work for end in ends):
        some = [end for end in ends if end.work == work]
        longest = max(end.seconds for end in some)
        cpu = max(end.cpu_seconds for end in some)
        print(f"  {work:8s} {len(some):3d}   longest {longest:.2f} s, {cpu:.2f} s of CPU time")
    print(f"{len(late)} took longer than {LIMIT_SECONDS:g} s; load of the computer {load:.1f}")
    return int(bool(bad or late))


if __name__ == "__main__":
    sys.exit(main())
