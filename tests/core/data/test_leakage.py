"""The audit finds what a split lets through."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.config import SplitSettings
from core.data.leakage import audit_split
from core.data.picture_hash import HASH_BITS, hash_pictures, near_pairs
from core.data.split import PARTS, Split, split_slices


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
    assert len(audit.pairs) <= 1000
