"""Neural collapse: how near class means, FCL rows and decisions are to their simplest form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.analysis.features import PART_WORDS, features_of
from core.colours import BLUE, GREEN, ORANGE, VERMILLION
from core.errors import AnalysisError
from core.figure import Axis, Curve, Figure, LineStyle, Panel, Scatter, Symbol, Table
from core.run_folder import Features, Run

Floats = NDArray[np.float64]

_SOURCE = "After Papyan, Han & Donoho (2020), PNAS 117(40), 24652."
_TABLE_MEASURES = (
    "nc1",
    "nc2",
    "equal_norms",
    "equal_angles",
    "nc2_rows",
    "nc3",
    "nc3_centred",
    "nc4",
)
_PART_COLOURS = {"train": BLUE, "validation": ORANGE, "test": VERMILLION}
TWO_CLASSES_NOTE = (
    "With two classes the centred means lie opposite each other, whatever the network: NC2 of "
    "the means is 0 by itself and says nothing, and NC3 without the mean row only tells the "
    "angle between the difference of the rows and that of the means."
)


@dataclass(frozen=True)
class Collapse:
    """The four measures of neural collapse of one set of slices.

    Attributes
    ----------
    nc1 : float
        Variation within the classes against that between them, tr(Σ_W Σ_B⁺) / K; 0 when
        every slice lies on its class's mean.
    nc2 : float
        Distance of the centred class means from an equiangular tight frame; 0 is one.
    nc2_rows : float
        The same of the FCL's rows, their mean removed.
    equal_norms, equal_angles : float
        Of the centred means: deviation of their norms from each other (relative), and mean
        deviation of their cosines from -1/(K - 1).
    nc3 : float
        Distance of the FCL's rows from the centred class means, both of norm 1, squared.
    nc3_centred : float
        The same with the mean row removed: the sum of the rows keeps its initial value under
        SGD, so that the raw distance need not fall to 0.
    nc4 : float
        Share of slices, 0..1, for which the network names the class whose mean is nearest.
    """

    nc1: float
    nc2: float
    nc2_rows: float
    equal_norms: float
    equal_angles: float
    nc3: float
    nc3_centred: float
    nc4: float

    @property
    def log_nc1(self) -> float:
        """Decimal logarithm of NC1, which falls over many orders; NaN for 0."""
        return math.log10(self.nc1) if self.nc1 > 0 else math.nan


def collapse_of(
    features: Features, weight: NDArray[np.floating], *, means: Floats | None = None
) -> Collapse:
    """Measure neural collapse of ``features`` under the FCL's ``weight``.

    Parameters
    ----------
    features : Features
        Every class needs a slice.
    weight : ndarray, shape (K, N)
        Rows of the FCL that gave the logits.
    means : ndarray, shape (K, N), optional
        Class means that NC4 goes by, those of the training part; without them the features'
        own.

    Notes
    -----
    NC1, NC3, NC4 as Papyan, Han & Donoho (2020); NC2 as Zhu et al. (2021), eq. 10. The global
    mean is the mean of the class means, so that classes of different size count the same.
    """
    own = class_means(features, len(weight))
    penultimate = features.penultimate.astype(np.float64)
    centred = own - own.mean(axis=0)
    rows = np.asarray(weight, dtype=np.float64)
    centred_rows = rows - rows.mean(axis=0)
    nearest = _nearest(penultimate, own if means is None else means)
    norms = np.linalg.norm(centred, axis=1)
    return Collapse(
        nc1=_within_to_between(penultimate - own[features.label], centred),
        nc2=_distance_to_frame(centred),
        nc2_rows=_distance_to_frame(centred_rows),
        equal_norms=_ratio(float(norms.std()), float(norms.mean())),
        equal_angles=_angle_deviation(centred),
        nc3=_duality(rows, centred),
        nc3_centred=_duality(centred_rows, centred),
        nc4=float((nearest == features.logits.argmax(axis=1)).mean()),
    )


def class_means(features: Features, n_classes: int) -> Floats:
    """Return the mean penultimate features of each class (K, N).

    Raises
    ------
    AnalysisError
        If a class has no slice.
    """
    counts = np.bincount(features.label, minlength=n_classes)
    if not counts.all():
        raise AnalysisError(
            "Neural collapse needs slices of every class in this part. Choose another part."
        )
    sums = np.zeros((n_classes, features.penultimate.shape[1]))
    np.add.at(sums, features.label, features.penultimate.astype(np.float64))
    return np.asarray(sums / counts[:, None])


@dataclass(frozen=True)
class CollapseHistory:
    """Neural collapse after each epoch whose features are stored.

    ``measured`` holds for each part of ``parts`` one :class:`Collapse` an epoch.
    """

    epochs: tuple[int, ...]
    parts: tuple[str, ...]
    measured: dict[str, tuple[Collapse, ...]]


def collapse_history(run: Run) -> CollapseHistory:
    """Measure a run on its training and test part after each epoch with features.

    Raises
    ------
    AnalysisError
        If a part lacks a class or the outputs are not finite.
    """
    epochs = run.feature_epochs or (int(run.fc_history.epoch[-1]),)
    parts = tuple(part for part in ("train", "test") if (run.features.part == part).any())
    if not parts:
        raise AnalysisError(
            f"Run '{run.name}' has no {run.settings.items} in its training or test part."
        )
    for part in parts:
        features_of(run, part=part)  # refuses outputs that are not finite
    measured: dict[str, list[Collapse]] = {part: [] for part in parts}
    for epoch in epochs:
        features = run.features if epoch == epochs[-1] else run.features_at(epoch)
        weight, _ = run.fc_history.at(epoch)
        means = class_means(features.of_part("train"), len(weight)) if "train" in parts else None
        for part in parts:
            measured[part].append(collapse_of(features.of_part(part), weight, means=means))
    return CollapseHistory(epochs, parts, {part: tuple(of) for part, of in measured.items()})


def collapse_figure(run: Run) -> Figure:
    """Return NC1 to NC4 over the epochs, on training and test slices.

    Where features of the last epoch alone are stored, each part is one dot; what the FCL's
    rows alone tell (NC2 of the rows) is a line over all epochs in any case.

    Raises
    ------
    AnalysisError
        As :func:`collapse_history`.
    """
    history = collapse_history(run)
    last = float(max(run.fc_history.epoch[-1], history.epochs[-1], 1))
    share = Axis(f"Share of {run.settings.items}", "fraction", -0.02, 1.04)
    panels = (
        _panel(history, last, "NC1: spread within classes", "log_nc1", Axis("log₁₀ NC1")),
        _rows_panel(run, history, last),
        _duality_panel(history, last),
        _panel(history, last, "NC4: nearest mean decides alike", "nc4", share),
    )
    return Figure(
        name="neural_collapse",
        title=f"Neural collapse of {run.network_title}, {run.regime_title.lower()}",
        panels=panels,
        columns=2,
        caption=_caption(run, history),
        warning=run.warning,
    )


def collapse_table(run: Run) -> Table:
    """Return every measure of :class:`Collapse` by epoch and part.

    Raises
    ------
    AnalysisError
        As :func:`collapse_history`.
    """
    history = collapse_history(run)
    rows = [
        (epoch, part, *(getattr(m, name) for name in _TABLE_MEASURES))
        for place, epoch in enumerate(history.epochs)
        for part in history.parts
        for m in [history.measured[part][place]]
    ]
    return Table(
        name="neural_collapse",
        title=f"Neural collapse of {run.network_title} by epoch",
        columns=("epoch", "part", *_TABLE_MEASURES),
        rows=tuple(rows),
        caption=f"0, 0, 0 and 1 (all {run.settings.items}) are complete collapse. equal_norms "
        "and equal_angles "
        "are of the centred class means, nc2_rows of the FCL's rows. " + _note(run),
        warning=run.warning,
    )


def _within_to_between(within: Floats, centred_means: Floats) -> float:
    """Return tr(Σ_W Σ_B⁺) / K without the N x N matrices.

    Σ_B = MᵀM / K for the centred means M (K, N); with M = U s Vᵀ its pseudo-inverse is
    V diag(K / s²) Vᵀ, so that only the projections of the rows on V count.
    """
    _, s, axes = np.linalg.svd(centred_means, full_matrices=False)
    is_real = s > s.max(initial=0.0) * max(centred_means.shape) * np.finfo(np.float32).eps
    if not is_real.any():
        return float("nan")
    along = within @ axes[is_real].T
    return float(((along**2).mean(axis=0) / s[is_real] ** 2).sum())


def _distance_to_frame(centred: Floats) -> float:
    """Return the Frobenius distance of the normalised Gram matrix from that of a frame."""
    k = len(centred)
    gram = centred @ centred.T
    frame = (np.eye(k) - 1 / k) / np.sqrt(k - 1)
    norm = float(np.linalg.norm(gram))
    return float(np.linalg.norm(gram / norm - frame)) if norm else float("nan")


def _angle_deviation(centred: Floats) -> float:
    norms = np.linalg.norm(centred, axis=1)
    if not norms.all():
        return float("nan")
    cosines = (centred @ centred.T) / np.outer(norms, norms)
    above = np.triu_indices(len(centred), 1)
    return float(np.abs(cosines[above] + 1 / (len(centred) - 1)).mean())


def _duality(rows: Floats, centred_means: Floats) -> float:
    norms = float(np.linalg.norm(rows)), float(np.linalg.norm(centred_means))
    if not all(norms):
        return float("nan")
    return float(((rows / norms[0] - centred_means / norms[1]) ** 2).sum())


def _nearest(points: Floats, means: Floats) -> NDArray[np.int64]:
    # |h - m|² without |h|², which is the same for every mean; centred, so that it is exact.
    middle = means.mean(axis=0)
    offsets = means - middle
    return np.asarray(((offsets**2).sum(axis=1) - 2 * (points - middle) @ offsets.T).argmin(axis=1))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _panel(history: CollapseHistory, last: float, title: str, name: str, y: Axis) -> Panel:
    layers = [
        layer
        for part in history.parts
        for layer in _line(history, name, part, PART_WORDS[part], _PART_COLOURS[part])
    ]
    return Panel(_epoch_axis(last), y, tuple(layers), title)


def _epoch_axis(last: float) -> Axis:
    return Axis("Epoch", low=-0.04 * last, high=1.04 * last)


def _rows_panel(run: Run, history: CollapseHistory, last: float) -> Panel:
    fc = run.fc_history
    distances = [_distance_to_frame(w - w.mean(axis=0)) for w in fc.weight.astype(np.float64)]
    measured = [m.nc2 for part in history.parts for m in history.measured[part]]
    # With two classes all is rounding about 0, which must not fill the axis.
    highest = np.nanmax([0.2, *measured, *distances])
    axis = Axis("Distance from the frame", low=-0.04 * float(highest), high=1.05 * float(highest))
    panel = _panel(history, last, "NC2: equal norms and angles", "nc2", axis)
    rows = Curve(
        "FCL rows, mean removed", fc.epoch, np.array(distances), colour=GREEN, style="dotted"
    )
    return Panel(panel.x, panel.y, (*panel.layers, rows), panel.title)


def _duality_panel(history: CollapseHistory, last: float) -> Panel:
    layers: list[Curve | Scatter] = []
    for part in history.parts:
        words, colour = PART_WORDS[part], _PART_COLOURS[part]
        layers += _line(
            history, "nc3", part, f"{words}, raw", colour, style="dashed", symbol="diamond"
        )
        layers += _line(history, "nc3_centred", part, f"{words}, mean row removed", colour)
    return Panel(
        _epoch_axis(last),
        Axis("Distance of rows and means, squared", low=0.0),
        tuple(layers),
        title="NC3: rows along the class means",
    )


def _line(
    history: CollapseHistory,
    name: str,
    part: str,
    words: str,
    colour: str,
    *,
    style: LineStyle = "solid",
    symbol: Symbol = "circle",
) -> Sequence[Curve | Scatter]:
    """Return a line over the epochs, or a dot where there is only one."""
    x = np.array(history.epochs, dtype=np.float64)
    y = np.array([getattr(measured, name) for measured in history.measured[part]])
    if len(x) == 1:
        return [Scatter(words, x, y, colour=colour, symbol=symbol, size=9.0, opacity=1.0)]
    return [Curve(words, x, y, colour=colour, style=style)]


def _note(run: Run) -> str:
    return TWO_CLASSES_NOTE if len(run.classes) == 2 else ""


def _caption(run: Run, history: CollapseHistory) -> str:
    few = (
        " Features of the last epoch alone are stored: train with 'Keep features every' to see "
        "them over the epochs."
        if len(history.epochs) == 1
        else ""
    )
    return (
        "As training goes on past zero error, NC1 to NC3 fall towards 0 and NC4 rises to 1 on "
        f"the training {run.settings.items}; on those of the test part they show how far that "
        "carries over. NC4 goes "
        f"by the training part's means.{few} {_note(run)} {_SOURCE}"
    ).replace("  ", " ")
