"""What each tab of ANALYSE offers: its views, their options, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from core.analysis import correlation, evaluation, features, weights
from core.figure import Figure, Table
from core.run_folder import Run

# Value of each option by its name; "epoch" is an int, or None for the last.
Options = Mapping[str, Any]
Values: TypeAlias = tuple[tuple[Any, str], ...]


@dataclass(frozen=True)
class Choice:
    """One option of a view: a list to choose from, or a tick where ``values`` is empty.

    ``values`` are (value, words), or a function of the run that returns them; the first, or
    ``ticked``, is the default. With fewer than two values of a run there is nothing to choose.
    """

    name: str
    title: str
    values: Values | Callable[[Run], Values] = ()
    ticked: bool = False


@dataclass(frozen=True)
class View:
    """One figure of a tab: how it is made, its table, its options, and what is seen."""

    title: str
    figure: Callable[[Run, Options], Figure]
    help: str
    table: Callable[[Run, Options], Table] | None = None
    choices: tuple[Choice, ...] = ()
    has_epochs: bool = False


@dataclass(frozen=True)
class Tab:
    """One tab: a title and its views."""

    title: str
    views: tuple[View, ...]


_PART = Choice(
    "part",
    "Part",
    (("test", "Test"), ("validation", "Validation"), ("train", "Training"), ("all", "All slices")),
)
_BY = Choice("by", "One dot a", (("slice", "slice"), ("subject", "subject (mean)")))
_COUNT_BY = Choice("by", "Count", (("slice", "slices"), ("subject", "subjects")))
_METHOD = Choice("method", "Correlation", (("pearson", "Pearson"), ("spearman", "Spearman")))


def _pairs(run: Run) -> Values:
    pairs = features.class_pairs(run, None)
    if len(pairs) < 2:
        return ()
    return ((None, "All pairs"), *((pair, f"{pair[0]} and {pair[1]}") for pair in pairs))


_PAIR = Choice("pair", "Classes", _pairs)


def _scatter(run: Run, options: Options) -> Figure:
    degrees = [degree for degree in (1, 2, 3, 4) if options[f"degree_{degree}"]]
    return weights.fcl_scatter(
        run,
        pair=options["pair"],
        epoch=options["epoch"],
        degrees=degrees,
        show_null=options["null"],
    )


def _fits(run: Run, options: Options) -> Table:
    return weights.fits_table(run, epoch=options["epoch"])


def _null(run: Run, options: Options) -> Figure:
    return weights.fcl_null(run, pair=options["pair"], epoch=options["epoch"])


def _null_table(run: Run, options: Options) -> Table:
    return weights.null_table(run, epoch=options["epoch"])


def _drift(run: Run, _options: Options) -> Figure:
    return weights.row_sum_drift_figure(run)


def _cloud(run: Run, options: Options) -> Figure:
    return features.feature_cloud(
        run, part=options["part"], by=options["by"], paper_colours=options["paper_colours"]
    )


def _dispersion(run: Run, options: Options) -> Table:
    return features.dispersion_table(run, part=options["part"])


def _rows(run: Run, options: Options) -> Figure:
    return correlation.row_correlation(run, epoch=options["epoch"], method=options["method"])


def _rows_table(run: Run, options: Options) -> Table:
    return correlation.row_correlation_table(run, epoch=options["epoch"], method=options["method"])


def _scans(run: Run, options: Options) -> Figure:
    return correlation.weight_scan_correlation(run, part=options["part"], method=options["method"])


def _scans_table(run: Run, options: Options) -> Table:
    return correlation.weight_scan_correlation_table(
        run, part=options["part"], method=options["method"]
    )


def _confusion(run: Run, options: Options) -> Figure:
    return evaluation.confusion(run, part=options["part"], by=options["by"])


def _curves(run: Run, _options: Options) -> Figure:
    return evaluation.curves(run)


def _accuracy(run: Run, _options: Options) -> Table:
    return evaluation.accuracy_table(run)


TABS: tuple[Tab, ...] = (
    Tab(
        "FCL weights",
        (
            View(
                "Class against class",
                _scatter,
                "Each dot is one input of the final layer: its weight for one class against its "
                "weight for the other. The curves are the paper's fits in z. The dashed line is "
                "what softmax training gives from the initial weights alone; a fit along it needs "
                "no class information. (Khagi & Kwon 2022, Fig. 3)",
                _fits,
                (
                    _PAIR,
                    Choice("degree_1", "Straight line"),
                    Choice("degree_2", "Quadratic", ticked=True),
                    Choice("degree_3", "Cubic", ticked=True),
                    Choice("degree_4", "4th degree", ticked=True),
                    Choice("null", "Null line and band", ticked=True),
                ),
                has_epochs=True,
            ),
            View(
                "Sum and difference",
                _null,
                "The same weights turned: the sum of the rows keeps its initial value under SGD "
                "without weight decay, only the difference is learned and only it decides. The "
                "learned fraction L says how much of the picture training made.",
                _null_table,
                (_PAIR,),
                has_epochs=True,
            ),
            View(
                "Drift of the sum",
                _drift,
                "How far the sum of the rows has moved from its start. It stays within rounding "
                "unless weight decay or another optimiser moves it.",
                _null_table,
            ),
        ),
    ),
    Tab(
        "Features",
        (
            View(
                "Feature cloud",
                _cloud,
                "What the final layer gives for each slice: its score for one class against the "
                "other. Dots on their side of the dashed line are classified right. "
                "(Khagi & Kwon 2022, Fig. 2)",
                _dispersion,
                (_PART, _BY, Choice("paper_colours", "Colours of the paper")),
            ),
        ),
    ),
    Tab(
        "Correlation",
        (
            View(
                "Rows with each other",
                _rows,
                "Correlation of the final layer's rows, one row a class. With two classes it falls "
                "towards -1 by training alone; compare the null in the table.",
                _rows_table,
                (_METHOD,),
                has_epochs=True,
            ),
            View(
                "Rows with scans",
                _scans,
                "Correlation of each row with the penultimate features of the slices, averaged by "
                "true class. A class whose row fits its own scans stands out on the diagonal.",
                _scans_table,
                (_PART, _METHOD),
            ),
        ),
    ),
    Tab(
        "Evaluation",
        (
            View(
                "Confusion",
                _confusion,
                "True class in rows, predicted class in columns. By subject, the logits of a "
                "subject's slices are averaged first.",
                _accuracy,
                (_PART, _COUNT_BY),
            ),
            View(
                "Curves",
                _curves,
                "Loss and accuracy of training and validation after each epoch.",
                _accuracy,
            ),
        ),
    ),
)
