"""The audit finds what a split lets through."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.config import SplitSettings
from core.data.leakage import audit_split
from core.data.split import Split, split_slices


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
