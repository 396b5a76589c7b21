"""A run on disk: never overwritten, readable after a crash, refused in plain words."""

from __future__ import annotations

import csv
import json
import math
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import text_file
from core.config import RunSettings, change
from core.errors import RunError
from core.run_folder import (
    HISTORY_COLUMNS,
    RECORD_FILE,
    FcHistory,
    Features,
    Run,
    create_run,
    is_run,
    list_runs,
    read_record,
    reopen_run,
    softmax,
)

CLASSES = ("AD", "NC")


def epoch_row(epoch, **changes):
    values = [epoch, 0.7, 0.5, 0.69, 0.55, 1e-3, 12.25]
    return dict(zip(HISTORY_COLUMNS, values, strict=True)) | changes


def make_features(n=4, width=3):
    rng = np.random.default_rng(0)
    return Features(
        penultimate=rng.normal(size=(n, width)).astype(np.float32),
        logits=rng.normal(size=(n, 2)).astype(np.float32),
        label=np.arange(n) % 2,
        part=np.array(["train", "train", "validation", "test"])[:n],
        subject=np.array([f"s{i}" for i in range(n)]),
        session=np.array([""] * n),
        scan=np.array([f"s{i}" for i in range(n)]),
        slice=np.arange(n),
    )


@pytest.fixture
def writer(tmp_path):
    made = create_run(tmp_path / "runs", RunSettings(), {"classes": CLASSES})
    yield made
    made.close()


def change_record(writer, **changes):
    path = writer.path / RECORD_FILE
    record = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in record.items() if v is not ...}), "utf-8")


def assert_plain(error, name):
    text = str(error)
    assert name in text
    assert text.endswith(".")
    assert not any(word in text for word in ("Error", "Exception", "Errno", "Traceback", "<class"))


# ------------------------------------------------------------------ create


def test_that_runs_get_names_of_their_own(tmp_path):
    settings = change(RunSettings(), {"network": "vgg19", "regime": "frozen"})
    paths = [create_run(tmp_path, settings, {"classes": CLASSES}).path for _ in range(12)]
    assert len(set(paths)) == 12
    for path in paths:
        assert "_vgg19_frozen" in path.name
        assert is_run(path)


def test_that_a_new_run_tells_what_it_is(writer):
    run = Run(writer.path)
    assert run.state == "running"
    assert run.classes == CLASSES
    assert run.settings == RunSettings()
    assert run.name == writer.path.name
    assert run.record["seed"] == 0
    assert run.record["format"] == "MRI-FCL run"
    assert run.record["started"].endswith("+00:00")
    assert (run.network_title, run.regime_title) == ("GoogLeNet", "From scratch")
    assert not run.has_features
    assert len(run.history.epoch) == 0


def test_that_a_place_that_takes_no_run_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for runs in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match="Choose another folder") as caught:
            create_run(runs, RunSettings(), {})
        assert_plain(caught.value, "file")


