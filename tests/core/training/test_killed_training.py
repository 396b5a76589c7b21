"""A run that is killed loses nothing that was acknowledged, and ends as an unbroken one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


def kill_at(cohort, work, *, seed, moments):
    done = subprocess.run(
        [
            sys.executable,
            "-B",
            "-m",
            "tests.core.training.killed_training",
            str(cohort.folder),
            str(work),
            str(seed),
            str(moments),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60 + 30 * moments,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_nothing_is_lost(results, moments):
    assert len(results) == moments
    for result in results:
        assert result["recorded"] >= result["told"], result
        assert result["in_history"] >= result["told"], result
        assert result["state"] in ("interrupted", "finished"), result
        assert not result.get("notices"), result
        if result["told"]:
            assert result["end"] == "finished", result
            assert result["equal"], result


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
@pytest.mark.parametrize(
    ("seed", "moments"), [(0, 10), pytest.param(1, 200, marks=pytest.mark.slow)]
)
def test_that_a_kill_at_any_moment_loses_no_acknowledged_epoch(cohort, tmp_path, seed, moments):
    results = kill_at(cohort, tmp_path / "work", seed=seed, moments=moments)
    assert_nothing_is_lost(results, moments)
    assert any(result["state"] == "interrupted" for result in results)
