"""The audit finds what a split lets through."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.distance import pdist, squareform

from core.config import SplitSettings
from core.data import slice_prints
from core.data.leakage import audit_records, audit_slices, audit_split
from core.data.leakage_audit import with_recorded_counts
from core.data.picture_hash import HASH_BITS, hash_pictures, near_pairs
from core.data.slice_prints import take_prints
from core.data.split import PARTS, Split, split_slices
from core.progress import Progress, run_to_end


def test_that_a_split_by_slice_is_found_leaking(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(5)], 10)
    audit = audit_split(slices, split_slices(slices, SplitSettings(mode="slice"), 0), "slice")
    assert audit.leaks
    assert audit.shared_subjects == 10
    assert audit.neighbouring_slices > 0
    assert audit.duplicate_slices == 0
    assert audit.sentence().startswith("The split leaks: 10 subjects")
    assert "inflated" in audit.sentence()


@given(seed=st.integers(0, 1000))
def test_that_shared_subjects_are_as_counted_one_by_one(make_slices, seed):
    slices = make_slices([(f"s{n}", n % 2) for n in range(8)], 4)
    split = split_slices(slices, SplitSettings(mode="slice"), seed)
    audit = audit_split(slices, split, "slice")
    parts_of = [set(split.part[slices.subject == name]) for name in set(slices.subject)]
    assert audit.shared_subjects == sum(len(parts) > 1 for parts in parts_of)
    assert audit.shared[0, 2] == sum({"train", "test"} <= parts for parts in parts_of)
    assert np.array_equal(audit.shared, audit.shared.T)


def test_that_neighbouring_slices_are_counted_within_a_scan(make_slices):
    slices = make_slices([("a", 0), ("b", 1)], 4)
    part = np.array(["train", "train", "test", "train"] + ["test"] * 4, dtype="<U10")
    audit = audit_split(slices, Split(part, slices.label), "slice")
    assert audit.neighbouring_slices == 2
    assert audit.shared_subjects == 1


def test_that_equal_slices_of_two_subjects_are_found(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 2)
    pixels = slices.pixels.copy()
    pixels[2] = pixels[0]
    pixels[[1, 3, 5]] = 0  # black slices are equal in all scans and tell nothing
    slices = dataclasses.replace(slices, pixels=pixels)
    part = np.repeat(np.array(["train", "test", "validation"], dtype="<U10"), 2)
    audit = audit_split(slices, Split(part, slices.label), "subject")
    assert audit.duplicate_slices == 2
    assert audit.shared_subjects == 0
    assert audit.leaks


def test_that_a_clean_split_is_told_clean_with_its_table(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(4)])
    audit = audit_split(slices, split_slices(slices, SplitSettings(), 0), "subject")
    assert not audit.leaks
    assert audit.sentence() == "No leak: no subject or slice stands in two parts."
    table = audit.table()
    assert table.columns == ("part", "train", "validation", "test")
    assert [row[0] for row in table.rows] == ["train", "validation", "test"]
    assert sum(table.rows[i][i + 1] for i in range(3)) == 8
    assert table.caption == audit.sentence()


# ------------------------------------------------------------------ near-identical slices


def smooth_pictures(n, size=64, seed=0):
    """Pictures with structure at all scales, as unlike each other as two subjects."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 12, 12), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(each).resize((size, size), Image.BICUBIC)) for each in coarse]
    )


def saved_anew(pixels, quality):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def bits_between(first, second):
    ((_, _, bits),) = near_pairs(hash_pictures(np.stack([first, second])), limit=HASH_BITS)
    return int(bits[0])


def with_pixels(slices, pixels):
    return dataclasses.replace(slices, pixels=pixels)


def test_that_a_picture_saved_windowed_or_scaled_anew_is_near_identical():
    for picture in smooth_pictures(5):
        small = Image.fromarray(picture).resize((32, 32), Image.BOX)
        for other in (
            saved_anew(picture, 50),
            (picture * 0.8).astype(np.uint8),
            np.asarray(small.resize((64, 64), Image.BILINEAR)),
        ):
            assert bits_between(picture, other) <= 24


