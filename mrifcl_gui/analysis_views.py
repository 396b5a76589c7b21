"""What each tab of ANALYSE offers: its views, their options, and what they mean."""

from __future__ import annotations

from core import time_lapse
from core.analysis import (
    control_runs,
    correlation,
    evaluation,
    features,
    null_figures,
    scan_correlation,
    scores,
    weight_rows,
    weights,
)
from core.figure import Figure, Table
from core.progress import Operation
from core.run_folder import Run
from mrifcl_gui import cloud_views
from mrifcl_gui.view import ABSTRACT, PAPER, PART, Choice, Options, Tab, Values, View

__all__ = ["TABS", "Choice", "Options", "Tab", "Values", "View"]


def _units(run: Run) -> Values:
    return (
        ("slice", run.settings.items),
        ("subject", "subjects (mean)"),
        ("majority", "subjects (majority)"),
    )


_UNIT = Choice("unit", "Count", _units)
_METHOD = Choice("method", "Correlation", (("pearson", "Pearson"), ("spearman", "Spearman")))


def _pairs(run: Run) -> Values:
    pairs = features.class_pairs(run, None)
    if len(pairs) < 2:
        return ()
    return ((None, "All pairs"), *((pair, f"{pair[0]} and {pair[1]}") for pair in pairs))


def _controls(run: Run) -> Values:
    found = control_runs.shuffled_label_runs(run)
    if not found:
        return ()
    each = ((control.path, control.name) for control in found)
    return ((None, "none"), ("all", f"all beside it ({len(found)})"), *each)


def _positives(run: Run) -> Values:
    # With more classes each is measured against all others: none is the positive one.
    return tuple((name, name) for name in run.classes) if len(run.classes) == 2 else ()


def _scan_choices(run: Run) -> Values:
    if not run.has_features:
        return ()
    names = sorted(set(run.features.scan.tolist()))
    return ((None, "All scans"), *(((name,), name) for name in names))


_POSITIVE = Choice("positive", "Sensitivity of", _positives)
_SCANS = Choice("scans", "Scans", _scan_choices)
_PAIR = Choice("pair", "Classes", _pairs)
_CONTROLS = Choice("controls", "Shuffled labels", _controls)
_BANDS = Choice(
    "bands",
    "95 % bands",
    (
        ((), "none"),
        (("confidence",), "confidence"),
        (("prediction",), "prediction"),
        (("confidence", "prediction"), "both"),
    ),
)


def _scatter(run: Run, options: Options) -> Figure:
    degrees = [degree for degree in (1, 2, 3, 4) if options[f"degree_{degree}"]]
    return weights.fcl_scatter(
        run,
        pair=options["pair"],
        epoch=options["epoch"],
        degrees=degrees,
        bands=options["bands"],
        show_null=options["null"],
    )


def _fits(run: Run, options: Options) -> Table | Operation[Table]:
    if options["permutations"]:
        return weights.fits_table_with_permutations(
            run, pair=options["pair"], epoch=options["epoch"]
        )
    return weights.fits_table(run, pair=options["pair"], epoch=options["epoch"])


def _matrix(run: Run, options: Options) -> Figure:
    return weights.pair_matrix(run, epoch=options["epoch"])


def _all_fits(run: Run, options: Options) -> Table:
    return weights.fits_table(run, epoch=options["epoch"])


def _null(run: Run, options: Options) -> Figure:
    return null_figures.fcl_null(
        run,
        pair=options["pair"],
        epoch=options["epoch"],
        show_start=options["start"],
        show_permuted=options["permuted"],
        controls=_chosen_controls(run, options),
    )


def _null_table(run: Run, options: Options) -> Table:
    return null_figures.null_table(run, epoch=options["epoch"])


def _nulls(run: Run, options: Options) -> Figure:
    return null_figures.nulls_figure(
        run,
        pair=options["pair"],
        epoch=options["epoch"],
        controls=_chosen_controls(run, options),
    )


def _nulls_table(run: Run, options: Options) -> Table:
    return null_figures.nulls_table(
        run,
        pair=options["pair"],
        epoch=options["epoch"],
        controls=_chosen_controls(run, options),
    )


def _centred(run: Run, options: Options) -> Figure:
    return null_figures.centred_rows_figure(run, epoch=options["epoch"])


def _centred_table(run: Run, options: Options) -> Table:
    return null_figures.centred_rows_table(run, epoch=options["epoch"])


def _drift(run: Run, options: Options) -> Figure:
    return time_lapse.mark_epoch(null_figures.row_sum_drift_figure(run), options["epoch"])


