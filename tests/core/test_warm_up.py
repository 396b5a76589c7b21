"""Heavy packages load ahead of their use without holding up the other threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_CODE = """
import gc, sys, threading, time
from core import tasks
from core.progress import run_to_end
gaps, last = [], time.perf_counter()
worker = threading.Thread(target=lambda: run_to_end(tasks.load_packages()))
worker.start()
while worker.is_alive():
    time.sleep(0.01)
    now = time.perf_counter()
    gaps.append(now - last)
    last = now
assert gc.isenabled()
assert gc.get_freeze_count() > 50_000
for name in ("torch", "core.training.train", "core.report", "matplotlib.figure"):
    assert name in sys.modules, name
print(max(gaps))
"""


def run_code():
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


@pytest.mark.slow
def test_that_loading_torch_holds_up_other_threads_for_less_than_four_tenths_of_a_second():
    # The best of three: what other programs take of a busy computer is not ours.
    assert min(run_code() for _ in range(3)) < 0.4