def test_that_unlike_pictures_are_not_near_identical():
    pairs = list(near_pairs(hash_pictures(smooth_pictures(40)), limit=HASH_BITS))
    bits = np.concatenate([bits for _, _, bits in pairs])
    assert len(bits) == 40 * 39 // 2
    assert bits.min() > 60


def test_that_near_pairs_are_as_counted_one_by_one():
    hashes = hash_pictures(smooth_pictures(300, 32, seed=2))
    unpacked = np.unpackbits(hashes.view(np.uint8), axis=1).astype(int)
    found = {
        (int(i), int(j)): int(bits)
        for first, second, batch in near_pairs(hashes, limit=100)
        for i, j, bits in zip(first, second, batch, strict=True)
    }
    distance = np.abs(unpacked[:, None] - unpacked).sum(axis=2)
    expected = {
        (i, j): int(distance[i, j])
        for i in range(300)
        for j in range(i + 1, 300)
        if distance[i, j] <= 100
    }
    assert found == expected
    assert found


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 60),
    n_groups=st.integers(1, 4),
    flips=st.integers(0, 40),
    limit=st.integers(0, 60),
)
def test_that_near_pairs_of_groups_are_those_of_scipy(seed, n, n_groups, flips, limit):
    rng = np.random.default_rng(seed)
    # Some are another with a few bits turned, about as many as the limit allows.
    bits = rng.integers(0, 2, (n, HASH_BITS), dtype=np.uint8)
    for row in range(1, n, 2):
        bits[row] = bits[rng.integers(row)]
        bits[row, rng.choice(HASH_BITS, flips, replace=False)] ^= 1
    groups = rng.integers(0, n_groups, n)
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    found = [
        (int(i), int(j), int(differing))
        for first, second, batch in near_pairs(hashes, groups=groups, limit=limit)
        for i, j, differing in zip(first, second, batch, strict=True)
    ]
    distance = squareform(np.rint(pdist(bits, "hamming") * HASH_BITS).astype(int))
    expected = {
        (i, j, int(distance[i, j]))
        for i in range(n)
        for j in range(i + 1, n)
        if distance[i, j] <= limit and groups[i] != groups[j]
    }
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_that_pairs_far_apart_in_many_tiles_are_found():
    rng = np.random.default_rng(5)
    hashes = rng.integers(0, 2**63, (9000, 4), dtype=np.uint64)
    planted = {(3, 4200), (3, 8999), (4095, 4096), (8190, 8200), (31, 32)}
    for first, second in planted:
        hashes[second] = hashes[first]
    hashes[8999, 2] ^= np.uint64(5)
    pairs = {
        (int(i), int(j))
        for first, second, _ in near_pairs(hashes)
        for i, j in zip(first, second, strict=True)
    }
    assert pairs == planted | {(4200, 8999)}


def test_that_near_identical_slices_of_two_subjects_are_found(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 2)
    pixels = smooth_pictures(6)
    pixels[4] = saved_anew(pixels[0], 80)
    pixels[5] = saved_anew(pixels[4], 60)  # a neighbour of the same scan tells nothing
    part = np.repeat(np.array(["train", "validation", "test"], dtype="<U10"), 2)
    split = Split(part, slices.label)
    audit = audit_split(with_pixels(slices, pixels), split, "subject")
    assert audit.leaks
    assert audit.near_identical_slices == 3
    assert audit.duplicate_slices == 0
    # Slice 0 of a in train; slices 0 and 1 of c in test.
    assert audit.near_identical.tolist() == [[0, 0, 1], [0, 0, 0], [2, 0, 0]]
    assert "3 near-identical slices" in audit.sentence()