def _row_figure(run: Run, options: Options) -> Figure:
    return weight_rows.rows_figure(run, epoch=options["epoch"])


def _row_table(run: Run, options: Options) -> Table:
    return weight_rows.rows_table(run, epoch=options["epoch"])


def _chosen_controls(run: Run, options: Options) -> tuple[Run, ...]:
    chosen = options["controls"]
    if chosen is None:
        return ()
    if chosen == "all":
        return control_runs.shuffled_label_runs(run)
    return control_runs.chosen_controls(run, [chosen])


def _rows(run: Run, options: Options) -> Figure:
    return correlation.row_correlation(run, epoch=options["epoch"], method=options["method"])


def _rows_table(run: Run, options: Options) -> Table:
    return correlation.row_correlation_table(run, epoch=options["epoch"], method=options["method"])


def _scans(run: Run, options: Options) -> Figure:
    return scan_correlation.weight_scan_correlation(
        run, part=options["part"], method=options["method"], scans=options["scans"]
    )


def _scans_table(run: Run, options: Options) -> Table:
    return scan_correlation.weight_class_correlation_table(
        run, part=options["part"], method=options["method"], scans=options["scans"]
    )


def _each_scan(run: Run, options: Options) -> Figure:
    return scan_correlation.scan_map(
        run, part=options["part"], method=options["method"], scans=options["scans"]
    )


def _each_scan_table(run: Run, options: Options) -> Table:
    return scan_correlation.weight_scan_correlation_table(
        run, part=options["part"], method=options["method"], scans=options["scans"]
    )


def _confusion(run: Run, options: Options) -> Figure:
    return evaluation.confusion(run, part=options["part"], by=options["unit"])


def _scores(run: Run, options: Options) -> Figure:
    return scores.scores_figure(
        run, part=options["part"], unit=options["unit"], positive=options["positive"]
    )


def _scores_table(run: Run, options: Options) -> Table:
    return scores.scores_table(
        run, part=options["part"], unit=options["unit"], positive=options["positive"]
    )


def _roc(run: Run, options: Options) -> Figure:
    return scores.roc(run, part=options["part"], unit=options["unit"], positive=options["positive"])


def _class_scores(run: Run, options: Options) -> Table:
    return scores.class_scores_table(run, part=options["part"], unit=options["unit"])


def _calibration(run: Run, options: Options) -> Figure:
    return scores.calibration(run, part=options["part"], unit=options["unit"])


def _calibration_table(run: Run, options: Options) -> Table:
    return scores.calibration_table(run, part=options["part"], unit=options["unit"])


