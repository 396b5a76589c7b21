"""Load thousands of damaged files and print what came of them.

    python benchmarks/fuzz_readers.py --count 10000 [--seed N]

The files come from the mutator that the tests use (tests/core/data/mutator.py); each find is
printed with its seed and number, to be kept in tests/core/data/test_fuzz_readers.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.core.data.fuzzing import fuzz
from tests.core.data.odd_file_runner import (
    MAX_EXTRA_BYTES,
    MAX_SECONDS,
    PROGRAMMERS_WORDS,
    REMEDY,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tried = fuzz(
            [(asked.seed, number) for number in range(asked.count)],
            Path(folder),
            report=lambda done: print(f"  {done} done", file=sys.stderr, flush=True),
        )
    return print_figures(tried, asked.seed, time.monotonic() - start)


def print_figures(tried, seed, seconds):
    results = tried.results
    outcomes = Counter(result["outcome"] for result in results)
    finds = {
        "crashes": [result for result in results if result["outcome"] == "crash"],
        "over 2 s": [result for result in results if result["seconds"] > MAX_SECONDS],
        "over memory": [
            result for result in results if result["memory"] > result["decoded"] + MAX_EXTRA_BYTES
        ],
        "unclear refusals": [
            result
            for result in results
            if result["outcome"] == "error"
            and (
                result["file"].split(".")[0] not in result["text"]
                or not REMEDY.search(result["text"])
                or PROGRAMMERS_WORDS.search(result["text"])
            )
        ],
        "other values in spite of a checksum": tried.silent,
    }
    print(f"tried {len(results)} (seed {seed}) in {seconds:.0f} s")
    print(f"loaded {outcomes['load']}, refused {outcomes['error']}")
    print(f"slowest {max(result['seconds'] for result in results):.2f} s")
    print(f"most memory {max(result['memory'] for result in results) / 1e6:.0f} MB")
    print("by damage", dict(Counter(f"{r['how']} {r['outcome']}" for r in results)))
    for name, found in finds.items():
        print(f"{name}: {len(found)}")
        for result in found[:20]:
            print("   ", result["seed"], result["number"], result["file"], result["how"])
            print("       ", result["text"][:300])
    return int(any(finds.values()))


if __name__ == "__main__":
    sys.exit(main())