def test_that_equal_slices_are_not_counted_as_near_identical_too(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 1)
    pixels = smooth_pictures(3)
    pixels[2] = pixels[0]
    split = Split(np.array(PARTS), slices.label)
    audit = audit_split(with_pixels(slices, pixels), split, "subject")
    assert (audit.duplicate_slices, audit.near_identical_slices) == (2, 0)
    assert audit.duplicates.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_that_the_tables_say_what_the_audit_counts(make_slices, tmp_path):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 2)
    pixels = smooth_pictures(6)
    pixels[3] = pixels[0]
    pixels[5] = saved_anew(pixels[1], 80)
    part = np.array(["train", "train", "test", "test", "validation", "train"], dtype="<U10")
    audit = audit_split(with_pixels(slices, pixels), Split(part, slices.label), "slice")
    for table in audit.tables():
        table.write(tmp_path / f"{table.name}.csv")
    with (tmp_path / "leakage_matrix.csv").open(encoding="utf-8", newline="") as file:
        rows = {(row["part"], row["other_part"]): row for row in csv.DictReader(file)}
    assert len(rows) == 6
    assert rows["train", "test"]["duplicate_slices"] == "1"
    assert rows["validation", "train"]["neighbouring_slices"] == "1"
    assert rows["validation", "train"]["shared_subjects"] == "1"
    with (tmp_path / "leaking_pairs.csv").open(encoding="utf-8", newline="") as file:
        pairs = [tuple(row.values())[:5] for row in csv.DictReader(file)]
    assert pairs == [
        ("equal", "a_0 slice 0", "train", "b_1 slice 1", "test"),
        ("neighbouring", "c_2 slice 0", "validation", "c_2 slice 1", "train"),
    ]
    assert audit.matrix.warning == audit.sentence()


def test_that_a_picture_there_a_thousand_times_is_counted_at_once(make_slices):
    slices = make_slices([(f"s{n}", n % 2) for n in range(1500)], 1)
    pixels = np.broadcast_to(smooth_pictures(1)[0], (1500, 64, 64))
    split = split_slices(slices, SplitSettings(), 0)
    audit = audit_split(with_pixels(slices, pixels), split, "subject")
    assert audit.duplicate_slices == 1500
    assert 0 < len(audit.pairs) <= 1000


# ------------------------------------------------------------------ counts against a second way


@given(seed=st.integers(0, 1000))
def test_that_equal_slices_are_as_counted_one_by_one(make_slices, seed):
    rng = np.random.default_rng(seed)
    slices = make_slices([(f"s{n}", n % 2) for n in range(6)], 4)
    pixels = slices.pixels[rng.integers(0, 8, len(slices))]
    pixels[rng.integers(0, len(slices))] = 0
    slices = with_pixels(slices, pixels)
    split = split_slices(slices, SplitSettings(mode="slice"), seed)
    audit = audit_split(slices, split, "slice")
    n = range(len(slices))
    matrix = [
        [
            sum(
                any(
                    split.part[j] == other and np.array_equal(pixels[i], pixels[j])
                    for j in n
                    if pixels[i].any()
                )
                for i in n
                if split.part[i] == part != other
            )
            for other in PARTS
        ]
        for part in PARTS
    ]
    assert audit.duplicates.tolist() == matrix
    assert audit.subjects == tuple(len(set(slices.subject[split.part == part])) for part in PARTS)
    assert audit.slices == tuple(int((split.part == part).sum()) for part in PARTS)


def test_that_the_worst_near_identical_pairs_come_first(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 1)
    picture = smooth_pictures(1)[0]
    noisy = np.clip(picture + np.random.default_rng(1).normal(0, 12, picture.shape), 0, 255)
    pixels = np.stack([picture, noisy.astype(np.uint8), saved_anew(picture, 95)])
    audit = audit_split(
        with_pixels(slices, pixels), Split(np.array(PARTS), slices.label), "subject"
    )
    bits = [pair.bits for pair in audit.pairs if pair.kind == "near-identical"]
    assert bits == sorted(bits)
    assert len(bits) == 3


# ------------------------------------------------------------------ by records, and by a run's


def test_that_an_audit_by_records_says_what_it_did_not_look_at(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(4)])
    split = split_slices(slices, SplitSettings(), 0)
    audit = audit_records(slices, split, "subject")
    assert not audit.leaks
    assert not audit.is_compared
    assert "not compared yet" in audit.sentence()
    assert "Compare the slices" in audit.advice()
    row = dict(zip(audit.matrix.columns, audit.matrix.rows[0], strict=True))
    assert row["duplicate_slices"] is None
    assert row["shared_subjects"] == 0


