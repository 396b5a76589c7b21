"""Time of all four fits with their statistics, beside numpy's ``polyfit``.

2 x 4096 points, as of VGG-19's final layer. Run it with::

    python -m benchmarks.fitting

It ends with 1 where all fits of degree 1 to 4, R2, every other statistic and the correlation
take more than 5 ms of the processor's time at the median.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from core.analysis.fit_choice import choose_fit
from core.analysis.fitting import fit_series

POINTS, REPEATS, LIMIT_MS = 4096, 200, 5.0


def median_ms(step: Callable[[], object]) -> float:
    """Return the median of the processor's time of ``step`` (ms)."""
    times = []
    for _ in range(REPEATS):
        began = time.process_time()
        step()
        times.append(time.process_time() - began)
    return 1000 * float(np.median(times))


def main() -> int:
    """Print the times."""
    random = np.random.default_rng(0)
    x = 0.02 * random.normal(size=POINTS)
    y = -0.9 * x + 0.004 * random.normal(size=POINTS)
    z = (x - x.mean()) / x.std(ddof=1)

    def with_polyfit() -> None:
        for degree in range(1, 5):
            residuals = y - np.polyval(np.polyfit(z, y, degree), z)
            1 - residuals @ residuals / np.sum((y - y.mean()) ** 2)
        np.corrcoef(x, y)

    ours = median_ms(lambda: choose_fit(fit_series(x, y)))
    theirs = median_ms(with_polyfit)
    print(f"ours, four fits, all statistics, choice   {ours:6.2f} ms, limit {LIMIT_MS:g}")
    print(f"numpy.polyfit, four fits, R2, correlation {theirs:6.2f} ms")
    return int(ours > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
