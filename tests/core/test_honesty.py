"""The honesty tools as a user types them, on real tiny runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import main
from core.config import RunSettings
from core.errors import RunError
from core.honesty import leakage_meter, look_for_meter, planned_runs, write_meter
from core.run_folder import Run, list_runs
from tests.tiny_cohort import TINY_VALUES, drive, make_cohort, tiny, train_run

OPTIONS = [
    word
    for name, value in TINY_VALUES.items()
    for word in (f"--{name.replace('_', '-')}", str(value))
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The meter's runs of a tiny cohort, trained once: its cohort, run folder and output."""
    folder = tmp_path_factory.mktemp("meter")
    scanned = make_cohort(folder)
    return scanned, folder / "runs"


def last_json(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_that_the_leakage_meter_trains_both_splits_and_tells_the_difference(measured, capsys):
    scanned, runs = measured
    command = ["leakage-meter", str(scanned.folder), *OPTIONS, "--shuffled", "--out", str(runs)]
    assert main.main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out.strip().splitlines()[-1])
    assert "Run 4 of 4: split by slice, shuffled labels, seed 0." in err
    trained = [Run(Path(path)) for path in result["runs"]]
    splits = [(run.settings.split.mode, run.settings.split.shuffled_labels) for run in trained]
    assert splits == [("subject", False), ("slice", False), ("subject", True), ("slice", True)]
    true, shuffled = result["meters"]
    assert (true["labels"], shuffled["labels"]) == ("true", "shuffled")
    for meter, (by_subject, by_slice) in ((true, trained[:2]), (shuffled, trained[2:])):
        assert meter["by_subject"] == pytest.approx(by_subject.test_accuracy)
        assert meter["by_slice"] == pytest.approx(by_slice.test_accuracy)
        assert meter["inflation"] == pytest.approx(meter["by_slice"] - meter["by_subject"])
        assert meter["low"] <= meter["inflation"] <= meter["high"]
    assert "leakage adds" in out
    with Path(result["files"][0]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["inflation_points"]) == pytest.approx(100 * true["inflation"])
    assert {Path(path).suffix for path in result["files"]} == {".csv", ".png", ".svg"}


def test_that_what_is_trained_already_is_not_trained_again(measured, capsys):
    scanned, runs = measured
    train_run(scanned, runs)
    train_run(scanned, runs, mode="slice")
    before = len(list(list_runs(runs)))
    command = ["leakage-meter", str(scanned.folder), *OPTIONS, "--out", str(runs), "--json"]
    assert main.main(command) == 0
    assert "is that already" in capsys.readouterr().err
    assert len(list(list_runs(runs))) == before
    # A second measurement leaves the files of the first.
    folders = sorted(path.name for path in runs.glob("leakage_meter*"))
    assert len(folders) >= 1
    assert main.main(command) == 0
    assert len(list(runs.glob("leakage_meter*"))) == len(folders) + 1


def test_that_runs_of_another_cohort_are_not_taken(measured, tmp_path):
    _scanned, runs = measured
    other = make_cohort(tmp_path, subjects=4)
    operation = leakage_meter(other.folder, tiny(), tmp_path / "runs", known=list(known_of(runs)))
    meter = drive(operation)
    assert all(path.parent == tmp_path / "runs" for path in meter.runs)


def known_of(runs):
    return (run.path for run in list_runs(runs))


def test_that_a_meter_is_read_from_the_runs_beside_one(measured):
    scanned, runs = measured
    first = train_run(scanned, runs, cnn_width=3)
    assert drive(look_for_meter(first)).found == ()
    train_run(scanned, runs, cnn_width=3, mode="slice")
    (found,) = drive(look_for_meter(first)).found
    assert found.by_subject == pytest.approx(Run(first).test_accuracy)


