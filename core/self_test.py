"""``--self-test``: try each part of this copy of the program, and say in plain words what fails.

It is for a packaged program on a new computer, where a library may be missing that no test of
the source misses. Everything is made on the spot in a temporary folder, and removed again.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import config, tasks
from core.build_record import build_record, program_folder, version_lines
from core.config import RunSettings
from core.errors import MriFclError
from core.process_start import own_command
from core.progress import BatchDone, Operation, finished
from core.self_test_files import FormatCheck, format_checks, write_cohort

SELF_TEST_ARGUMENT = "--self-test"
WINDOW_ARGUMENT = "--self-test-window"
# A blank and letters beyond ASCII, as in many people's own names.
FOLDER_NAME = "Prüfung 日本 self-test"
STEPS = 2
_NAME_WIDTH = 44
_WINDOW_SECONDS = 300
_EXPORTED = 4
# Four subjects a class, six slices each: 24 slices to train on, in two batches of 12.
_SHARES = {"train_share": 2, "validation_share": 1, "test_share": 1}
_TINY = {**_SHARES, "regime": "scratch", "epochs": 1, "count": 6, "batch": 12}
_CNN = {**_TINY, "network": "cnn2d", "size": 32, "cnn_width": 2, "cnn_features": 8}
_GOOGLENET = {**_TINY, "network": "googlenet", "size": 64}

Say = Callable[[str], None]
logger = logging.getLogger(__name__)


class _NotTriedError(MriFclError):
    """A check that needs what an earlier one was to make."""


class _LeftOutError(Exception):
    """A check of a part that is not installed and need not be."""


@dataclass(frozen=True)
class Check:
    """One line of the self-test.

    Attributes
    ----------
    name : str
    run : callable
        Returns a remark, or raises; an error's text is what is said.
    """

    name: str
    run: Callable[[], str]


def run_self_test(say: Say, *, with_window: bool = True, report: Path | None = None) -> int:
    """Run all checks, each a line; return 0 if all passed and 1 if not.

    Parameters
    ----------
    say : callable
        Takes each line.
    with_window : bool
        Whether the window is opened too, in a process of its own.
    report : Path, optional
        File that takes the lines as well: a windowed program on Windows has no terminal.
    """
    lines: list[str] = []

    def say_and_keep(line: str) -> None:
        lines.append(line)
        say(line)
        if report is not None:
            # Each time: a crash must not take with it what was said before.
            report.write_text("\n".join(lines) + "\n", encoding="utf-8")

    for line in version_lines():
        say_and_keep(line)
    base = Path(tempfile.mkdtemp(prefix=f"mri-fcl-{os.getpid()}-"))
    before = _program_files()
    bench = _Bench(base / FOLDER_NAME)
    checks = itertools.chain(
        bench.checks(with_window=with_window),
        [Check("Nothing was written beside the program", lambda: _same_files(before))],
        [Check("Clean up", lambda: _remove(base))],
    )
    try:
        return run_checks(checks, say_and_keep)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def run_checks(checks: Iterator[Check] | list[Check], say: Say) -> int:
    """Run checks one after the other, each a line; return 0 if all passed and 1 if not."""
    began, failed, count = time.monotonic(), 0, 0
    for check in checks:
        word, remark, seconds = _run(check)
        count += 1
        failed += word == "failed"
        say(f"{word:<9}{check.name:<{_NAME_WIDTH}}{seconds:6.1f} s  {remark}".rstrip())
    seconds = time.monotonic() - began
    if failed:
        say(f"{failed} of {count} checks FAILED, in {seconds:.0f} s.")
    else:
        say(f"All {count} checks passed, in {seconds:.0f} s.")
    return 1 if failed else 0


def _run(check: Check) -> tuple[str, str, float]:
    began, word = time.monotonic(), "ok"
    try:
        remark = check.run()
    except _LeftOutError as reason:
        word, remark = "left out", str(reason)
    except MriFclError as error:
        word, remark = "failed", str(error)
    except Exception as error:  # whatever is missing here: the other checks still tell more
        logger.debug("a check failed", exc_info=True)
        word, remark = "failed", f"{type(error).__name__}: {error}"
    return word, " ".join(remark.split()), time.monotonic() - began


class _Bench:
    """The folder that the checks work in, and what earlier ones made for later ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cohort: Path | None = None
        self._run_folder: Path | None = None

    def checks(self, *, with_window: bool) -> Iterator[Check]:
        """Yield the checks in their order."""
        yield Check("Packages are those of the build", _check_lock)
        yield Check("A folder to work in", self.make_folder)
        for number, check in enumerate(format_checks()):
            yield Check(f"Read {check.name}", self._reader(check, number))
        yield Check("Scan a folder", self.scan)
        yield Check("Train two steps (GoogLeNet)", self.train_googlenet)
        yield Check("Train in two processes (custom CNN)", self.train_in_two)
        yield Check("Open a weights file in a child process", self.open_weights)
        yield Check("Embed in a child process (t-SNE)", self.embed)
        yield Check("Analyse: figures as PNG, SVG and CSV", self.analyse)
        yield Check("Report as HTML", self.report)
        if with_window:
            yield Check("Open the window", self.open_window)

    def make_folder(self) -> str:
        """Make the folder, under a name with a blank and foreign letters."""
        self.folder.mkdir(parents=True)
        return f"'{self.folder.name}'"

    def scan(self) -> str:
        """Write a cohort of simulated scans and scan it."""
        scans = write_cohort(self.folder / "scans")
        scanned = _to_end(tasks.scan(scans, out=self.folder / "scans.mrifcl"))[0]
        self._cohort = scanned.folder
        return f"{len(scanned.cohort.subjects)} simulated subjects"

    def train_googlenet(self) -> str:
        """Train one of torchvision's networks."""
        return self._train(_GOOGLENET)[1]

    def train_in_two(self) -> str:
        """Train in this process and another one, as on two GPUs; its run is analysed."""
        self._run_folder, remark = self._train({**_CNN, "devices": 2, "device": "cpu"})
        return remark

    def open_weights(self) -> str:
        """Save weights as torch does, and open them as a foreign file."""
        import torch

        from core.training.pretrained import load_weights

        path = self.folder / "weights.pth"
        written = torch.arange(6.0).reshape(2, 3)
        torch.save({"fc.weight": written}, path)
        if not torch.equal(load_weights(path)["fc.weight"], written):
            raise MriFclError("The weights are not those that were saved.")
        return ""

    def embed(self) -> str:
        """Place features in the plane in a child process."""
        from core.analysis.projection import project
        from core.run_folder import Run

        run = Run(self._need(self._run_folder))
        found, _ = _to_end(project(run, "tsne"))
        return f"{len(found.points)} dots"

    def analyse(self) -> str:
        """Draw the first figures of the run and write them; the report draws all of them."""
        from core.figure_file import write_figure
        from core.report import run_figures
        from core.run_folder import Run

        run = Run(self._need(self._run_folder))
        written = []
        for make in itertools.islice(run_figures(run), _EXPORTED):
            figure, _ = _to_end(finished(make()))
            written += write_figure(figure, self.folder / "figures")
        for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".csv", b"")):
            of_kind = [path for path in written if path.suffix == suffix]
            if len(of_kind) != _EXPORTED or not all(_begins(path, start) for path in of_kind):
                raise MriFclError(f"Not all {suffix} files were written whole.")
        return f"{len(written)} files"

    def report(self) -> str:
        """Write the report page."""
        page = self.folder / "report.html"
        _to_end(tasks.report_html([self._need(self._run_folder)], page))
        return f"{page.stat().st_size / 1e6:.1f} MB"

    def open_window(self) -> str:
        """Open the window in a process of its own, on what was made, and paint it."""
        paths = [path for path in (self._cohort, self._run_folder) if path is not None]
        return open_window_once(self.folder, paths)

    def _reader(self, check: FormatCheck, number: int) -> Callable[[], str]:
        def read() -> str:
            if check.needs_dicom and not _has_dicom():
                raise _LeftOutError("the extra 'dicom' is not installed")
            place = self._need(self.folder) / f"format {number}"
            place.mkdir()
            if problem := check.try_it(place):
                raise MriFclError(f"A file was read, but {problem}.")
            return ""

        return read

    def _train(self, values: dict[str, Any]) -> tuple[Path, str]:
        settings = config.change(RunSettings(), values)
        operation = tasks.train(self._need(self._cohort), settings, self.folder / "runs")
        path, events = _to_end(operation)
        losses = [event.loss for event in events if isinstance(event, BatchDone)]
        if len(losses) != STEPS or not all(map(math.isfinite, losses)):
            raise MriFclError(f"{STEPS} steps with a loss were expected, but it had {losses}.")
        return path, f"{len(losses)} steps, loss {losses[-1]:.2f}"

    def _need(self, made: Path | None) -> Path:
        if made is None or not made.exists():
            raise _NotTriedError("Not tried, since what it needs was not made above.")
        return made


