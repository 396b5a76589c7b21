"""A figure over the epochs: common axes, moving pictures, strips, and what is refused."""

from __future__ import annotations

import itertools
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from core import time_lapse
from core.analysis import evaluation, features, weights
from core.errors import AnalysisError, MriFclError, RunError, SettingsError
from core.figure import Axis, Curve, Figure, HeatMap, Panel, Scatter
from core.figure_geometry import panel_limits
from core.progress import Progress
from core.run_folder import EPOCH_LOGITS_FILE, Run, reopen_run
from tests.tiny_cohort import drive, make_cohort, train_run


def dots(epoch, *, free=True):
    """One dot that is as far from 0 as there are epochs."""
    ends = {} if free else {"low": 0.0, "high": float(epoch)}
    x = np.array([0.0, float(epoch)])
    panel = Panel(Axis("x", **ends), Axis("y"), (Scatter("AD", x, 2 * x),), equal_aspect=free)
    return Figure("dots", "Dots", (panel,))


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lapse")
    scanned = make_cohort(folder)
    return train_run(scanned, folder / "runs", epochs=4)


@pytest.fixture
def run(trained_once, tmp_path):
    return Run(shutil.copytree(trained_once, tmp_path / trained_once.name))


def frames_of(path):
    with Image.open(path) as film:
        for number in range(film.n_frames):
            film.seek(number)
            yield np.asarray(film.convert("RGB")), film.info["duration"]


@pytest.mark.parametrize("free", [True, False])
def test_that_all_epochs_have_axes_that_hold_every_one(free):
    figures = drive(time_lapse.figures_over(lambda e: dots(e, free=free), (1, 3, 10)))
    limits = [panel_limits(figure.panels[0]) for figure in figures]
    assert limits[0] == limits[1] == limits[2]
    (x_low, x_high), (y_low, y_high) = limits[0]
    assert x_low <= 0
    assert x_high >= 10
    assert y_high >= 20
    if free:  # one unit is as long on both axes, so that the panel stays square
        assert x_high - x_low == pytest.approx(y_high - y_low)


def test_that_matrices_of_all_epochs_share_one_colour_scale():
    def matrix(epoch):
        values = np.array([[1.0, -epoch / 10], [-epoch / 10, 1.0]])
        layer = HeatMap("r", values, ("AD", "NC"), ("AD", "NC"))
        return Figure("rows", "Rows", (Panel(Axis(""), Axis(""), (layer,)),))

    figures = drive(time_lapse.figures_over(matrix, (1, 5, 9)))
    scales = {(f.panels[0].layers[0].low, f.panels[0].layers[0].high) for f in figures}
    assert scales == {(-0.9, 1.0)}


def test_that_a_gif_has_a_frame_an_epoch_at_the_chosen_speed_and_holds_the_last(run, tmp_path):
    path = drive(
        time_lapse.save_time_lapse(
            lambda epoch: weights.fcl_scatter(run, epoch=epoch),
            run.fc_history.epoch.tolist(),
            tmp_path / "film.gif",
            frames_per_second=4,
            dpi=60,
        )
    )
    frames = list(frames_of(path))
    assert [duration for _, duration in frames] == [250, 250, 250, 250, 1500]
    assert len({frame.shape for frame, _ in frames}) == 1
    assert all((a != b).any() for (a, _), (b, _) in itertools.pairwise(frames))


def test_that_frames_of_different_height_are_filled_with_white():
    tall = np.full((11, 5, 3), 10, np.uint8)
    low = np.full((4, 5, 3), 10, np.uint8)
    pictures = time_lapse._of_one_size([png_of(tall), png_of(low)])
    assert {picture.size for picture in pictures} == {(6, 12)}
    assert (np.asarray(pictures[1])[4:] == 255).all()
    assert (np.asarray(pictures[1])[:4, :5] == 10).all()


def png_of(pixels):
    import io

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


@pytest.mark.skipif(time_lapse.mp4_encoder() is None, reason="ffmpeg is not installed")
def test_that_an_mp4_holds_every_epoch(tmp_path):
    path = drive(
        time_lapse.save_time_lapse(dots, (1, 2, 3), tmp_path / "film.mp4", frames_per_second=2)
    )
    asked = ["ffmpeg", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(asked, capture_output=True, check=True).stdout
    # Three epochs, the last one held for a second and a half.
    assert len(raw) % 5 == 0
    frames = np.frombuffer(raw, np.uint8).reshape(5, -1).astype(float)
    assert np.abs(frames[0] - frames[1]).max() > 50
    assert np.abs(frames[3] - frames[4]).max() < 30


def test_that_without_ffmpeg_mp4_is_refused_in_words_that_help(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MriFclError, match=r"Install ffmpeg .* or save as GIF"):
        drive(time_lapse.save_time_lapse(dots, (1, 2), tmp_path / "film.mp4"))
    assert not list(tmp_path.iterdir())


def test_that_an_encoder_that_fails_is_told_and_leaves_no_file(tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'Unknown encoder' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(MriFclError, match="Unknown encoder"):
        drive(time_lapse.save_time_lapse(dots, (1, 2), tmp_path / "film.mp4"))
    assert not (tmp_path / "film.mp4").exists()


def test_that_stopping_between_frames_leaves_no_file(tmp_path):
    operation = time_lapse.save_time_lapse(dots, (1, 2, 3), tmp_path / "film.gif")
    seen = []
    for event in operation:
        seen.append(event)
        if len(seen) == 5:
            break
    operation.close()
    assert all(isinstance(event, Progress) and event.total for event in seen)
    assert not list(tmp_path.iterdir())


def test_that_a_folder_that_is_gone_is_told_in_plain_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MriFclError, match=r"Cannot write 'film\.gif'"):
        drive(time_lapse.save_time_lapse(dots, (1, 2), tmp_path / "file" / "film.gif"))


def test_that_one_epoch_alone_is_no_time_lapse(tmp_path):
    with pytest.raises(AnalysisError, match="at least two"):
        drive(time_lapse.save_time_lapse(dots, (1,), tmp_path / "film.gif"))


def test_that_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"\.gif or \.mp4"):
        drive(time_lapse.save_time_lapse(dots, (1, 2), tmp_path / "film.avi"))


