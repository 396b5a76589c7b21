"""Train in a child that is killed at a random moment, resume, and say what was lost.

Run as a program: COHORT WORK SEED MOMENTS. The children are forked from one process that has
torch loaded, so that hundreds of moments can be tried. Writes one JSON line for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from core import tasks
from core.config import RunSettings
from core.progress import EpochMetrics, Notice, RunStarted, run_to_end
from core.run_folder import Run
from tests.tiny_cohort import tiny

SETTINGS: RunSettings = tiny(epochs=4, batch=8, learning_rate=0.05)


def train_and_tell(operation, pipe):
    """Train; tell each epoch the moment it is acknowledged."""
    for event in operation:
        if isinstance(event, RunStarted):
            os.write(pipe, b"started\n")
        elif isinstance(event, EpochMetrics):
            os.write(pipe, f"{event.epoch}\n".encode())


def fork(make_operation):
    """Return process id and pipe of a child that trains."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    with contextlib.suppress(BaseException):
        os.close(reading)
        train_and_tell(make_operation(), writing)
    os._exit(0)


def read_line(pipe):
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(pipe, 1)):
            break
        line += byte
    return line.strip().decode()


def kill_after(child, pipe, seconds):
    """Kill a child some time after it began; return the last epoch it told."""
    line = read_line(pipe)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = [line]
    while line := read_line(pipe):
        told.append(line)
    os.close(pipe)
    return max([int(word) for word in told if word.isdecimal()], default=0)


def one_moment(cohort, runs, seconds):
    """Kill a new run after ``seconds``, then resume it, killing that too now and then."""
    child, pipe = fork(lambda: tasks.train(cohort, SETTINGS, runs))
    told = kill_after(child, pipe, seconds)
    path = next(runs.iterdir())
    run = Run(path)
    result = {
        "seconds": seconds,
        "told": told,
        "state": run.state,
        "recorded": int(run.record.get("epochs_done", 0)),
        "in_history": len(run.history.epoch),
        "left_over": sorted(p.name for p in path.iterdir() if p.name.endswith(".part")),
    }
    if run.state == "interrupted" and told:
        result["notices"] = [
            event.text for event in tasks.resume(path) if isinstance(event, Notice)
        ]
    elif run.state == "interrupted":
        with contextlib.suppress(Exception):
            run_to_end(tasks.resume(path))
    return result, path


def main():
    cohort, work, seed, moments = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5])
    torch.set_num_threads(1)
    draw = random.Random(seed)
    whole = Run(run_to_end(tasks.train(cohort, SETTINGS, work / "whole")))
    began = time.monotonic()
    child, pipe = fork(lambda: tasks.train(cohort, SETTINGS, work / "timed"))
    read_line(pipe)
    began = time.monotonic()
    os.waitpid(child, 0)
    takes = time.monotonic() - began
    for number in range(moments):
        runs = work / f"runs{number}"
        result, path = one_moment(cohort, runs, draw.uniform(0, takes))
        run = Run(path)
        if run.state == "finished":
            result["equal"] = all(
                np.array_equal(ours, theirs)
                for ours, theirs in (
                    (run.fc_history.weight, whole.fc_history.weight),
                    (run.fc_history.epoch, whole.fc_history.epoch),
                    (run.history.train_loss, whole.history.train_loss),
                    (run.history.validation_loss, whole.history.validation_loss),
                    (run.features.logits, whole.features.logits),
                )
            )
        sys.stdout.write(json.dumps(result | {"end": run.state}) + "\n")
        sys.stdout.flush()
        shutil.rmtree(runs)


if __name__ == "__main__":
    main()
