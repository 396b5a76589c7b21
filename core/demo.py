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
# A small network on small slices: two runs fit into two minutes on two CPU cores.
DEMO_SETTINGS: RunSettings = config.change(
    RunSettings(),
    {
        "network": "cnn2d",
        "regime": "scratch",
        "epochs": 12,
        "learning_rate": 0.01,
        "size": 96,
        "step": 1,
    },
)


@dataclass(frozen=True)
class DemoResult:
    """What the demo made: the cohort, its two runs, and the report page."""

    cohort: Path
    by_subject: Path
    by_slice: Path
    report: Path

    def sentences(self) -> list[str]:
        """Say where the figures are and what they show."""
        subject, leaked = Run(self.by_subject), Run(self.by_slice)
        honest, inflated = subject.record["accuracy"]["test"], leaked.record["accuracy"]["test"]
        return [
            "This cohort is simulated: its numbers say nothing about patients.",
            f"Split by subject, the network tells AD from NC on {100 * honest:.0f} % of the test "
            f"slices; split by slice, as in the paper, on {100 * inflated:.0f} %. The difference "
            f"of {100 * (inflated - honest):.0f} points is leakage: slices of one person stood on "
            "both sides.",
            f"Figures: {self.by_subject / 'figures'}",
            "  fcl_scatter: each point is one of the FCL's inputs, its weight for AD against its "
            "weight for NC, with the three fits. The dashed line is what training gives without "
            "any class content.",
            "  feature_cloud: what the FCL gives for each test slice; the dashed line decides.",
            "  row_correlation, confusion, curves: the rows compared, right and wrong, the "
            "training.",
            f"Report: {self.report}",
        ]


def prepare_cohort(out: Path) -> Operation[tasks.ScannedCohort]:
    """Simulate the demo cohort below ``out`` (once) and scan it."""
    folder = yield from phantom.simulate_cohort(
        out / COHORT_NAME, subjects_per_class=SUBJECTS_PER_CLASS
    )
    return (yield from tasks.scan(folder, out=out / "demo.mrifcl", simulated=True))


def run_demo(out: Path) -> Operation[DemoResult]:
    """Simulate, train by subject and by slice, analyse and report, below ``out``."""
    scanned = yield from prepare_cohort(out)
    runs = {}
    for mode in ("subject", "slice"):
        yield Notice(f"Training on slices split by {mode}.")
        settings = config.change(DEMO_SETTINGS, {"mode": mode})
        runs[mode] = yield from tasks.train(scanned.folder, settings, out / "runs")
        yield from tasks.analyse(runs[mode])
    report = yield from tasks.report_html(list(runs.values()), out / "report.html")
    return DemoResult(scanned.folder, runs["subject"], runs["slice"], report)
