from __future__ import annotations

import csv
import io
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image as Picture

from core import figure_file
from core.errors import MriFclError, SettingsError
from core.figure import Band, Bars, Curve, Figure, HeatMap, Image, Scatter, Table
from core.progress import Progress, run_to_end
from tests.core.figure_samples import fcl_figure, one_panel


def test_that_importing_the_module_does_not_load_matplotlib():
    code = "import sys, core.figure_file; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_that_pyplot_is_never_loaded():
    # In a process of its own: packages that other tests use load it.
    code = (
        "import sys; from core import figure_file; from tests.core.figure_samples import "
        "fcl_figure; figure_file.figure_contents(fcl_figure(), width_mm=90, dpi=50); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_that_the_three_files_carry_the_name_of_the_figure(tmp_path):
    paths = figure_file.write_figure(fcl_figure(), tmp_path / "new", dpi=60)
    assert [path.name for path in paths] == [
        "fcl_weights.png",
        "fcl_weights.svg",
        "fcl_weights.csv",
    ]
    assert all(path.stat().st_size for path in paths)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        path.name for path in paths
    )


def test_that_the_png_has_the_asked_width_and_resolution():
    data = figure_file.figure_png_bytes(fcl_figure(), width_mm=127, dpi=200)
    picture = Picture.open(io.BytesIO(data))
    assert picture.width == 1000
    assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def test_that_png_and_svg_are_the_same_bytes_each_time(tmp_path):
    for folder in ("a", "b"):
        figure_file.write_figure(fcl_figure(), tmp_path / folder, dpi=60)
    for name in ("fcl_weights.png", "fcl_weights.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_that_no_file_says_when_or_by_what_it_was_made(tmp_path):
    png, svg = figure_file.write_figure(fcl_figure(), tmp_path, formats=("png", "svg"), dpi=60)
    assert set(Picture.open(png).info) <= {"dpi"}
    text = svg.read_text("utf-8")
    assert "<dc:date>" not in text
    assert "<dc:creator>" not in text
    assert "matplotlib.org" not in re.sub(r"(?s)<!DOCTYPE.*?>", "", text)


def test_that_svg_markers_and_csv_rows_are_equal_in_number(tmp_path):
    _, svg, table = figure_file.write_figure(fcl_figure(n=57), tmp_path, dpi=60)
    group = re.search(r'(?s)<g id="scatter-1-2">(.*?)\n   </g>', svg.read_text("utf-8"))
    assert group is not None
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "scatter"]
    assert group[1].count("<use ") == len(rows) == 57


def test_that_research_use_only_is_printed_on_every_export(tmp_path):
    figure_file.write_svg(fcl_figure(), tmp_path / "f.svg")
    assert "Research use only, not a medical device" in (tmp_path / "f.svg").read_text("utf-8")


@pytest.mark.parametrize(
    "layer",
    [
        Scatter("s", np.zeros(0), np.zeros(0)),
        Scatter("s", np.full(3, np.nan), np.full(3, np.nan)),
        Scatter("s", np.array([np.inf, 0]), np.array([1, np.nan])),
        Scatter("s", np.ones(1), np.ones(1)),
        Curve("c", np.zeros(0), np.zeros(0)),
        Curve("c", np.arange(3), np.array([np.nan, 1, np.nan])),
        Band("b", np.zeros(0), np.zeros(0), np.zeros(0)),
        Bars("h", np.zeros(0), np.zeros(0)),
        Bars("h", np.arange(2), np.array([-1.0, 0.0])),
        HeatMap("m", np.full((2, 2), np.nan), ("a", "b"), ("a", "b")),
        Image("i", np.zeros((4, 5))),
    ],
)
def test_that_empty_and_missing_values_are_drawn(layer, tmp_path):
    paths = figure_file.write_figure(one_panel(layer), tmp_path, width_mm=60, dpi=50)
    assert all(path.stat().st_size for path in paths)


def test_that_a_figure_without_panels_is_drawn():
    assert figure_file.figure_png_bytes(Figure("none", "None", ()), dpi=40)


@pytest.mark.parametrize("suffix", ["png", "svg", "csv", "PNG"])
def test_that_saving_follows_the_ending_and_reports_progress(suffix, tmp_path):
    path = tmp_path / f"picture.{suffix}"
    operation = figure_file.save_figure(fcl_figure(), path, dpi=50)
    assert next(operation) == Progress(f"Saving picture.{suffix}", 0, 1)
    assert run_to_end(operation) == path
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "csv": b"panel,"}
    assert path.read_bytes().startswith(starts[suffix.lower()])


def test_that_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(SettingsError, match=r"'a.gif' .* \.png, \.svg, \.csv"):
        run_to_end(figure_file.save_figure(fcl_figure(), tmp_path / "a.gif"))
    with pytest.raises(SettingsError, match="pdf"):
        figure_file.write_figure(fcl_figure(), tmp_path, formats=("png", "pdf"))
    assert not list(tmp_path.iterdir())


def test_that_a_folder_that_cannot_be_written_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MriFclError, match=r"Cannot write 'a.csv': .* Choose another folder"):
        run_to_end(figure_file.save_figure(fcl_figure(), tmp_path / "file" / "a.csv"))


def test_that_a_table_is_saved_as_csv_only(tmp_path):
    table = Table("t", "T", ("a",), ((1,),))
    assert run_to_end(figure_file.save_table(table, tmp_path / "t.csv")).read_text() == "a\n1\n"
    with pytest.raises(SettingsError, match=r"\.csv"):
        run_to_end(figure_file.save_table(table, tmp_path / "t.png"))


def test_that_a_picture_for_the_clipboard_is_a_png():
    assert run_to_end(figure_file.draw_png(fcl_figure(), dpi=40)).startswith(b"\x89PNG")
