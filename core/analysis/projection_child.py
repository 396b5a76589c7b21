"""Embed features in the plane by t-SNE or UMAP: runs in a child process only.

Both take seconds to minutes in one call that cannot be left early, and UMAP's compiler holds up
every other thread: a child can be ended, and holds up nobody. See core/child_process.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from core.child_process import ChildResult


def embed_in_child(payload: Mapping[str, Any]) -> ChildResult:
    """Return ``points`` (n, 2) for the rows of ``payload["points"]``, under its seed."""
    points = np.array(payload["points"], dtype=np.float64)
    seed, neighbours = int(payload["seed"]), int(payload["neighbours"])
    if payload["method"] == "tsne":
        from sklearn.manifold import TSNE

        model = TSNE(
            perplexity=min(neighbours, (len(points) - 1) / 3),
            init="pca",
            learning_rate="auto",
            random_state=seed,
            n_jobs=1,
        )
        return ChildResult(arrays={"points": model.fit_transform(points).astype(np.float64)})
    import umap

    near = umap.UMAP(n_neighbors=min(neighbours, len(points) - 1), random_state=seed, n_jobs=1)
    return ChildResult(arrays={"points": near.fit_transform(points).astype(np.float64)})