def test_that_an_audit_by_records_counts_subjects_and_neighbours_as_the_whole_one(make_slices):
    slices = make_slices([(f"{label}{n}", label) for label in (0, 1) for n in range(5)], 10)
    split = split_slices(slices, SplitSettings(mode="slice"), 3)
    quick, whole = audit_records(slices, split, "slice"), audit_split(slices, split, "slice")
    assert quick.shared.tolist() == whole.shared.tolist()
    assert quick.neighbours.tolist() == whole.neighbours.tolist()


def test_that_the_same_scan_under_two_names_is_found_by_its_record(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 2)
    part = np.repeat(np.array(PARTS), 2)
    split = Split(part, slices.label)
    audit = audit_records(slices, split, "subject", same_scans=[["a_0", "c_2"]])
    assert audit.leaks
    assert audit.shared_scans == 2
    assert audit.scans.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    (pair,) = audit.pairs
    assert (pair.first.words, pair.second.words) == ("a_0", "c_2")
    assert "2 scans under two names" in audit.sentence()
    assert "same subject" in audit.advice()


def test_that_counted_slices_are_named_by_their_place(make_slices):
    slices = make_slices([("a", 0)], 3)
    split = Split(np.array(["train", "test", "validation"]), slices.label)
    audit = audit_records(slices, split, "slice", counted_scans=["a_0"])
    assert audit.pairs[0].second.words == "a_0 slice 1 of 3"


def test_that_a_record_gives_its_counts_back(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 1)
    pixels = smooth_pictures(3)
    pixels[2] = pixels[0]
    split = Split(np.array(PARTS), slices.label)
    whole = audit_split(with_pixels(slices, pixels), split, "subject")
    record = json.loads(json.dumps(whole.record()))
    again = with_recorded_counts(audit_records(slices, split, "subject"), record)
    assert again.is_compared
    assert again.duplicates.tolist() == whole.duplicates.tolist()
    assert again.sentence() == whole.sentence()


def test_that_an_old_or_damaged_record_leaves_an_audit_as_it_is(make_slices):
    slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 1)
    audit = audit_records(slices, Split(np.array(PARTS), slices.label), "subject")
    damaged = {"slices_compared": True, "leakage": {"duplicate_slices": "x"}}
    for record in ({}, {"duplicate_slices": 3}, damaged):
        assert with_recorded_counts(audit, record) is audit


# ------------------------------------------------------------------ fingerprints and stopping


def test_that_fingerprints_are_kept_until_the_pixels_change(make_slices, tmp_path, monkeypatch):
    path = tmp_path / "pixels.npy"
    np.save(path, smooth_pictures(3))

    def mapped():
        slices = make_slices([("a", 0), ("b", 1), ("c", 1)], 1)
        return with_pixels(slices, np.load(path, mmap_mode="r"))

    first = run_to_end(take_prints(mapped()))
    computed = []
    compute = slice_prints._compute
    monkeypatch.setattr(
        slice_prints, "_compute", lambda slices: computed.append(1) or compute(slices)
    )
    kept = run_to_end(take_prints(mapped()))
    assert not computed
    assert np.array_equal(kept.hash, first.hash)
    assert np.array_equal(kept.digest, first.digest)
    np.save(path, smooth_pictures(3, seed=7))
    assert not np.array_equal(run_to_end(take_prints(mapped())).hash, first.hash)
    (tmp_path / "prints.npz").write_bytes(b"damaged")
    run_to_end(take_prints(mapped()))
    assert len(computed) == 2


def test_that_an_audit_tells_how_far_it_is_and_can_be_stopped(make_slices):
    slices = make_slices([(f"s{n}", n % 2) for n in range(600)], 1)
    slices = with_pixels(slices, smooth_pictures(600, 32))
    operation = audit_slices(slices, split_slices(slices, SplitSettings(), 0), "subject")
    said = [event for event in operation if isinstance(event, Progress)]
    assert {event.what for event in said} == {"Reading slices", "Comparing slices"}
    assert len(said) > 10
    stopped = audit_slices(slices, split_slices(slices, SplitSettings(), 0), "subject")
    next(stopped)
    stopped.close()
    assert list(stopped) == []