def open_window_once(folder: Path, paths: list[Path]) -> str:
    """Open the window on ``paths`` in a process of its own; return when it was painted.

    Everything the window keeps goes into ``folder``. Without a display it is painted all the
    same, but nowhere.
    """
    # What is not in its settings goes beside them: the log.
    user = str(folder / "user")
    environment = {**os.environ, "XDG_DATA_HOME": user, "LOCALAPPDATA": user}
    if _has_no_display():
        environment["QT_QPA_PLATFORM"] = "offscreen"
    began = time.time()
    try:
        done = subprocess.run(
            own_command(WINDOW_ARGUMENT, str(folder), *map(str, paths)),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_WINDOW_SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MriFclError("The window was not painted and closed in time.") from None
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode != 0 or not said:
        complaint = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MriFclError(
            f"It ended with status {done.returncode}: {' '.join(complaint[-6:]) or 'no reason'}"
        )
    record = json.loads(said[-1])
    times = ", ".join(
        f"{word} after {record[key] - began:.2f} s{cpu}"
        for word, key, cpu in (
            ("painted", "painted", f" ({record['painted_cpu']:.2f} s of CPU time)"),
            ("ready", "ready", f" ({record['ready_cpu']:.2f} s)"),
            ("all loaded", "whole", ""),
        )
    )
    return f"{times}; {record['platform']}, {record['width']} x {record['height']}"


def _begins(path: Path, start: bytes) -> bool:
    content = path.read_bytes()
    return len(content) > 100 and content.startswith(start)


def _has_no_display() -> bool:
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _to_end(operation: Operation[Any]) -> tuple[Any, list[object]]:
    """Run an operation; return its result and its events."""
    events: list[object] = []
    while True:
        try:
            events.append(next(operation))
        except StopIteration as end:
            return end.value, events


def _has_dicom() -> bool:
    from importlib.util import find_spec

    # A packaged program has it always: there a missing one is a fault.
    return program_folder() is not None or all(map(find_spec, ("pydicom", "gdcm")))


def _check_lock() -> str:
    record = build_record()
    if record is None:
        if program_folder() is not None:
            raise MriFclError("The file versions.json is missing: install the program again.")
        raise _LeftOutError("this is no packaged program")
    if wrong := record.out_of_step():
        raise MriFclError(f"{'; '.join(wrong)}. Install the program again.")
    return f"{len(record.versions)} packages"


def _program_files() -> dict[str, tuple[int, int]]:
    folder = program_folder()
    if folder is None:
        return {}
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 - thousands of files
            state = os.lstat(path)
            found[path] = (state.st_size, state.st_mtime_ns)
    return found


def _same_files(before: dict[str, tuple[int, int]]) -> str:
    if program_folder() is None:
        raise _LeftOutError("this is no packaged program")
    changed = {path for path, _ in before.items() ^ _program_files().items()}
    if changed:
        raise MriFclError(f"Changed, new or gone: {', '.join(sorted(changed)[:5])}.")
    return f"{len(before)} files"


def _remove(folder: Path) -> str:
    shutil.rmtree(folder)
    return ""
