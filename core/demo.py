"""The demo: a simulated cohort, trained by subject and by slice, analysed and reported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core import config, tasks
from core.config import RunSettings
from core.data import phantom
from core.progress import Notice, Operation
from core.run_folder import Run

SUBJECTS_PER_CLASS = 14
COHORT_NAME = "simulated cohort"
# A small network on small slices: four runs fit into the demo's time on two CPU cores. With
# batch norm's running statistics the last epoch would be a matter of luck (they lag).
DEMO_SETTINGS: RunSettings = config.change(
    RunSettings(),
    {
        "network": "cnn2d",
        "regime": "scratch",
        "epochs": 24,
        "learning_rate": 0.01,
        "drop_factor": 0.1,
        "drop_every": 12,
        "size": 64,
        "recompute_batch_norm": True,
    },
)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made: the cohort, its runs, and the report page.

    ``controls`` are the runs whose labels were shuffled, by subject and by slice.
    """

    cohort: Path
    by_subject: Path
    by_slice: Path
    controls: tuple[Path, Path]
    report: Path
    comparison: Path

    def sentences(self) -> list[str]:
        """Say where the figures are and what they show."""
        honest, inflated, control, leaked = (
            100 * _test_accuracy(path) for path in (self.by_subject, self.by_slice, *self.controls)
        )
        return [
            "",
            "The cohort is simulated: its numbers say nothing about patients.",
            f"Split by subject, the network tells AD from NC on {honest:.0f} % of the test "
            f"slices. Split by slice, as in the paper, on {inflated:.0f} %: slices of one "
            "person then stand on both sides.",
            f"With shuffled labels there is nothing to learn: {control:.0f} % by subject, where "
            f"chance is 50 % and {_test_subjects(self.controls[0])} test subjects scatter widely "
            f"about it; and still {leaked:.0f} % by slice. That is leakage.",
            "",
            f"Figures:    {self.by_subject / 'figures'}",
            "  fcl_weights_plot  each dot is an input of the final layer, its weight for AD "
            "against that for NC, with the three fits; the dashed line is what training gives "
            "without any class content",
            "  feature_cloud_…   what the final layer gives for each test slice; the dashed line "
            "decides",
            "  row_correlation, confusion_…, curves   rows compared, right and wrong, the training",
            f"Tables:     {self.by_subject / 'tables'}",
            f"Comparison: {self.comparison}",
            f"Report:     {self.report}",
        ]


def prepare_cohort(out: Path) -> Operation[tasks.ScannedCohort]:
    """Simulate the demo cohort below ``out`` (once) and scan it."""
    folder = yield from phantom.simulate_cohort(
        out / COHORT_NAME, subjects_per_class=SUBJECTS_PER_CLASS
    )
    return (yield from tasks.scan(folder, out=out / "demo.mrifcl"))


def run_demo(out: Path) -> Operation[DemoResult]:
    """Simulate, train by subject and by slice, true and shuffled, analyse and report."""
    scanned = yield from prepare_cohort(out)
    runs = []
    for shuffled in (False, True):
        for mode in ("subject", "slice"):
            labels = "shuffled" if shuffled else "true"
            yield Notice(f"Training: split by {mode}, {labels} labels.")
            settings = config.change(DEMO_SETTINGS, {"mode": mode, "shuffled_labels": shuffled})
            runs.append((yield from tasks.train(scanned.folder, settings, out / "runs")))
    yield from tasks.analyse(runs[0])
    comparison = out / "comparison"
    yield from tasks.compare(runs, comparison)
    report = yield from tasks.report_html(runs[:2], out / "report.html")
    return DemoResult(scanned.folder, runs[0], runs[1], (runs[2], runs[3]), report, comparison)


def _test_subjects(path: Path) -> int:
    return len(set(Run(path).features.of_part("test").subject))


def _test_accuracy(path: Path) -> float:
    return float(Run(path).record["accuracy"]["test"])
