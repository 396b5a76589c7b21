"""How much CPU time the window takes to its first paint, and until it is whole.

Three starts take turns, each a process of its own, several times: bare Qt with an empty
window; ours, to its first paint, until it is ready (the welcome page answers), and until the
last place is built; and ours with all heavy packages imported first, as a script does. CPU
time of the whole process, all its threads, as other programs of a computer move the clock
but not that. The least of the repeats is told, as what else runs only adds::

    python -m benchmarks.startup [--repeats 5]

It ends with 1 where a limit is missed: 0.5 s to the first paint, 1.0 s until ready, and an
eager start that takes six times as long as the first paint.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAINT_LIMIT, READY_LIMIT, RATIO_LIMIT = 0.5, 1.0, 6.0
HEAVY = ("torch", "torchvision", "scipy", "sklearn", "matplotlib", "nibabel")

_CPU = """
import os, sys
def used():
    spent = os.times()
    return spent.user + spent.system
"""
BARE = f"""{_CPU}
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
app = QApplication([])
window = QMainWindow()
window.resize(1280, 800)
window.show()
QTimer.singleShot(0, lambda: (window.repaint(), print("ready", used()), app.exit(0)))
sys.exit(app.exec())
"""
OURS = f"""{_CPU}
from mrifcl_gui import main_window, opening
heavy = {HEAVY}
class Shown(main_window.MainWindow):
    def __init__(self):
        super().__init__()
        self.painted.connect(self.on_painted)
    def on_painted(self):
        print("paint", used(), *sorted(set(heavy) & set(sys.modules)), flush=True)
class Opened(opening.Opening):
    def __init__(self, window, paths):
        super().__init__(window, paths)
        self.ready.connect(self.on_ready)
        self.complete.connect(self.on_complete)
    def on_ready(self):
        self.parent().repaint()
        print("ready", used(), *sorted(set(heavy) & set(sys.modules)), flush=True)
    def on_complete(self):
        self.parent().repaint()
        print("complete", used(), flush=True)
        self.parent().close()
from mrifcl_gui import app
app.MainWindow, app.Opening = Shown, Opened
import main
sys.exit(main.main([]))
"""
EAGER = "\n".join(
    [
        "import torch, core.training.torchvision_gateway, scipy.stats, scipy.optimize",
        "import sklearn.manifold, sklearn.discriminant_analysis, matplotlib.figure",
        "import nibabel, lightning_fabric, matplotlib.backends.backend_svg",
        "import core.training.train, core.report",
        OURS,
    ]
)


def start(code: str, home: Path) -> dict[str, tuple[float, list[str]]]:
    """Start a process; return the CPU seconds, and the heavy packages loaded, at each mark."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            **os.environ,
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "share"),
            "OMP_NUM_THREADS": "1",
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
        },
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=True,
    )
    marks = [line.split() for line in done.stdout.splitlines()]
    return {mark: (float(seconds), loaded) for mark, seconds, *loaded in marks}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts: list[tuple[float, ...]] = []
        for _ in range(given.repeats + 1):
            bare = start(BARE, Path(folder))
            ours = start(OURS, Path(folder))
            eager = start(EAGER, Path(folder))
            starts.append(
                (
                    bare["ready"][0],
                    ours["paint"][0],
                    ours["ready"][0],
                    ours["complete"][0],
                    eager["complete"][0],
                )
            )
    # The first start of each also writes bytecode, as the first after an installation does.
    bare_s, paint, ready, complete, eager_s = (
        min(times) for times in zip(*starts[1:], strict=True)
    )
    print(f"bare Qt, an empty window   {bare_s:6.2f} s of CPU time")
    print(f"ours, first paint          {paint:6.2f} s   (limit {PAINT_LIMIT})")
    print(f"ours, ready                {ready:6.2f} s   (limit {READY_LIMIT})")
    print(f"ours, all places built     {complete:6.2f} s")
    print(f"everything imported first  {eager_s:6.2f} s")
    print(f"eager / first paint        {eager_s / paint:6.1f}     (at least {RATIO_LIMIT:g})")
    print(f"eager / ready              {eager_s / ready:6.1f}")
    print("heavy packages at the first paint:", *ours["paint"][1] or ["none"])
    print("heavy packages when ready:", *ours["ready"][1] or ["none"])
    is_over = paint > PAINT_LIMIT or ready > READY_LIMIT or eager_s / paint < RATIO_LIMIT
    return int(is_over or bool(ours["paint"][1]))


if __name__ == "__main__":
    sys.exit(main())