def test_that_a_disk_that_fills_up_is_told(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(text_file, "write_json", fail)
    with pytest.raises(RunError, match="No space left") as caught:
        create_run(tmp_path, RunSettings(), {})
    assert_plain(caught.value, "No run can be stored")


def test_that_no_file_of_a_run_holds_an_absolute_path(tmp_path, writer):
    writer.write_split([("s1", "", "s1", 3, "AD", "train")])
    writer.append_epoch(epoch_row(1))
    writer.write_features(make_features())
    writer.write_predictions(make_features(), CLASSES)
    for path in writer.path.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_that_a_run_opens_after_it_was_moved(tmp_path, writer):
    writer.append_epoch(epoch_row(1))
    writer.write_features(make_features())
    shutil.move(writer.path, tmp_path / "elsewhere")
    run = Run(tmp_path / "elsewhere")
    assert run.history.epoch.tolist() == [1]
    assert run.features.subject.tolist() == ["s0", "s1", "s2", "s3"]


# ------------------------------------------------------------------ write and read


def test_that_changes_of_the_record_are_on_disk_at_once(writer):
    writer.update(state="finished", test_accuracy=math.nan, device="cpu")
    run = Run(writer.path)
    assert run.state == "finished"
    assert run.record["test_accuracy"] is None
    writer.close()
    again = reopen_run(writer.path)
    again.update(state="stopped")
    assert Run(writer.path).record["device"] == "cpu"
    assert Run(writer.path).state == "stopped"


def test_that_history_reads_back_with_all_digits(writer):
    writer.append_epoch(epoch_row(1, train_loss=1 / 3, validation_loss=math.nan))
    writer.append_epoch(epoch_row(2))
    history = Run(writer.path).history
    assert history.epoch.tolist() == [1, 2]
    assert history.epoch.dtype == np.int64
    assert history.train_loss[0] == 1 / 3
    assert np.isnan(history.validation_loss[0])
    assert history.seconds.tolist() == [12.25, 12.25]
    assert (writer.path / "history.csv").read_text().startswith(",".join(HISTORY_COLUMNS) + "\n1,")


@given(share=st.floats(0, 1))
def test_that_a_history_cut_anywhere_keeps_its_whole_lines(tmp_path_factory, share):
    writer = create_run(tmp_path_factory.mktemp("runs"), RunSettings(), {"classes": CLASSES})
    for epoch in (1, 2, 3):
        writer.append_epoch(epoch_row(epoch))
    path = writer.path / "history.csv"
    whole = path.read_bytes()
    kept = whole[: int(len(whole) * share)]
    path.write_bytes(kept)
    # A line counts if its end is there: "12" may be the start of "12.25".
    expected = max(kept.count(b"\n") - 1, 0)
    history = Run(writer.path).history
    assert history.epoch.tolist() == [1, 2, 3][:expected]
    assert set(history.seconds.tolist()) <= {12.25}

    writer.keep_history_until(2)
    writer.append_epoch(epoch_row(min(expected, 2) + 1))
    assert Run(writer.path).history.epoch.tolist() == [1, 2, 3][: min(expected, 2) + 1]


@pytest.mark.parametrize(
    "junk", [b"\0" * 300_000 + b"\n", b"a,b,c,d,e,f,g\n", b",,,,,,\n", b"\xff\xfe\n", b"\n\n"]
)
def test_that_broken_lines_of_the_history_are_passed_over(writer, junk):
    writer.append_epoch(epoch_row(1))
    with (writer.path / "history.csv").open("ab") as file:
        file.write(junk)
    writer.append_epoch(epoch_row(2))
    assert Run(writer.path).history.epoch.tolist() == [1, 2]


def test_that_a_history_from_windows_is_read(writer):
    writer.append_epoch(epoch_row(1))
    path = writer.path / "history.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert Run(writer.path).history.seconds.tolist() == [12.25]


def test_that_history_is_dropped_after_the_checkpoint(writer):
    for epoch in (1, 2, 3):
        writer.append_epoch(epoch_row(epoch))
    writer.keep_history_until(2)
    assert Run(writer.path).history.epoch.tolist() == [1, 2]


def test_that_weights_of_every_epoch_read_back(writer):
    weight = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    writer.write_fc_history(FcHistory(np.array([0, 5]), weight, np.ones((2, 2), np.float32)))
    stored = Run(writer.path).fc_history
    assert np.array_equal(stored.at()[0], weight[1])
    assert np.array_equal(stored.at(0)[0], weight[0])
    assert stored.at(5)[1].tolist() == [1, 1]
    with pytest.raises(RunError, match="Epoch 3 is not in this run; it has epochs 0 to 5"):
        stored.at(3)


def test_that_features_read_back_by_part(writer):
    features = make_features()
    writer.write_features(features)
    stored = Run(writer.path).features
    assert Run(writer.path).has_features
    assert np.array_equal(stored.penultimate, features.penultimate)
    assert stored.of_part("train").subject.tolist() == ["s0", "s1"]
    assert stored.of_part("test").slice.tolist() == [3]
    assert stored.of_part("all") is stored


def test_that_predictions_are_a_table_with_a_column_for_each_class(writer):
    features = make_features()
    writer.write_predictions(features, CLASSES)
    with (writer.path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("subject", "scan", "slice", "part", "label", "predicted"),
        *("logit_AD", "logit_NC", "prob_AD", "prob_NC"),
    ]
    for i, row in enumerate(rows):
        logits = [float(row["logit_AD"]), float(row["logit_NC"])]
        assert logits == features.logits[i].tolist()
        assert row["label"] == CLASSES[i % 2]
        assert row["predicted"] == CLASSES[int(np.argmax(logits))]
        assert float(row["prob_AD"]) + float(row["prob_NC"]) == pytest.approx(1)


def test_that_the_split_is_a_table(writer):
    writer.write_split([("s1", "MR1", "s1_MR1", 3, "AD", "train")])
    assert (writer.path / "split.csv").read_text() == (
        "subject,session,scan,slice,label,part\ns1,MR1,s1_MR1,3,AD,train\n"
    )


# ------------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, []),
        ({"shared_subjects": 0}, []),
        ({"shared_subjects": 40}, ["Leaking split: 40 subjects"]),
        ({"simulated": True}, ["Simulated scans"]),
        ({"shared_subjects": 1, "simulated": True}, ["Leaking split", "Simulated scans"]),
    ],
)
def test_that_doubtful_numbers_carry_their_warning(writer, record, words):
    writer.update(**record)
    run = Run(writer.path)
    assert run.leaks == bool(record.get("shared_subjects"))
    assert bool(run.warning) == bool(words)
    assert all(word in run.warning for word in words)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"duplicate_slices": 7}, "7 slices have an equal one in more than one part"),
        ({"near_identical_slices": 1}, "1 slice has a near-identical one in more than one part"),
        ({"shared_scans": 2}, "2 scans stand under two names"),
        (
            {"shared_subjects": 1, "duplicate_slices": 2},
            "1 subject has slices, 2 slices have an equal one",
        ),
    ],
)
def test_that_slices_shared_by_parts_mark_a_run_as_leaking(writer, record, words):
    writer.update(shared_subjects=0, near_identical_slices=0)
    writer.update(**record)
    run = Run(writer.path)
    assert run.leaks
    assert words in run.warning


