"""Penultimate features in the plane: PCA, LDA, t-SNE and UMAP, seeded and kept with the run."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core import array_file, atomic_file
from core.analysis.features import By, subject_means
from core.array_file import ArrayFileError
from core.child_process import ChildCall, ChildError
from core.errors import AnalysisError
from core.missing_package import how_to_add
from core.progress import Operation, Progress
from core.run_folder import Features, Run

Method = Literal["pca", "lda", "tsne", "umap"]
Neighbours = Literal["few", "usual", "many"]
Floats = NDArray[np.float64]

METHOD_TITLES = {"pca": "PCA", "lda": "LDA", "tsne": "t-SNE", "umap": "UMAP"}
CACHE_FOLDER = "analysis_cache"
# How many neighbours t-SNE (as perplexity) and UMAP look at.
_PERPLEXITY = {"few": 10, "usual": 30, "many": 50}
_UMAP_NEIGHBOURS = {"few": 5, "usual": 15, "many": 50}
# Principal components that are handed on: the rest is noise, and costs time.
_COMPONENTS = 50
MOST_ROWS = 5000
_SECONDS = 1800
_MEMORY_BYTES = 6 * 1024**3
_VERSION = 1


@dataclass(frozen=True)
class Projection:
    """Slices or subjects in the plane.

    Attributes
    ----------
    points : ndarray, shape (n, 2), float64
    features : Features
        The n rows; penultimate features and logits are theirs.
    axes : tuple of str
        What the two axes are called.
    method : str
    words : str
        How the plane was found, in a sentence or two.
    """

    points: Floats
    features: Features
    axes: tuple[str, str]
    method: Method
    words: str


def project(
    run: Run,
    method: Method,
    *,
    by: By = "slice",
    seed: int = 0,
    neighbours: Neighbours = "usual",
) -> Operation[Projection]:
    """Return the penultimate features of all parts in one plane.

    All parts take part, whichever is shown later, so that the plane stays the same. PCA,
    t-SNE and UMAP do not see the classes; LDA sees those of the training part only. t-SNE and
    UMAP are computed in a process of their own, once: the result is kept in the run folder.

    Parameters
    ----------
    run : Run
    method : {"pca", "lda", "tsne", "umap"}
    by : {"slice", "subject"}
    seed : int
        Of t-SNE and UMAP.
    neighbours : {"few", "usual", "many"}
        How far t-SNE and UMAP look; few shows small groups, many the large picture.

    Raises
    ------
    AnalysisError
        If there are fewer than four rows, features are not finite, or UMAP is missing.
    """
    yield Progress("Projecting features")
    features = _rows(run, by)
    if method == "pca":
        return _principal(features)
    if method == "lda":
        return _discriminant(features, len(run.classes))
    if method == "umap" and not has_umap():
        raise AnalysisError(f"UMAP is not installed with this program. {how_to_add_umap()}")
    return (yield from _embedded(run, features, method, seed=seed, neighbours=neighbours))


def has_umap() -> bool:
    """Tell whether UMAP is installed; it is an extra."""
    return importlib.util.find_spec("umap") is not None


def how_to_add_umap() -> str:
    """Return what to do to have UMAP offered, as one sentence."""
    return how_to_add("mri-fcl[umap]", otherwise="choose t-SNE")


def _rows(run: Run, by: By) -> Features:
    features = subject_means(run.features) if by == "subject" else run.features
    if len(features.label) < 4:
        raise AnalysisError(
            f"Run '{run.name}' has {len(features.label)} {by}s: a projection needs four or more."
        )
    if not np.isfinite(features.penultimate).all():
        raise AnalysisError(
            f"The penultimate features of run '{run.name}' are not finite: its training diverged. "
            "Train again with a lower learning rate."
        )
    return features


def _principal(features: Features) -> Projection:
    points, share = _components(features.penultimate.astype(np.float64), 2)
    return Projection(
        points,
        features,
        (f"PC 1, {100 * share[0]:.0f} % of the variance", f"PC 2, {100 * share[1]:.0f} %"),
        "pca",
        "The two directions in which the penultimate features of all slices vary most.",
    )


def _components(points: Floats, count: int) -> tuple[Floats, Floats]:
    """Return the scores on the first principal components, and each one's share of variance."""
    centred = points - points.mean(axis=0)
    left, s, axes = np.linalg.svd(centred, full_matrices=False)
    # The sign of an axis is free: the largest coefficient is made positive, so it stays.
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    scores = np.zeros((len(points), count))
    share = np.zeros(count)
    kept = min(count, len(s))
    scores[:, :kept] = (left * s * np.where(sign == 0, 1, sign))[:, :kept]
    share[:kept] = s[:kept] ** 2 / max(float((s**2).sum()), 1e-300)
    return scores, share