def test_that_many_epochs_are_thinned_evenly_with_both_ends():
    assert time_lapse.chosen_epochs(range(101), 6) == (0, 20, 40, 60, 80, 100)
    assert time_lapse.chosen_epochs((0, 1, 2), 6) == (0, 1, 2)


def test_that_epochs_are_read_from_text_and_unknown_ones_refused():
    assert time_lapse.epochs_in("10, 0 5", (0, 5, 10)) == (0, 5, 10)
    for wrong in ("", "0, x", "0, 7"):
        with pytest.raises(SettingsError, match="0, 10"):
            time_lapse.epochs_in(wrong, (0, 5, 10))


def test_that_a_strip_shows_each_epoch_in_its_own_panel_on_the_same_axes(run):
    epochs = (0, 2, 4)
    figure = drive(
        time_lapse.make_strip(lambda epoch: weights.fcl_scatter(run, epoch=epoch), epochs)
    )
    assert [panel.title for panel in figure.panels] == ["Epoch 0", "Epoch 2", "Epoch 4"]
    assert len({panel_limits(panel) for panel in figure.panels}) == 1
    for panel, epoch in zip(figure.panels, epochs, strict=True):
        (scatter,) = (layer for layer in panel.layers if isinstance(layer, Scatter))
        np.testing.assert_array_equal(scatter.x, run.fc_history.at(epoch)[0][0])


def test_that_a_line_marks_the_epoch_in_curves_and_moves_no_axis(run):
    plain = evaluation.curves(run)
    marked = time_lapse.mark_epoch(plain, 3)
    for before, after in zip(plain.panels, marked.panels, strict=True):
        assert panel_limits(before) == panel_limits(after)
        line = after.layers[-1]
        assert isinstance(line, Curve)
        assert line.x.tolist() == [3, 3]
    assert time_lapse.mark_epoch(plain, None) is plain


def test_that_the_cloud_has_every_epoch_of_the_validation_part(run):
    assert run.epochs_of("validation") == (1, 2, 3, 4)
    assert run.epochs_of("test") == (4,)
    last = run.features.of_part("validation")
    stored = run.logits_after(3, "validation")
    assert stored.penultimate.shape == (len(last.label), 0)
    assert stored.subject.tolist() == last.subject.tolist()
    np.testing.assert_allclose(run.validation_logits[4], last.logits, atol=1e-4)
    figures = [features.feature_cloud(run, part="validation", epoch=e) for e in (1, 4)]
    assert panel_limits(figures[0].panels[0]) == panel_limits(figures[1].panels[0])
    right = (stored.logits.argmax(1) == stored.label).mean()
    assert right == pytest.approx(run.history.validation_accuracy[2])


def test_that_the_cloud_of_subjects_has_their_mean_logits(run):
    by_slice = run.logits_after(2, "validation")
    by_subject = features.features_of(run, part="validation", by="subject", epoch=2)
    own = by_slice.subject == by_subject.subject[0]
    np.testing.assert_allclose(by_subject.logits[0], by_slice.logits[own].mean(axis=0), rtol=1e-5)


def test_that_an_epoch_that_is_not_stored_is_refused_with_what_to_do(run):
    with pytest.raises(RunError, match="Keep features every"):
        features.feature_cloud(run, part="test", epoch=2)
    (run.path / EPOCH_LOGITS_FILE).unlink()
    assert Run(run.path).epochs_of("validation") == (4,)


@pytest.mark.parametrize("kept", [0, 1, 7, 1.5, 2])
def test_that_logits_lost_in_a_crash_cost_their_own_epochs_only(run, kept):
    """``kept`` blocks are left of the file (7: bytes) when epoch 3 is written again."""
    path = run.path / EPOCH_LOGITS_FILE
    before = run.validation_logits
    block = before[1].nbytes
    whole = path.read_bytes()
    path.write_bytes(whole[: 7 if kept == 7 else int(kept * block)])
    writer = reopen_run(run.path)
    writer.write_epoch_logits(3, before[3])
    writer.close()
    after = Run(run.path).validation_logits
    left = 0 if kept == 7 else int(kept)
    assert sorted(after) == [*range(1, left + 1), 3]
    for epoch, logits in after.items():
        np.testing.assert_array_equal(logits, before[epoch])


def test_that_writing_an_epoch_again_leaves_those_before_it_and_drops_those_after(run):
    before = run.validation_logits
    writer = reopen_run(run.path)
    writer.write_epoch_logits(2, before[2] + 1)
    writer.close()
    after = Run(run.path).validation_logits
    assert sorted(after) == [1, 2]
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(after[2], before[2] + 1)
