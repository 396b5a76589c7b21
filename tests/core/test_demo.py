"""The demo: a simulated cohort behaves like the real thing and says what it shows."""

from __future__ import annotations

import pytest

from core import demo
from core.config import change
from core.progress import run_to_end
from core.run_folder import Run


def test_that_the_demo_makes_runs_figures_and_words(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "SUBJECTS_PER_CLASS", 4)
    monkeypatch.setattr(
        demo,
        "DEMO_SETTINGS",
        change(demo.DEMO_SETTINGS, {"epochs": 1, "size": 32, "count": 6, "cnn_width": 2}),
    )
    result = run_to_end(demo.run_demo(tmp_path))
    run = Run(result.by_subject)
    assert run.record["simulated"]
    assert "Simulated" in run.warning
    assert (result.by_subject / "figures" / "fcl_weights_plot.png").is_file()
    assert result.report.is_file()
    assert (result.comparison / "table_2.csv").is_file()
    assert Run(result.controls[1]).settings.split.shuffled_labels
    text = "\n".join(result.sentences())
    assert "simulated" in text
    assert str(result.report) in text


@pytest.mark.slow
def test_that_leakage_shows_in_the_demo_as_in_real_cohorts(tmp_path):
    """Slice-wise far above subject-wise; shuffled labels high slice-wise, near chance by subject.

    Yagis et al. (2021), Sci Rep 11:22544: about 96 % and 50 % with random labels on OASIS.
    """
    result = run_to_end(demo.run_demo(tmp_path))
    honest, inflated, control, leaked = (
        Run(path).record["accuracy"]["test"]
        for path in (result.by_subject, result.by_slice, *result.controls)
    )
    assert inflated > 0.9
    assert inflated - honest > 0.1
    assert leaked > 0.8
    assert control < 0.65