def _discriminant(features: Features, n_classes: int) -> Projection:
    """Return Fisher's plane, found on the training part alone.

    With two classes there is one discriminant only; the other axis is the direction of most
    variance across it.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    is_train = features.part == "train"
    if any((features.label[is_train] == k).sum() < 2 for k in range(n_classes)):
        raise AnalysisError(
            "LDA needs two or more rows of every class in the training part. Choose another "
            "projection."
        )
    points = features.penultimate.astype(np.float64)
    train = points[is_train]
    middle = train.mean(axis=0)
    _, _, axes = np.linalg.svd(train - middle, full_matrices=False)
    scores = (points - middle) @ axes[: min(_COMPONENTS, is_train.sum() - 1)].T
    if not scores[is_train].any():
        raise AnalysisError("All penultimate features are equal: there is no plane to find.")
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    model.fit(scores[is_train], features.label[is_train])
    plane = model.transform(scores)[:, :2]
    titles = ("Discriminant 1", "Discriminant 2")
    if plane.shape[1] < 2:
        line = model.scalings_[:, 0] / np.linalg.norm(model.scalings_[:, 0])
        across = scores - np.outer(scores @ line, line)
        plane = np.column_stack([plane, _components(across, 1)[0]])
        titles = ("Discriminant", "Most variance across it")
    return Projection(
        np.asarray(plane),
        features,
        titles,
        "lda",
        f"The plane that parts the classes of the training slices best (shrunk covariance, first "
        f"{scores.shape[1]} principal components). It saw the training part's classes, which "
        "therefore look better parted than they are: judge by the test part.",
    )


def _embedded(
    run: Run, features: Features, method: Method, *, seed: int, neighbours: Neighbours
) -> Operation[Projection]:
    if len(features.label) > MOST_ROWS:
        raise AnalysisError(
            f"{len(features.label)} dots are too many for {METHOD_TITLES[method]} (at most "
            f"{MOST_ROWS}). Choose one dot a subject, or PCA."
        )
    near = (_PERPLEXITY if method == "tsne" else _UMAP_NEIGHBOURS)[neighbours]
    points, _ = _components(
        features.penultimate.astype(np.float64),
        min(_COMPONENTS, features.penultimate.shape[1], len(features.label) - 1),
    )
    payload = {"method": method, "seed": seed, "neighbours": near, "version": _VERSION}
    path = _cache_file(run, payload, features)
    plane = _kept(path, len(points))
    if plane is None:
        plane = yield from _in_child(method, {**payload, "points": points.tolist()})
        _keep(path, plane)
    title = METHOD_TITLES[method]
    return Projection(
        plane,
        features,
        (f"{title} 1", f"{title} 2"),
        method,
        f"{title} of the first {points.shape[1]} principal components, {near} "
        f"{'perplexity' if method == 'tsne' else 'neighbours'}, seed {seed}; it does not see the "
        "classes. Only who is near whom means something: sizes of groups and the distances "
        "between them do not, and another seed gives another picture.",
    )


def _in_child(method: Method, payload: dict[str, Any]) -> Operation[Floats]:
    """Embed in a child process; leaving early ends it."""
    title = METHOD_TITLES[method]
    call = ChildCall("embed", payload, seconds=_SECONDS, memory_bytes=_MEMORY_BYTES)
    try:
        while not call.wait(0.1):
            yield Progress(f"Computing {title}")
        points = call.result().arrays["points"]
    except ChildError as error:
        raise AnalysisError(
            f"{title} could not be computed: {error} Choose one dot a subject, or PCA."
        ) from error
    finally:
        call.close()
    if not np.isfinite(points).all():
        raise AnalysisError(f"{title} found no plane for these features. Choose PCA.")
    return np.asarray(points, dtype=np.float64)


def _cache_file(run: Run, payload: dict[str, Any], features: Features) -> Path:
    key = hashlib.sha256(json.dumps(payload, sort_keys=True).encode())
    key.update(np.ascontiguousarray(features.penultimate).tobytes())
    name = f"{payload['method']}_{key.hexdigest()[:16]}.npz"
    return run.path / CACHE_FOLDER / name


def _kept(path: Path, n: int) -> Floats | None:
    """Return the kept plane; None where there is none, or none that can be read."""
    try:
        (points,) = array_file.read_arrays(path, ("points",))
    except (OSError, ArrayFileError):
        return None
    fits = points.dtype == np.float64 and points.shape == (n, 2)
    return points if fits and np.isfinite(points).all() else None


def _keep(path: Path, points: Floats) -> None:
    out = io.BytesIO()
    array_file.write_arrays(out, {"points": points})
    # A folder that cannot be written only costs the time next time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        atomic_file.write_bytes(path, out.getvalue())
