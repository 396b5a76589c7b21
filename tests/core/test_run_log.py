"""The log of a run: sentences for people, kept with the run, without names."""

import re

import pytest

from core import tasks
from core.config import RunSettings, change
from core.errors import TrainingError
from core.progress import EpochMetrics, Logged, Notice, RunStarted
from core.run_folder import Run
from core.run_log import LOG_FILE, STOPPED, epoch_sentence, read_log, started_sentence, with_log
from tests.tiny_cohort import make_cohort, tiny

NAN = float("nan")
SETTINGS = change(RunSettings(), {"network": "googlenet", "regime": "scratch", "epochs": 30})


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("log"))


def metrics(epoch, train=0.71, validation=0.64, seconds=38.0):
    return EpochMetrics(epoch, 0.5, train, 0.6, validation, 1e-3, seconds, None, None, None, NAN)


def drain(operation):
    """Return the logged lines, and the error if there was one."""
    lines = []
    try:
        for event in operation:
            if isinstance(event, Logged):
                lines.append(event.line)
    except TrainingError as error:
        return lines, error
    return lines, None


def sentences(lines):
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    return [line.split("  ", 1)[1] for line in lines]


def test_that_an_epoch_is_told_in_a_sentence_and_the_best_one_marked():
    said = epoch_sentence(metrics(3), 30, best=0.6)
    assert said == ("Epoch 3 of 30: training accuracy 71 %, validation 64 %, 38 s; best so far.")
    assert "best" not in epoch_sentence(metrics(3), 30, best=0.64)
    assert "1 h 2 min" in epoch_sentence(metrics(3, seconds=3725.0), 30, best=NAN)


def test_that_what_is_missing_is_a_dash_and_never_best():
    said = epoch_sentence(metrics(1, NAN, NAN, NAN), 2, best=NAN)
    assert said == "Epoch 1 of 2: training accuracy –, validation –, –."


def test_that_the_first_sentence_says_what_is_trained():
    said = started_sentence(SETTINGS)
    assert said.startswith("Training: GoogLeNet, from scratch, 30 epochs, batches of 32")
    assert "half precision" not in said
    assert "half precision (bf16)" in started_sentence(change(SETTINGS, {"precision": "bf16"}))


def test_that_a_run_keeps_the_log_that_was_told(scanned, tmp_path):
    lines, _ = drain(tasks.train(scanned.folder, tiny(epochs=2), tmp_path / "runs"))
    (run,) = (tmp_path / "runs").iterdir()
    assert read_log(run) == lines
    said = sentences(lines)
    assert sum(text.startswith("Epoch ") for text in said) == 2
    assert any(text.startswith("Training: Custom CNN") for text in said)
    measured = Run(run).record["accuracy"]["test"]
    assert said[-1].startswith(f"Finished: {100 * measured:.0f} % of the test slices")


def test_that_stop_and_resume_stand_in_one_log(scanned, tmp_path):
    operation = tasks.train(scanned.folder, tiny(epochs=3), tmp_path / "runs")
    for event in operation:
        if isinstance(event, EpochMetrics) and event.epoch == 2:
            break
    next(operation)  # the line that tells of it
    operation.close()
    (path,) = (tmp_path / "runs").iterdir()
    assert Run(path).state == "stopped"
    assert sentences(read_log(path))[-1] == STOPPED
    drain(tasks.resume(path))
    said = sentences(read_log(path))
    at = said.index(STOPPED)
    assert said[at + 1] == "Resumed after epoch 2 of 3."
    assert sum(text.startswith("Epoch ") for text in said) == 3
    assert said[-1].startswith("Finished")


def test_that_the_best_before_a_stop_still_counts(scanned, tmp_path):
    operation = tasks.train(scanned.folder, tiny(epochs=3), tmp_path / "runs")
    for event in operation:
        if isinstance(event, EpochMetrics) and event.epoch == 2:
            break
    operation.close()
    (path,) = (tmp_path / "runs").iterdir()
    history = path / "history.csv"
    rows = [line.split(",") for line in history.read_text().splitlines()]
    for row in rows[1:]:
        row[rows[0].index("validation_accuracy")] = "1.0"
    history.write_text("".join(",".join(row) + "\n" for row in rows))
    drain(tasks.resume(path))
    (third,) = [text for text in sentences(read_log(path)) if text.startswith("Epoch 3")]
    assert "best" not in third


def test_that_names_of_subjects_and_scans_are_left_out(tmp_path):
    def training():
        yield RunStarted(tmp_path, 1)
        yield Notice("Scan OAS1_0003_MR1 of OAS1_0003 is dark.")
        raise TrainingError("The loss became not-a-number (OAS1_0003_MR1 slice 4).")

    lines, error = drain(with_log(training(), SETTINGS, hidden={"OAS1_0003", "OAS1_0003_MR1", "1"}))
    text = (tmp_path / LOG_FILE).read_text(encoding="utf-8")
    assert text.splitlines() == lines
    assert "OAS1" not in text
    assert "OAS1_0003_MR1" in str(error)
    assert "Broken off: The loss became not-a-number" in lines[-1]


def test_that_a_log_that_cannot_be_written_stops_no_training(scanned, tmp_path, caplog):
    operation = tasks.train(scanned.folder, tiny(epochs=1), tmp_path / "runs")
    for event in operation:
        if isinstance(event, RunStarted):
            (event.path / LOG_FILE).mkdir()
    (path,) = (tmp_path / "runs").iterdir()
    assert Run(path).state == "finished"
    assert "log cannot be written" in caplog.text
