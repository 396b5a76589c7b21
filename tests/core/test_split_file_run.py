"""A brought split rules a run, is recorded by its hash, and is not needed again."""

from __future__ import annotations

import csv
import hashlib
import json

from core import tasks
from core.cli import run_command
from core.run_folder import Run
from tests.tiny_cohort import drive, make_cohort, tiny, train_run


def write_split(path, cohort):
    parts = ("train", "train", "validation", "test")
    rows = [f"{name},{parts[n % 4]}\n" for n, name in enumerate(cohort.subjects)]
    path.write_text("subject,part\n" + "".join(rows) + "nobody,test\n", encoding="utf-8")


def test_that_a_run_follows_and_records_the_split_file(tmp_path):
    scanned = make_cohort(tmp_path)
    given = tmp_path / "private" / "mine.csv"
    given.parent.mkdir()
    write_split(given, scanned.cohort)
    events = []
    training = tasks.train(scanned.folder, tiny(split_file=str(given), epochs=1), tmp_path / "runs")
    while True:
        try:
            events.append(next(training))
        except StopIteration as stop:
            path = stop.value
            break
    assert any("nobody" in getattr(event, "text", "") for event in events)
    run = Run(path)
    digest = hashlib.sha256(given.read_bytes()).hexdigest()
    assert run.record["split_file"] == {"name": "mine.csv", "sha256": digest}
    assert run.record["split_mode"] == "file"
    assert run.record["near_identical_slices"] == 0
    assert "private" not in (path / "run.json").read_text(encoding="utf-8")

    given.unlink()
    assert not drive(tasks.audit(path, tiny())).leaks


def test_that_the_terminal_prints_and_writes_the_audit(tmp_path, capsys):
    scanned = make_cohort(tmp_path)
    out = tmp_path / "audit"
    arguments = ["audit", str(scanned.folder), "--split", "slice", "--size", "32"]
    status, _ = run_command([*arguments, "--out", str(out), "--json"])
    assert status == 0
    shown = capsys.readouterr().out
    result = json.loads(shown.splitlines()[-1])
    assert result["leaks"]
    assert result["near_identical_slices"] == 0
    names = {"shared_subjects.csv", "leakage_matrix.csv", "leaking_pairs.csv"}
    assert {path.name for path in out.iterdir()} == names
    with (out / "leakage_matrix.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["neighbouring_slices"]) for row in rows) == 2 * result["neighbouring_slices"]
    assert "What parts share" in shown


def test_that_tables_of_an_audit_that_cannot_be_written_are_told(tmp_path, capsys):
    scanned = make_cohort(tmp_path)
    (tmp_path / "audit").write_text("in the way", encoding="utf-8")
    arguments = ["audit", str(scanned.folder), "--size", "32", "--out", str(tmp_path / "audit")]
    assert run_command(arguments)[0] == 1
    assert "cannot be written" in " ".join(capsys.readouterr().err.split())


def test_that_a_drawn_split_has_no_split_file_in_its_record(tmp_path):
    run = Run(train_run(make_cohort(tmp_path), tmp_path / "runs", epochs=1))
    assert run.record["split_file"] is None
    assert run.record["split_mode"] == "subject"
