"""Feature clouds: the FCL's outputs of each slice or subject, and how far they are dispersed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.colours import GREY
from core.errors import AnalysisError
from core.figure import Axis, Curve, Figure, Panel, Scatter, Table, class_colour, class_symbol
from core.run_folder import PARTS, Features, Run

By = Literal["slice", "subject"]
Pair = tuple[str, str]
MAX_CLOUDS = 4

PART_WORDS = {"train": "training", "validation": "validation", "test": "test", "all": "all"}
_CLOUD_SOURCE = "After Khagi & Kwon (2022), JMIS 9(3), Fig. 2."


def feature_cloud(
    run: Run,
    *,
    part: str = "test",
    by: By = "slice",
    paper_colours: bool = False,
    epoch: int | None = None,
) -> Figure:
    """Return the cloud of FCL outputs (logits) after ``epoch``.

    Parameters
    ----------
    run : Run
    part : {"train", "validation", "test", "all"}
    by : {"slice", "subject"}
        One dot a slice, or one a subject at the mean of its slices' logits.
    paper_colours : bool
        AD blue and NC red, as in the paper.
    epoch : int, optional
        One of ``run.epochs_of(part)``; without it the last epoch's network.

    Returns
    -------
    Figure
        One panel, or for more than two classes one for each pair of classes.

    Raises
    ------
    AnalysisError
        If the part has no slices.
    """
    features = features_of(run, part=part, by=by, epoch=epoch)
    # Over the epochs the axes stay where they are, as far as that is cheap to know.
    others = run.validation_logits.values() if epoch is not None and part == "validation" else ()
    limits = _limits([features.logits, *others])
    panels = tuple(
        _cloud_panel(run, features, pair, limits=limits, paper_colours=paper_colours)
        for pair in class_pairs(run)
    )
    return Figure(
        name=f"feature_cloud_{part}_by_{by}",
        title=f"FCL output of {run.network_title}, {regime_text(run)}, {part_words(part)}"
        + (f", epoch {epoch}" if epoch is not None else ""),
        panels=panels,
        columns=min(len(panels), 3),
        caption=_cloud_caption(by, [run]),
        warning=run.warning,
    )


def feature_clouds(
    runs: Sequence[Run],
    *,
    part: str = "test",
    by: By = "slice",
    pair: Pair | None = None,
    paper_colours: bool = False,
) -> Figure:
    """Return the clouds of up to four runs on common axes, as in the paper's Fig. 2.

    Parameters
    ----------
    runs : sequence of Run
        1 to 4 runs with the same classes, in the order of the panels.
    part, by, paper_colours
        As in :func:`feature_cloud`.
    pair : tuple of str, optional
        Classes on x and y; without it the first two.

    Raises
    ------
    AnalysisError
        If there are none or too many runs, their classes differ, or a part is empty.
    """
    if not 1 <= len(runs) <= MAX_CLOUDS:
        raise AnalysisError(f"Choose 1 to {MAX_CLOUDS} runs; {len(runs)} are chosen.")
    if len({run.classes for run in runs}) > 1:
        raise AnalysisError(
            "The chosen runs have different classes, so their clouds have no common axes. "
            "Choose runs of one cohort."
        )
    chosen = class_pairs(runs[0], pair)[0]
    features = [features_of(run, part=part, by=by) for run in runs]
    columns = [runs[0].classes.index(label) for label in chosen]
    limits = _limits([item.logits[:, columns] for item in features])
    is_split_alike = len({run.record.get("split_mode") for run in runs}) == 1
    panels = tuple(
        _cloud_panel(
            run,
            item,
            chosen,
            limits=limits,
            paper_colours=paper_colours,
            title=f"({letter}) {run.network_title}, {regime_text(run)}"
            + ("" if is_split_alike else f"\nsplit {run.split_text}"),
        )
        for letter, run, item in zip("abcd", runs, features, strict=False)
    )
    return Figure(
        name=f"feature_clouds_{part}_by_{by}",
        title=f"FCL output by regime, {part_words(part)}",
        panels=panels,
        columns=min(len(panels), 2),
        caption=_cloud_caption(by, runs),
        warning=joint_warning(runs),
    )


def dispersion_table(run: Run, part: str = "test") -> Table:
    """Return how far the logits of each class are dispersed.

    Columns: class, slices, subjects; mean and standard deviation (n - 1) of each logit;
    ``spread``, the root mean square distance of a slice to its class's centre;
    ``nearest_centre``, the distance to the nearest other class's centre; and
    ``relative_spread``, the one by the other: only it can be compared between runs, because
    longer training scales all logits up.

    Raises
    ------
    AnalysisError
        If the part has no slices.
    """
    features = features_of(run, part=part, by="slice")
    logits = features.logits.astype(np.float64)
    present = [k for k in range(len(run.classes)) if (features.label == k).any()]
    centres = {k: logits[features.label == k].mean(axis=0) for k in present}
    rows: list[tuple[Any, ...]] = []
    for k in present:
        own = logits[features.label == k]
        others = [np.linalg.norm(centres[k] - centres[j]) for j in present if j != k]
        spread = float(np.sqrt(np.mean(np.sum((own - centres[k]) ** 2, axis=1))))
        nearest = float(min(others)) if others else float("nan")
        deviation = own.std(axis=0, ddof=1) if len(own) > 1 else np.full(own.shape[1], np.nan)
        rows.append(
            (
                run.classes[k],
                len(own),
                len(set(features.subject[features.label == k])),
                *centres[k],
                *deviation,
                spread,
                nearest,
                spread / nearest if nearest > 0 else float("nan"),
            )
        )
    return Table(
        name=f"dispersion_{part}",
        title=f"Dispersion of the FCL output, {part_words(part)}",
        columns=(
            "class",
            run.settings.items,
            "subjects",
            *(f"mean_{name}" for name in run.classes),
            *(f"std_{name}" for name in run.classes),
            "spread",
            "nearest_centre",
            "relative_spread",
        ),
        rows=tuple(rows),
        caption="Logits of the last epoch's network. Compare runs by the relative spread: the "
        "scale of logits grows with training.",
        warning=run.warning,
    )


def features_of(
    run: Run, *, part: str = "test", by: By = "slice", epoch: int | None = None
) -> Features:
    """Return the features of one part after ``epoch``, a row a slice or a subject.

    Of an epoch whose features are not stored there are only the validation slices' logits.

    Raises
    ------
    AnalysisError
        If the part is unknown or has no slices, or a logit is not finite.
    """
    if part not in (*PARTS, "all"):
        raise AnalysisError(f"There is no part '{part}'. Choose one of: {', '.join(PARTS)}, all.")
    features = run.logits_after(epoch, part)
    if not len(features.label):
        raise AnalysisError(
            f"The {part_words(part)} of run '{run.name}' has no {run.settings.items}."
        )
    if not np.isfinite(features.logits).all():
        raise AnalysisError(
            f"The network of run '{run.name}' gives outputs that are not finite: its training "
            "diverged. Train again with a lower learning rate."
        )
    return subject_means(features) if by == "subject" else features


def subject_means(features: Features) -> Features:
    """Return one row for each subject: the means of its slices' features and logits.

    A subject with slices in two parts (a leaking split) or with two labels gives one row for
    each. ``slice`` is -1; ``session`` and ``scan`` are those of its first slice.
    """
    keys = list(zip(features.part, features.subject, features.label, strict=True))
    first: dict[tuple[Any, ...], int] = {}
    group = np.array(
        [first.setdefault(key, len(first)) for key in keys], dtype=np.int64
    )  # number of each slice's group, in order of appearance
    _, start, counts = np.unique(group, return_index=True, return_counts=True)
    return Features(
        penultimate=_group_means(features.penultimate, group, counts),
        logits=_group_means(features.logits, group, counts),
        label=features.label[start],
        part=features.part[start],
        subject=features.subject[start],
        session=features.session[start],
        scan=features.scan[start],
        slice=np.full(len(start), -1, dtype=np.int64),
    )


def class_pairs(run: Run, pair: Pair | None = None) -> tuple[Pair, ...]:
    """Return ``pair`` checked, or every pair of the run's classes in order.

    Raises
    ------
    AnalysisError
        If the pair is not of two different classes of the run.
    """
    if pair is None:
        return tuple(combinations(run.classes, 2))
    if len(set(pair)) != 2 or not set(pair) <= set(run.classes):
        raise AnalysisError(
            f"'{' and '.join(pair)}' is no pair of classes of run '{run.name}'; it has: "
            f"{', '.join(run.classes)}."
        )
    return (pair,)


def part_words(part: str) -> str:
    """Return a part for a title: ``test part``, or ``all parts``."""
    return "all parts" if part == "all" else f"{PART_WORDS[part]} part"


def regime_text(run: Run) -> str:
    """Return regime and epochs for a title: ``fine-tuned, 20 epochs``."""
    epochs = run.settings.epochs
    return f"{run.regime_title.lower()}, {epochs} epoch{'s' if epochs != 1 else ''}"


def joint_warning(runs: Sequence[Run]) -> str:
    """Return what must stand in red beside numbers of several runs, each sentence once."""
    warnings = list(dict.fromkeys(run.warning for run in runs if run.warning))
    if len(warnings) == 1 and all(run.warning for run in runs):
        return warnings[0]
    return " ".join(f"{run.name}: {run.warning}" for run in runs if run.warning)


def _group_means(
    values: NDArray[np.float32], group: NDArray[np.int64], counts: NDArray[Any]
) -> NDArray[np.float32]:
    if not len(counts):
        return values
    starts = np.cumsum(counts) - counts
    in_order = values[np.argsort(group, kind="stable")]
    sums = np.add.reduceat(in_order, starts, axis=0, dtype=np.float64)
    return np.asarray(sums / counts[:, None], dtype=np.float32)


def _cloud_panel(
    run: Run,
    features: Features,
    pair: Pair,
    *,
    limits: tuple[float, float],
    paper_colours: bool,
    title: str = "",
) -> Panel:
    i, j = (run.classes.index(label) for label in pair)
    low, high = limits
    ends = np.array([low, high])
    layers = [
        Scatter(
            name=label,
            x=features.logits[features.label == k, i],
            y=features.logits[features.label == k, j],
            colour=class_colour(label, k, paper=paper_colours),
            symbol=class_symbol(label, k),
            ids=_ids(features, k),
        )
        for k, label in enumerate(run.classes)
        if (features.label == k).any()
    ]
    return Panel(
        x=Axis(f"FC output, {pair[0]}", "logit", low, high),
        y=Axis(f"FC output, {pair[1]}", "logit", low, high),
        layers=(*layers, Curve("Decision line y = x", ends, ends, colour=GREY, style="dashed")),
        title=title or f"{pair[0]} and {pair[1]}",
        equal_aspect=True,
    )


def _ids(features: Features, k: int) -> tuple[str, ...]:
    own = features.label == k
    return tuple(
        str(subject) if number < 0 else f"{subject} {number}"
        for subject, number in zip(features.subject[own], features.slice[own], strict=True)
    )


def _limits(logits: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Return limits that hold every logit with a margin of 5 %, the same for x and y."""
    low = float(min(item.min() for item in logits))
    high = float(max(item.max() for item in logits))
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _cloud_caption(by: By, runs: Sequence[Run]) -> str:
    # What a network sees at once; a run of the 3-D CNN beside one of another has both.
    items = {"scan" if run.settings.sees_cubes else "slice" for run in runs}
    item = " or ".join(sorted(items))
    dot = item if by == "slice" else f"subject, at the mean of its {item.replace(' or', 's or')}s"
    return (
        f"Outputs of the final fully connected layer, one dot a {dot}. Below the dashed line "
        f"the class on x has the higher score. {_CLOUD_SOURCE}"
    )