def test_that_an_empty_meter_is_not_written(measured, tmp_path):
    scanned, _ = measured
    alone = train_run(scanned, tmp_path / "alone")
    meter = drive(look_for_meter(alone))
    with pytest.raises(Exception, match="no two runs"):
        write_meter(meter, tmp_path)
    assert not list(tmp_path.glob("leakage_meter*"))


def test_that_seeds_splits_and_labels_are_planned_and_a_split_file_is_dropped():
    settings = RunSettings()
    planned = planned_runs(settings, seeds=3, with_shuffled=True)
    assert len(planned) == 12
    assert {run.training.seed for run in planned} == {0, 1, 2}
    assert {run.split.split_file for run in planned} == {""}
    for seeds in (0, 21):
        with pytest.raises(RunError, match="1 to 20"):
            planned_runs(settings, seeds=seeds)


def test_that_check_table_tells_the_counts(capsys):
    assert main.main(["check-table", "96.8", "98.1", "93,2", "--n", "504", "--json"]) == 0
    out = capsys.readouterr().out
    possible, odd, cut = json.loads(out.splitlines()[-1])["checks"]
    assert (possible["possible"], possible["counts"], possible["rounded"]) == (True, [488], True)
    assert (odd["possible"], odd["nearest"]) == (False, [[494, "98.0"], [495, "98.2"]])
    assert (cut["possible"], cut["counts"], cut["rounded"]) == (True, [470], False)
    assert "98.1 % of 504 is not possible" in out


def test_that_check_table_alone_checks_the_paper(capsys):
    assert main.main(["check-table", "--json"]) == 0
    out = capsys.readouterr().out
    assert "5 of 36 percentages" in out
    assert len(json.loads(out.splitlines()[-1])["rows"]) == 36


def test_that_check_table_wants_the_number_of_cases(capsys):
    assert main.main(["check-table", "96.8"]) == 2
    assert "--n 504" in capsys.readouterr().err
    assert main.main(["check-table", "abc", "--n", "504"]) == 1
    assert "no percentage" in capsys.readouterr().err


def test_that_correlate_prints_and_writes_the_tables_of_chosen_scans(measured, tmp_path, capsys):
    scanned, runs = measured
    run = Run(train_run(scanned, runs))
    test_scans = sorted(set(run.features.of_part("test").scan.tolist()))
    chosen = ",".join(test_scans[:2])
    command = ["correlate", str(run.path), "--scans", chosen, "--method", "spearman"]
    assert main.main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    result = last_json(capsys)
    listed = result["weight_scan_correlation_by_scan_test"]
    assert sorted(row["scan"] for row in listed) == test_scans[:2]
    assert (tmp_path / "out" / "scan_correlation_test.png").is_file()
    assert (tmp_path / "out" / "weight_scan_correlation_by_class_test.csv").is_file()
    assert main.main(["correlate", str(run.path), "--scans", "nobody"]) == 1
    assert "None of the chosen scans" in capsys.readouterr().err


def test_that_compare_writes_claims_paper_rows_leakage_and_the_paired_test(
    measured, tmp_path, capsys
):
    scanned, runs = measured
    relu = train_run(scanned, runs, epochs=1)
    leaky = train_run(scanned, runs, epochs=1, activation="leaky-relu")
    by_slice = train_run(scanned, runs, epochs=1, mode="slice")
    out = tmp_path / "pair"
    assert main.main(["compare", str(relu), str(leaky), "--out", str(out), "--json"]) == 0
    names = {path.name for path in out.iterdir()}
    expected = {"paired_test.csv", "claims.csv", "paper_rows.csv", "table_2.csv"}
    assert expected <= names
    assert "correlation_side_by_side_test.png" in names
    assert "leakage_meter.png" not in names
    out = tmp_path / "leak"
    assert main.main(["compare", str(relu), str(by_slice), "--out", str(out), "--json"]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"leakage_meter.png", "leakage_meter_numbers.csv"} <= names
    # What one was tested on the other was trained on: nothing to pair.
    assert "paired_test.csv" not in names
