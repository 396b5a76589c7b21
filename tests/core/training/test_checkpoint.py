"""Two checkpoints are kept; a damaged one is found, set aside, and the one before is used."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import random
import shutil
import zipfile

import numpy as np
import pytest
import torch

from core import tasks
from core.atomic_file import sha256_of
from core.config import change
from core.errors import MriFclError, RunError
from core.progress import EpochMetrics, Notice, RunStarted, run_to_end
from core.run_folder import HISTORY_COLUMNS, FcHistory, Run, reopen_run
from core.training import checkpoint
from tests.core.training.test_train import stop_after, train

LAST, PREVIOUS = "resume.ckpt", "resume-previous.ckpt"


@pytest.fixture
def stopped(cohort, small, tmp_path):
    """A run that was stopped in its third epoch."""
    return stop_after(cohort, small, tmp_path / "runs", epoch=2, batch=1)


def flip_bit(path, *, at):
    data = bytearray(path.read_bytes())
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(bytes(data))


def resume(path):
    """Resume; return the notices."""
    return [event.text for event in tasks.resume(path) if isinstance(event, Notice)]


def assert_same_end(run, whole):
    assert run.state == "finished"
    np.testing.assert_array_equal(run.fc_history.epoch, whole.fc_history.epoch)
    np.testing.assert_array_equal(run.fc_history.weight, whole.fc_history.weight)
    np.testing.assert_array_equal(run.features.logits, whole.features.logits)
    np.testing.assert_array_equal(run.history.validation_loss, whole.history.validation_loss)


def test_that_the_record_has_the_sum_of_every_weights_file(stopped):
    sums = Run(stopped).record["sha256"]
    assert set(sums) == {LAST, PREVIOUS, "network.safetensors", "best.safetensors"}
    for name, of in sums.items():
        assert sha256_of(stopped / name) in of
    assert [torch.load(stopped / name)["epoch"] for name in (LAST, PREVIOUS)] == [2, 1]


def test_that_five_hundred_random_bit_flips_are_all_found(stopped, tmp_path):
    record, draw = Run(stopped).record, random.Random(0)
    whole = (stopped / LAST).read_bytes()
    found = 0
    for _ in range(500):
        (stopped / LAST).write_bytes(whole)
        flip_bit(stopped / LAST, at=draw.randrange(8 * len(whole)))
        used = checkpoint._find_checkpoint(stopped, record)
        found += used.damaged == (stopped / LAST,) and used.state["epoch"] == 1
    assert found == 500


def test_that_a_damaged_checkpoint_is_set_aside_and_the_one_before_used(
    cohort, small, stopped, tmp_path
):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    flip_bit(stopped / LAST, at=4000)
    damaged = (stopped / LAST).read_bytes()
    notices = resume(stopped)
    assert len(notices) == 1
    assert (
        "was damaged or missing: training goes on from the one before, after epoch 1"
        in (notices[0])
    )
    assert (stopped / f"{LAST}.damaged").read_bytes() == damaged
    assert_same_end(Run(stopped), whole)
    assert Run(stopped).history.epoch.tolist() == [1, 2, 3]


def test_that_going_back_cuts_curves_and_weights_back_at_once(stopped):
    flip_bit(stopped / LAST, at=4000)
    operation = tasks.resume(stopped)
    for event in operation:
        if isinstance(event, RunStarted):
            break
    run = Run(stopped)
    assert run.history.epoch.tolist() == [1]
    assert run.fc_history.epoch.tolist() == [0, 1]
    assert run.record["epochs_done"] == 1
    operation.close()
    # The one before is the last one now: no second notice, and nothing more is lost.
    assert resume(stopped) == []
    assert Run(stopped).state == "finished"


def test_that_curves_are_only_added_to_where_nothing_is_damaged(stopped):
    before = (stopped / "history.csv").read_bytes()
    operation = tasks.resume(stopped)
    for event in operation:
        assert (stopped / "history.csv").read_bytes().startswith(before)
        if isinstance(event, EpochMetrics):
            break
    operation.close()


def test_that_two_damaged_checkpoints_are_told(stopped):
    for name in (LAST, PREVIOUS):
        flip_bit(stopped / name, at=4000)
    with pytest.raises(RunError, match=r"is damaged\. Train it anew; its curves and"):
        resume(stopped)
    assert Run(stopped).history.epoch.tolist() == [1, 2]


def test_that_a_run_of_an_earlier_version_resumes(cohort, small, stopped, tmp_path):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    record = json.loads((stopped / "run.json").read_text())
    del record["sha256"]
    (stopped / "run.json").write_text(json.dumps(record))
    for name in (PREVIOUS, "run.json.bak"):
        (stopped / name).unlink()
    assert resume(stopped) == []
    assert_same_end(Run(stopped), whole)


def test_that_a_flipped_bit_is_found_without_a_sum_too(stopped):
    record = {key: value for key, value in Run(stopped).record.items() if key != "sha256"}
    with zipfile.ZipFile(stopped / LAST) as archive:
        member = max(archive.infolist(), key=lambda found: found.file_size)
    flip_bit(stopped / LAST, at=8 * (member.header_offset + 200) + 3)
    assert checkpoint._find_checkpoint(stopped, record).state["epoch"] == 1


def test_that_a_checkpoint_the_record_was_not_told_of_is_dropped_in_silence(stopped):
    record = dict(Run(stopped).record)
    shutil.copy(stopped / LAST, stopped / PREVIOUS)
    (stopped / LAST).write_bytes(b"newer, but never acknowledged")
    found = checkpoint._find_checkpoint(stopped, record)
    assert (found.state["epoch"], found.notices) == (2, ())
    assert resume(stopped) == []
    assert not list(stopped.glob("*.damaged"))


def test_that_a_damaged_network_is_not_used_as_weights(cohort, small, stopped, tmp_path):
    path = stopped / "network.safetensors"
    flip_bit(path, at=8 * path.stat().st_size - 40)
    settings = change(small, {"regime": "fine-tuned", "weights": str(stopped)})
    with pytest.raises(MriFclError, match=r"'network.safetensors' of run '.*' is damaged. Resume"):
        train(cohort, settings, tmp_path / "new")


def test_that_a_damaged_network_is_not_analysed(stopped):
    path = stopped / "network.safetensors"
    flip_bit(path, at=8 * path.stat().st_size - 40)
    with pytest.raises(RunError, match=r"is damaged\. Resume the run to write it again"):
        run_to_end(tasks.analyse(stopped))


def test_that_a_checkpoint_of_other_classes_is_refused(stopped):
    record = json.loads((stopped / "run.json").read_text())
    fewer = {**torch.load(stopped / LAST)}
    fewer["network"] = {
        **fewer["network"],
        "fc.weight": torch.zeros(3, 8),
        "fc.bias": torch.zeros(3),
    }
    torch.save(fewer, stopped / LAST)
    record["sha256"][LAST] = [sha256_of(stopped / LAST)]
    (stopped / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match=r"is of another network .* \(2 classes: AD, NC\)"):
        resume(stopped)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_that_a_checkpoint_that_holds_code_is_not_opened(stopped, tmp_path):
    # Faults X3.
    record = json.loads((stopped / "run.json").read_text())
    with zipfile.ZipFile(stopped / LAST, "w") as archive:
        archive.writestr("resume/data.pkl", pickle.dumps({"epoch": Evil(tmp_path / "ran")}, 2))
        archive.writestr("resume/version", "3\n")
    del record["sha256"]
    (stopped / "run.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="holds program code: it is unsafe and was not opened"):
        resume(stopped)
    assert not (tmp_path / "ran").exists()


def test_that_a_damaged_fcl_history_begins_anew(stopped):
    (stopped / "fc_history.npz").write_bytes(b"no longer arrays")
    notices = resume(stopped)
    assert any("FCL are kept from epoch 2 on" in text for text in notices)
    assert Run(stopped).fc_history.epoch.tolist() == [2, 3]


def be_an_epoch_ahead(path):
    """Make curves and FCL weights what a kill before the checkpoint leaves."""
    record = (path / "run.json").read_bytes()
    writer, run = reopen_run(path), Run(path)
    history = run.fc_history
    last = dict.fromkeys(HISTORY_COLUMNS, 0.5) | {"epoch": len(history.epoch)}
    writer.append_epoch(last)
    writer.write_fc_history(
        FcHistory(
            np.append(history.epoch, len(history.epoch)),
            np.concatenate([history.weight, history.weight[-1:] + 1]),
            np.concatenate([history.bias, history.bias[-1:]]),
        )
    )
    writer.close()
    (path / "run.json").write_bytes(record)


def test_that_a_killed_run_is_analysed_from_its_checkpoint(cohort, small, tmp_path):
    operation = tasks.train(cohort.folder, small, tmp_path / "runs")
    for event in operation:
        if isinstance(event, EpochMetrics) and event.epoch == 2:
            break
    copy = tmp_path / "runs" / "copy"
    shutil.copytree(next((tmp_path / "runs").iterdir()), copy)
    operation.close()
    assert Run(copy).state == "interrupted"
    be_an_epoch_ahead(copy)
    run_to_end(tasks.open_run(copy))
    run = Run(copy)
    assert run.history.epoch.tolist() == [1, 2]
    assert run.fc_history.epoch.tolist() == [0, 1, 2]
    weight, bias = run.fc_history.at(2)
    np.testing.assert_allclose(
        run.features.penultimate @ weight.T + bias, run.features.logits, atol=1e-5
    )
    assert run.state == "interrupted"


def test_that_stopping_at_any_moment_leaves_a_run_that_ends_alike(cohort, small, tmp_path):
    whole = Run(train(cohort, small, tmp_path / "whole"))
    n_events = sum(1 for _ in tasks.train(cohort.folder, small, tmp_path / "counted"))
    draw = random.Random(1)
    for number in range(50):
        runs = tmp_path / f"runs{number}"
        operation = tasks.train(cohort.folder, small, runs)
        events = list(itertools.islice(operation, draw.randrange(1, n_events)))
        done = max((event.epoch for event in events if isinstance(event, EpochMetrics)), default=0)
        operation.close()
        if not runs.exists():
            continue
        run = Run(next(runs.iterdir()))
        assert run.state == "stopped"
        assert run.record.get("epochs_done", 0) == done
        assert not (run.path / "run.lock").exists()
        if done and number % 5 == 0:
            run_to_end(tasks.resume(run.path))
            assert_same_end(Run(run.path), whole)
