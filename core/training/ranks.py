"""Start the other processes of a training on several devices of this machine.

The first process is this one, so that its events reach the window as ever. On several
machines torchrun or SLURM starts all of them, and nothing is started here.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch

from core import config
from core.config import RunSettings
from core.data.cohort import load_cohort
from core.errors import TrainingError
from core.process_start import own_command
from core.progress import run_to_end
from core.training.engine import Engine
from core.training.launch import Launch, outer_launch

RANK_ARGUMENT = "--training-rank"
_READY = "ready"
# Starting Python and torch takes seconds; on a busy machine with a cold disk, a minute.
_START_SECONDS = 300


class OtherRanks:
    """The processes of one training; as a context, they are ended at its end.

    Parameters
    ----------
    settings : RunSettings
    cohort_folder : Path
    run_folder : Path, optional
        The run to go on with; none for a new one.
    place : Mapping, optional
        Given in the processes that another one started.

    Raises
    ------
    TrainingError
        If the devices cannot be used, or another process does not start.
    """

    def __init__(
        self,
        settings: RunSettings,
        cohort_folder: Path,
        run_folder: Path | None = None,
        *,
        place: Mapping[str, Any] | None = None,
    ) -> None:
        self._children: list[subprocess.Popen[str]] = []
        self._threads = torch.get_num_threads()
        count, self._launch = settings.training.devices, None
        if place is None:
            self._launch = outer_launch()
            _require_launcher(settings, self._launch)
            if self._launch is None and count > 1:
                place = {"address": "127.0.0.1", "port": _free_port(), "count": count, "rank": 0}
        self._place = place
        self._spec = {
            "settings": config.to_record(settings),
            "cohort_folder": str(cohort_folder),
            "run_folder": str(run_folder) if run_folder else "",
        }
        self.engine = Engine(settings.training, place)

    def __enter__(self) -> OtherRanks:
        if self._launch is not None:
            self._guarded(self.engine.launch)
        return self

    @property
    def must_wait(self) -> bool:
        """Tell whether another process prepares the slices that this one then uses."""
        return self._launch is not None and not self.engine.is_first

    def after_first(self) -> None:
        """Let the first process go first, where all were started at the same time."""
        if self._launch is not None:
            self.engine.wait_for_all()

    def meet(self) -> None:
        """Start the other processes of this machine, or join the one that started this one.

        Only now, since the first process has then cut the slices that all of them use.
        """
        if self._place is not None:
            self._guarded(self._join, self._place)
        elif self._launch is None:
            self.engine.launch()

    def _guarded(self, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except BaseException:
            self._end()
            raise

    def _join(self, place: Mapping[str, Any]) -> None:
        if self.engine.device.type == "cpu":
            torch.set_num_threads(max(1, self._threads // int(place["count"])))
        if place["rank"] == 0:
            self._start_children(place)
        else:
            # The first process begins to meet the others once each has said this.
            print(_READY, flush=True)  # noqa: T201 - the parent reads it
        self.engine.launch()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for child in self._children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=30)
        self._end()

    def _start_children(self, place: Mapping[str, Any]) -> None:
        said: queue.Queue[str] = queue.Queue()
        for rank in range(1, int(place["count"])):
            child = subprocess.Popen(
                own_command(RANK_ARGUMENT),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            self._children.append(child)
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps({**self._spec, "place": {**place, "rank": rank}}))
            child.stdin.close()
            threading.Thread(target=_listen, args=(child.stdout, said), daemon=True).start()
        for _ in self._children:
            try:
                word = said.get(timeout=_START_SECONDS)
            except queue.Empty:
                word = "no answer"
            if word != _READY:
                raise TrainingError(
                    "Another process of the training did not start "
                    f"({word}). Choose one device, or try again."
                )

    def _end(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        with contextlib.suppress(RuntimeError):
            self.engine.close()
        torch.set_num_threads(self._threads)


def _require_launcher(settings: RunSettings, launch: Launch | None) -> None:
    wanted = settings.training.nodes
    if wanted > 1 and launch is None:
        raise TrainingError(
            f"{wanted} machines were asked for, but only this one knows of it. Start the "
            "command on each by torchrun or SLURM."
        )


def serve_as_rank() -> int:
    """Take part in the training that standard input describes; return the exit status."""
    from core.training import train as training

    spec = json.loads(sys.stdin.read())
    settings = config.from_record(spec["settings"])
    folder = Path(spec["cohort_folder"])
    cohort = load_cohort(folder)
    if spec["run_folder"]:
        run_to_end(training.resume(Path(spec["run_folder"]), cohort, place=spec["place"]))
    else:
        run_to_end(training.train(cohort, folder, settings, Path(), place=spec["place"]))
    return 0


def _listen(stream: IO[str], said: queue.Queue[str]) -> None:
    """Say the first word of a child; then read on, so that it never waits for a reader."""
    with contextlib.suppress(ValueError, OSError):
        said.put(stream.readline().strip() or "it ended at once")
        for _ in stream:
            pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
