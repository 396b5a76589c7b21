"""Damaged good files: each loads or is refused in plain words; none crashes, hangs or swells."""

from __future__ import annotations

import pytest

from tests.core.data.fuzzing import fuzz
from tests.core.data.mutator import good_files, mutate
from tests.core.data.odd_file_runner import PROGRAMMERS_WORDS, REMEDY, strains

COUNT = 500
# Numbers of mutations that once went wrong (seed, number), with what they did.
KEPT = {}


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    return fuzz([(0, number) for number in range(COUNT)] + list(KEPT), tmp_path_factory.mktemp("f"))


def test_that_the_good_files_load_unharmed(tried):
    assert all(result["outcome"] == "load" for result in tried.unharmed.values())


def test_that_a_mutation_number_always_gives_the_same_bytes():
    files = good_files()
    assert mutate(files, 7) == mutate(files, 7)
    assert mutate(files, 7) != mutate(files, 8)


def test_that_no_damaged_file_crashes_the_reader(tried):
    assert not [result for result in tried.results if result["outcome"] == "crash"]


def test_that_no_damaged_file_is_slow_or_fills_the_memory(tried):
    assert not [result for result in tried.results if strains(result)]


def test_that_each_refusal_names_the_file_and_a_remedy(tried):
    refused = [result for result in tried.results if result["outcome"] == "error"]
    assert len(refused) > COUNT // 5
    for result in refused:
        assert result["file"].split(".")[0] in result["text"]
        assert REMEDY.search(result["text"]), result
        assert not PROGRAMMERS_WORDS.search(result["text"]), result


def test_that_a_damaged_file_with_checksums_never_gives_other_values(tried):
    assert not tried.silent