def _curves(run: Run, options: Options) -> Figure:
    return time_lapse.mark_epoch(evaluation.curves(run), options["epoch"])


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
                    Choice("degree_1", "Straight line", help="Least squares, degree 1"),
                    Choice(
                        "degree_2",
                        "Quadratic",
                        ticked=True,
                        help="Fit of degree 2 in z, as the paper",
                    ),
                    Choice(
                        "degree_3", "Cubic", ticked=True, help="Fit of degree 3 in z, as the paper"
                    ),
                    Choice(
                        "degree_4", "4th degree", ticked=True, help="Degree 4 in z, as the paper"
                    ),
                    _BANDS,
                    Choice(
                        "null",
                        "Null line and band",
                        ticked=True,
                        help="What softmax and the start give without any class information",
                    ),
                    Choice(
                        "permutations",
                        "Permutation p (takes seconds)",
                        help="The table tests each degree by shuffling y against x",
                    ),
                ),
                has_epochs=True,
                source=f"{PAPER}, Fig. 3; the dashed line is ours",
                maths="FCL weights: Class against class",
            ),
            View(
                "Matrix of pairs",
                _matrix,
                "Every class against every other at once. Below the diagonal the weights with the "
                "fit that the statistics support, above it the same turned: difference against "
                "sum. On the diagonal the weights of each class, counted.",
                _all_fits,
                has_epochs=True,
                source=f"{PAPER}, Fig. 3, for each pair of more than two classes",
                maths="FCL weights: Class against class",
            ),
            View(
                "Sum and difference",
                _null,
                "The same weights turned: the sum of the rows keeps its initial value under SGD "
                "without weight decay, only the difference is learned and only it decides. The "
                "learned fraction L says how much of the picture is difference: (K - 1)/K before "
                "training, 1 when only differences are left. Switch on what it is to be compared "
                "with.",
                _null_table,
                (
                    _PAIR,
                    Choice("start", "This run before training", ticked=True),
                    Choice("permuted", "Permuted rows"),
                    _CONTROLS,
                ),
                has_epochs=True,
                source=f"Ours, from the gradient of softmax; questions Fig. 3 of {PAPER}",
                maths="The null beside every weight scatter",
            ),
            View(
                "Beside every null",
                _nulls,
                "The scatter's correlation and slope beside what softmax and the start predict, "
                "this run before training, shuffled rows, and runs of shuffled labels from the "
                "same folder. Where a run of shuffled labels comes as far, the scatter says "
                "nothing of the classes.",
                _nulls_table,
                (_PAIR, _CONTROLS),
                has_epochs=True,
                source=f"Ours, from the gradient of softmax; questions Fig. 3 of {PAPER}",
                maths="The null beside every weight scatter",
            ),
            View(
                "Without the mean row",
                _centred,
                "Correlations of the rows once the row they share is taken away. K symmetric "
                "classes sit at -1/(K - 1); only departures say that two classes are closer to "
                "each other than to the others. With two classes it is always -1.",
                _centred_table,
                has_epochs=True,
                source=f"Ours; questions the correlations of {ABSTRACT}",
                maths="The null beside every weight scatter",
            ),
            View(
                "Row by row",
                _row_figure,
                "How the weights of each class are distributed, against the start, and how spread "
                "and bias move over the epochs. Training turns the uniform start into tails.",
                _row_table,
                has_epochs=True,
                source="Start: Glorot & Bengio (2010), AISTATS, or PyTorch's default",
                maths="The null beside every weight scatter",
            ),
            View(
                "Drift of the sum",
                _drift,
                "How far the sum of the rows has moved from its start. It stays within rounding "
                "unless weight decay or another optimiser moves it.",
                _null_table,
                has_epochs=True,
                source="Ours, from the gradient of softmax cross-entropy",
                maths="The null beside every weight scatter",
            ),
        ),
    ),
    Tab("Features", cloud_views.FEATURES),
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
                source=ABSTRACT,
                maths="Correlation",
            ),
            View(
                "Rows with scans",
                _scans,
                "Correlation of each row with the penultimate features of the slices, averaged by "
                "true class. A class whose row fits its own scans stands out on the diagonal.",
                _scans_table,
                (PART, _METHOD, _SCANS),
                source=ABSTRACT,
                maths="Correlation",
            ),
            View(
                "Rows with each scan",
                _each_scan,
                "The same correlations scan by scan, one column a row of the final layer. A scan "
                "that fits another class's row better than its own is worth a look.",
                _each_scan_table,
                (PART, _METHOD, _SCANS),
                source=ABSTRACT,
                maths="Correlation",
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
                "subject's slices are averaged first, or most of its slices decide.",
                _accuracy,
                (PART, _UNIT),
                source=f"{PAPER}, Table 2, gives its accuracies; intervals by Wilson (1927)",
                maths="Evaluation",
            ),
            View(
                "Scores",
                _scores,
                "Each number with its 95 % interval. Whole subjects are drawn again and again "
                "(bootstrap), since slices of one subject are alike. With few subjects take "
                "Wilson's interval, which counts one case a subject.",
                _scores_table,
                (PART, _UNIT, _POSITIVE),
                source="Wilson (1927), JASA 22, 209; Gorodkin (2004); Efron & Tibshirani (1993)",
                maths="Evaluation",
            ),
            View(
                "ROC",
                _roc,
                "How many of a class are found against how many others are taken for it, as the "
                "threshold moves. The symbol is where the network itself decides. AUC 0.5 is "
                "chance.",
                _class_scores,
                (PART, _UNIT, _POSITIVE),
                source="Hanley & McNeil (1982), Radiology 143, 29",
                maths="Evaluation",
            ),
            View(
                "Calibration",
                _calibration,
                "Does a probability of 0.9 mean right in 9 of 10? Dots below the dashed line: "
                "the network is surer than it is right. ECE is the mean distance to the line.",
                _calibration_table,
                (PART, _UNIT),
                source="Guo and others (2017), On calibration of modern neural networks, ICML",
                maths="Evaluation",
            ),
            View(
                "Curves",
                _curves,
                "Loss and accuracy of training and validation after each epoch. Where the two "
                "part, the network learns the training slices by heart.",
                _accuracy,
                has_epochs=True,
                source=f"The training of {PAPER}, Table 2, epoch by epoch",
                maths="Training",
            ),
        ),
    ),
    Tab("Collapse", cloud_views.COLLAPSE),
)
