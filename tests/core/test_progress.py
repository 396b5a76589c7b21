"""Operations are generators: driven to their end, or closed to cancel."""

from __future__ import annotations

import pytest

from core.errors import CohortError
from core.progress import Progress, run_to_end


def count_to(n, log):
    try:
        for done in range(n):
            yield Progress("Counting", done, n)
        return n
    finally:
        log.append("cleaned up")


def test_that_the_result_is_what_the_operation_returns():
    log = []
    assert run_to_end(count_to(3, log)) == 3
    assert log == ["cleaned up"]


def test_that_an_operation_may_yield_nothing():
    assert run_to_end(count_to(0, [])) == 0


def test_that_an_error_comes_through():
    def fail():
        yield Progress("Failing")
        raise CohortError("No scans.")

    with pytest.raises(CohortError, match="No scans"):
        run_to_end(fail())


def test_that_closing_cleans_up():
    log = []
    operation = count_to(3, log)
    next(operation)
    operation.close()
    assert log == ["cleaned up"]
