"""A brought split rules a run, is recorded by its hash, and is not needed again."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from core import tasks
from core.cli import run_command
from core.data.cohort import save_cohort
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


def test_that_a_run_records_how_it_was_split_and_what_leaks_by_parts(tmp_path):
    scanned = make_cohort(tmp_path)
    run = Run(train_run(scanned, tmp_path / "runs", epochs=1, mode="slice"))
    assert run.record["split"] == "by slice 5:2:3, seed 0"
    assert run.record["slices_compared"] is True
    shared = run.record["leakage"]["shared_subjects"]
    assert shared[0][2] == shared[2][0] > 0
    assert run.leaks


def test_that_the_terminal_keeps_a_split_and_takes_it_again(tmp_path, capsys):
    scanned = make_cohort(tmp_path)
    out = tmp_path / "kept.csv"
    arguments = [str(scanned.folder), "--size", "32", "--json"]
    assert run_command(["split", *arguments, "--seed", "7", "--out", str(out)])[0] == 0
    kept = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert kept["split"] == "subject"
    assert sum(kept["subjects"].values()) == 12
    assert not (scanned.folder / "slices").exists()  # subjects need no slices
    assert run_command(["audit", *arguments, "--quick", "--split-file", str(out)])[0] == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["split_words"] == "by subject, from file kept.csv"
    assert shown["slices_compared"] is False
    assert not shown["leaks"]


def test_that_a_split_by_slice_is_kept_with_the_true_numbers(tmp_path):
    scanned = make_cohort(tmp_path)
    settings = tiny(mode="slice")
    kept = drive(tasks.keep_split(scanned.folder, settings, tmp_path / "kept.csv"))
    assert kept.by == "slice"
    first = drive(tasks.audit(scanned.folder, settings))
    again = drive(tasks.audit(scanned.folder, tiny(split_file=str(tmp_path / "kept.csv"))))
    assert again.words == "by slice, from file kept.csv"
    assert again.neighbours.tolist() == first.neighbours.tolist()


def test_that_the_split_of_a_run_is_kept_without_its_cohort(tmp_path):
    scanned = make_cohort(tmp_path)
    path = train_run(scanned, tmp_path / "runs", epochs=1)
    shutil.rmtree(scanned.folder)
    kept = drive(tasks.keep_split(path, tiny(), tmp_path / "kept.csv"))
    assert kept.words == "by subject 5:2:3, seed 0"
    assert sum(kept.slices.values()) == 48


def test_that_a_split_that_cannot_be_written_is_told(tmp_path, capsys):
    scanned = make_cohort(tmp_path)
    (tmp_path / "way").write_text("in it", encoding="utf-8")
    out = tmp_path / "way" / "split.csv"
    assert run_command(["split", str(scanned.folder), "--out", str(out)])[0] == 1
    assert "cannot be written" in " ".join(capsys.readouterr().err.split())


def test_that_the_split_of_a_run_is_audited_after_its_cohort_changed(tmp_path):
    scanned = make_cohort(tmp_path)
    path = train_run(scanned, tmp_path / "runs", epochs=1, mode="slice")
    before = drive(tasks.audit_quickly(path, tiny()))
    scans = [
        dataclasses.replace(scan, included=n > 1) for n, scan in enumerate(scanned.cohort.scans)
    ]
    save_cohort(scanned.cohort.with_scans(scans), scanned.folder)
    after = drive(tasks.audit_quickly(path, tiny()))
    assert after.shared.tolist() == before.shared.tolist()
    assert after.subjects == before.subjects


def test_that_a_quick_audit_of_volumes_reads_none(tmp_path, write_volumes):
    folder = write_volumes(tmp_path / "volumes")
    scanned = drive(tasks.scan(folder, out=tmp_path / "volumes.mrifcl"))
    for file in folder.rglob("*.nii"):
        file.write_bytes(b"gone")
    audit = drive(tasks.audit_quickly(scanned.folder, tiny(count=3)))
    assert sum(audit.slices) == 24
    assert not audit.is_compared
    assert not audit.leaks
    leaking = drive(tasks.audit_quickly(scanned.folder, tiny(count=3, mode="slice")))
    assert leaking.leaks
    assert leaking.pairs[0].first.words.endswith(" of 3")


def test_that_a_file_of_slices_of_volumes_is_checked_before_they_are_cut(tmp_path, write_volumes):
    folder = write_volumes(tmp_path / "volumes")
    scanned = drive(tasks.scan(folder, out=tmp_path / "volumes.mrifcl"))
    out = tmp_path / "kept.csv"
    drive(tasks.keep_split(scanned.folder, tiny(count=3, mode="slice"), out))
    # Of another size they are not cut yet.
    audit = drive(tasks.audit_quickly(scanned.folder, tiny(count=3, size=40, split_file=str(out))))
    assert not audit.is_compared
    assert audit.words == "by slice, from file kept.csv"
    assert (audit.unfit, sum(audit.slices)) == ((), 24)
    whole = drive(tasks.audit(scanned.folder, tiny(count=3, size=40, split_file=str(out))))
    assert whole.slices == audit.slices
    assert [pair.first for pair in whole.pairs if pair.kind == "neighbouring"] == [
        pair.first for pair in audit.pairs
    ]


@pytest.fixture
def write_volumes():
    def write(folder):
        for n in range(8):
            voxels = np.random.default_rng(n).integers(0, 200, (8, 9, 10)).astype(np.int16)
            path = folder / ("AD" if n % 2 else "NC") / f"sub-{n:02d}.nii"
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(voxels, np.diag([1, 1.5, 2, 1])), path)
        return folder

    return write
