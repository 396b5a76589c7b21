"""What is dragged over the window, told by its names alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData

# As core.data.table_kind and weights_field have them, which load more than is needed here.
_TABLES = (".csv", ".tsv")
_WEIGHTS = (".safetensors", ".pth", ".pt")


def local_paths(data: QMimeData) -> list[Path]:
    """Return the files and folders of this computer among what is dragged."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def drop_words(paths: Sequence[Path]) -> str:
    """Say in a few words what a drop of ``paths`` will do, by their names alone."""
    suffixes = {path.suffix.lower() for path in paths}
    if len(paths) == 1 and suffixes <= set(_WEIGHTS):
        return "Drop to start training from these weights"
    if len(paths) == 1 and suffixes <= set(_TABLES):
        return "Drop a table of labels, a split, or weights to fit"
    return "Drop scans, a cohort, runs, weights or a table"