def test_that_counts_that_are_no_numbers_do_not_mark_a_run(writer):
    writer.update(shared_subjects="many", duplicate_slices=None)
    assert not Run(writer.path).leaks


def test_that_a_run_says_how_it_was_split(writer):
    assert Run(writer.path).split_text.startswith("by subject 5:2:3, seed ")
    writer.update(split="by subject, from file mine.csv")
    assert Run(writer.path).split_text == "by subject, from file mine.csv"


def test_that_a_control_run_says_so(tmp_path):
    settings = change(RunSettings(), {"shuffled_labels": True})
    run = Run(create_run(tmp_path, settings, {"classes": CLASSES}).path)
    assert run.warning == "Control run: labels were shuffled."


# ------------------------------------------------------------------ refuse


def test_that_a_folder_without_a_record_is_no_run(tmp_path):
    assert not is_run(tmp_path)
    with pytest.raises(RunError, match="no run folder") as caught:
        Run(tmp_path)
    assert_plain(caught.value, f"'{tmp_path.name}'")


@pytest.mark.parametrize(
    "content",
    [b"", b'{"format": "MRI-F', b"\0" * 500, b"\xff\xff", b"[" * 100_000],
    ids=["empty", "cut", "nul", "no-text", "deep"],
)
def test_that_a_damaged_record_is_refused(writer, content):
    (writer.path / RECORD_FILE).write_bytes(content)
    for read in (Run, read_record, reopen_run):
        with pytest.raises(RunError, match=r"damaged. Restore it from a copy") as caught:
            read(writer.path)
        assert_plain(caught.value, writer.path.name)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "other"}, "no run folder of MRI-FCL. Choose"),
        ({"format_version": 99}, "newer MRI-FCL. Update"),
        ({"format_version": "one"}, "no format version. Restore"),
        ({"format_version": ...}, "no format version. Restore"),
        ({"classes": ...}, "an entry is missing. Train it again"),
        ({"classes": 3}, "an entry is missing. Train it again"),
        ({"settings": ...}, "an entry is missing. Train it again"),
        ({"settings": "text"}, "an entry is missing. Train it again"),
        ({"settings": {"training": {"network": "alexnet"}}}, "Network: alexnet is not allowed"),
        ({"settings": {"training": {"batch": []}}}, "Batch: .* Restore run.json"),
    ],
)
def test_that_a_wrong_record_is_refused_in_plain_words(writer, changes, text):
    change_record(writer, **changes)
    with pytest.raises(RunError, match=text) as caught:
        Run(writer.path)
    assert_plain(caught.value, writer.path.name)


