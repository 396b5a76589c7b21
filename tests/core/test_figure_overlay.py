"""A map over a picture: its size, its colours and its numbers."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from core.figure import Axis, Figure, Image, Panel
from core.figure_file import write_figure
from core.figure_overlay import overlaid, overlay_scale, resized


def test_that_maps_are_enlarged_as_torch_does_it():
    values = np.random.default_rng(0).normal(size=(7, 5))
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], (40, 33), mode="bilinear", align_corners=False
    )
    np.testing.assert_allclose(resized(values, (40, 33)), theirs[0, 0].numpy(), atol=1e-12)


def test_that_zero_leaves_the_anatomy_and_the_signs_have_two_colours():
    pixels = np.full((2, 3), 100.0)
    image = Image("Slice", pixels, np.array([[-2.0, 0.0, 2.0]]), opacity=1.0)
    colours = overlaid(image).astype(int)
    assert colours[0, 1].tolist() == [100, 100, 100]
    assert colours[0, 0, 2] > colours[0, 0, 0]  # blue
    assert colours[0, 2, 0] > colours[0, 2, 2]  # red
    assert overlaid(Image("Slice", pixels, image.overlay, opacity=0.0)).tolist() == (
        np.full((2, 3, 3), 100).tolist()
    )


@pytest.mark.parametrize(("reach", "expected"), [(None, 3.0), (8.0, 8.0)])
def test_that_the_scale_is_centred_at_zero(reach, expected):
    scale = overlay_scale(Image("Slice", np.zeros((4, 4)), np.array([[1.0, -3.0]]), "map", reach))
    assert (scale.low, scale.high) == (-expected, expected)


def test_that_a_map_leaves_with_its_own_numbers(tmp_path):
    overlay = np.array([[0.25, -1.5], [3.0, 0.0]])
    image = Image("Slice", np.full((8, 8), 90.0), overlay, "Map of AD", letters=("R", "L", "A", ""))
    figure = Figure("one", "One", (Panel(Axis(""), Axis(""), (image,), equal_aspect=True),))
    files = write_figure(figure, tmp_path)
    with files[2].open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["id"].startswith("Map of AD")]
    assert [float(row["y"]) for row in rows] == overlay.ravel().tolist()
    svg = files[1].read_text(encoding="utf-8")
    assert svg.count("text_") >= 3