def test_that_a_record_that_is_a_list_is_refused(writer):
    (writer.path / RECORD_FILE).write_text("[1]")
    with pytest.raises(RunError, match="no run folder of MRI-FCL"):
        Run(writer.path)


@pytest.mark.parametrize(
    ("file", "name"), [("features.npz", "features"), ("fc_history.npz", "fc_history")]
)
def test_that_missing_arrays_are_told(writer, file, name):
    with pytest.raises(RunError, match="Let its training end, or resume it") as caught:
        getattr(Run(writer.path), name)
    assert_plain(caught.value, file)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "array", "entry"])
def test_that_damaged_arrays_are_told(writer, damage):
    writer.write_features(make_features())
    path = writer.path / "features.npz"
    if damage == "array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif damage == "entry":
        with path.open("wb") as file:
            np.savez(file, logits=np.ones((2, 2)))
    else:
        path.write_bytes({"cut": path.read_bytes()[:-50], "empty": b"", "text": b"x" * 99}[damage])
    with pytest.raises(RunError, match=r"damaged\. Resume the run") as caught:
        _ = Run(writer.path).features
    assert_plain(caught.value, "'features.npz'")


@given(where=st.floats(0, 0.999), bit=st.integers(0, 7))
def test_that_a_flipped_bit_in_arrays_is_found_or_harmless(tmp_path_factory, where, bit):
    writer = create_run(tmp_path_factory.mktemp("runs"), RunSettings(), {"classes": CLASSES})
    features = make_features()
    writer.write_features(features)
    path = writer.path / "features.npz"
    data = bytearray(path.read_bytes())
    data[int(len(data) * where)] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        stored = Run(writer.path).features
    except RunError:
        return
    assert np.array_equal(stored.penultimate, features.penultimate)
    assert np.array_equal(stored.logits, features.logits)


def test_that_no_array_file_runs_code(writer):
    with (writer.path / "features.npz").open("wb") as file:
        np.savez(file, penultimate=np.array([{"a": print}], dtype=object))
    with pytest.raises(RunError, match="damaged"):
        _ = Run(writer.path).features


# ------------------------------------------------------------------ list


def test_that_readable_runs_are_listed_oldest_first_and_others_passed_over(tmp_path):
    assert list(list_runs(tmp_path / "gone")) == []
    paths = [create_run(tmp_path, RunSettings(), {"classes": CLASSES}).path for _ in range(3)]
    for name, path in zip("cab", paths, strict=True):
        path.rename(tmp_path / name)
    (tmp_path / "b" / RECORD_FILE).write_text("{")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").touch()
    assert [run.name for run in list_runs(tmp_path)] == ["a", "c"]


# ------------------------------------------------------------------ small things


def test_that_softmax_is_as_calculated_by_hand_and_never_overflows():
    # exp(0) : exp(ln 3) = 1 : 3
    assert softmax(np.array([[0.0, math.log(3)]])).tolist() == [
        [pytest.approx(0.25), pytest.approx(0.75)]
    ]
    assert softmax(np.array([[1000.0, -1000.0]])).tolist() == [[1.0, 0.0]]
