"""The terminal: every command as a user types it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image

import main
from tests.tiny_cohort import make_folder, make_volumes

TINY = [
    "--network",
    "cnn2d",
    "--size",
    "32",
    "--cnn-width",
    "2",
    "--cnn-features",
    "8",
    "--epochs",
    "2",
    "--batch",
    "8",
    "--learning-rate",
    "0,05",
]


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    folder = make_folder(tmp_path / "pictures")
    assert main.main(["scan", str(folder), "--out", str(tmp_path / "C.mrifcl")]) == 0
    return tmp_path / "C.mrifcl"


@pytest.fixture
def run(cohort, tmp_path, capsys) -> Path:
    assert main.main(["train", str(cohort), *TINY, "--out", str(tmp_path / "runs"), "--json"]) == 0
    return Path(last_json(capsys)["run"])


@pytest.fixture(scope="module")
def analysed(tmp_path_factory) -> tuple[Path, dict]:
    """Return a run that was analysed, and what the command said; made once, as it takes long."""
    folder = tmp_path_factory.mktemp("analysed")
    pictures, cohort = make_folder(folder / "pictures"), folder / "C.mrifcl"
    assert main.main(["scan", str(pictures), "--out", str(cohort)]) == 0
    assert main.main(["train", str(cohort), *TINY, "--out", str(folder / "runs")]) == 0
    (path,) = (folder / "runs").glob("*_cnn2d_scratch")
    with redirect_stdout(io.StringIO()) as said:
        assert main.main(["analyse", str(path), "--dpi", "90", "--json"]) == 0
    return path, json.loads(said.getvalue().strip().splitlines()[-1])


def last_json(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_that_scan_says_subjects_slices_and_classes(cohort, tmp_path, capsys):
    capsys.readouterr()
    assert (
        main.main(
            ["scan", str(tmp_path / "pictures"), "--out", str(tmp_path / "D.mrifcl"), "--json"]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "12 subjects, 48 slices, 2 classes" in out
    result = json.loads(out.strip().splitlines()[-1])
    assert result["classes"]["AD"] == {"subjects": 6, "scans": 6, "slices": 24}
    assert result["skipped"] == []


def test_that_scan_of_the_real_slices_finds_all(shared_data, tmp_path, capsys):
    folder = str(shared_data / "oasis_slices")
    assert (
        main.main(
            ["scan", folder, "--classes", "AD,NC", "--out", str(tmp_path / "C.mrifcl"), "--json"]
        )
        == 0
    )
    result = last_json(capsys)
    assert (result["subjects"], result["slices"], len(result["classes"])) == (40, 1200, 2)
    assert main.main(["scan", folder, "--out", str(tmp_path / "D.mrifcl"), "--json"]) == 0
    result = last_json(capsys)
    assert (result["subjects"], result["slices"], len(result["classes"])) == (60, 1800, 3)


def test_that_a_missing_folder_fails_in_one_plain_sentence(tmp_path, capsys):
    assert main.main(["scan", str(tmp_path / "nowhere")]) == 1
    captured = capsys.readouterr()
    assert "nowhere" in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "C", "--learning-rate", "1.000,5"],
        ["train", "C", "--network", "alexnet"],
        ["--nonsense"],
    ],
)
def test_that_wrong_usage_ends_with_status_2(arguments, capsys):
    assert main.main(arguments) == 2


def test_that_train_reports_its_run(run):
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "finished"
    assert record["settings"]["training"]["learning_rate"] == 0.05


def test_that_analyse_writes_figures_and_tables(analysed):
    _, result = analysed
    figures, tables = ([Path(item) for item in result[key]] for key in ("figures", "tables"))
    assert all(path.is_file() and path.stat().st_size > 50 for path in figures + tables)
    stems = {path.stem for path in figures}
    assert {"fcl_weights_plot", "fcl_null", "row_correlation", "curves"} <= stems
    assert {path.suffix for path in figures} == {".png", ".svg", ".csv"}
    assert {"accuracy", "fcl_weights", "fcl_fits"} <= {path.stem for path in tables}


def test_that_analyse_draws_pictures_of_the_asked_size(analysed):
    for path in (Path(item) for item in analysed[1]["figures"] if item.endswith(".png")):
        with Image.open(path) as picture:
            assert picture.width == int(180 / 25.4 * 90)
            assert picture.info["dpi"] == pytest.approx((90, 90), abs=0.1)


@pytest.mark.parametrize("option", [["--dpi", "5"], ["--width", "9"], ["--dpi", "many"]])
def test_that_analyse_refuses_a_size_that_nobody_can_read(option, capsys):
    assert main.main(["analyse", "run", *option]) == 2
    assert option[1] in capsys.readouterr().err


def test_that_fit_on_the_exported_weights_prints_the_figures_equations(analysed, capsys):
    from core.analysis.weights import fcl_scatter
    from core.run_folder import Run

    run, _ = analysed
    assert main.main(["fit", str(run / "tables" / "fcl_weights.csv"), "--json"]) == 0
    out = capsys.readouterr().out
    for line in fcl_scatter(Run(run)).panels[0].text.splitlines():
        assert line in out
    result = json.loads(out.strip().splitlines()[-1])
    assert result["n"] == 8
    assert [item["degree"] for item in result["fits"]] == [1, 2, 3, 4]


def test_that_the_scatters_csv_holds_every_weight(analysed):
    run, _ = analysed
    with (run / "figures" / "fcl_weights_plot.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "scatter"]
    assert len(rows) == 8


def test_that_compare_puts_runs_into_table_2(run, cohort, tmp_path, capsys):
    main.main(
        ["train", str(cohort), *TINY, "--split", "slice", "--out", str(tmp_path / "runs"), "--json"]
    )
    other = Path(last_json(capsys)["run"])
    assert (
        main.main(["compare", str(run), str(other), "--out", str(tmp_path / "cmp"), "--json"]) == 0
    )
    rows = last_json(capsys)["rows"]
    assert [row["run"] for row in rows] == [str(run), str(other)]
    assert (tmp_path / "cmp" / "table_2.csv").is_file()
    assert (tmp_path / "cmp" / "claims.csv").is_file()


def test_that_audit_tells_a_leaking_split_from_a_clean_one(cohort, capsys):
    assert main.main(["audit", str(cohort), "--size", "32", "--json"]) == 0
    assert last_json(capsys)["leaks"] is False
    assert main.main(["audit", str(cohort), "--size", "32", "--split", "slice", "--json"]) == 0
    result = last_json(capsys)
    assert result["leaks"] is True
    assert result["shared_subjects"] > 0


def test_that_slices_are_written_into_class_folders_and_scan_again(cohort, tmp_path, capsys):
    out = tmp_path / "pictures_out"
    assert main.main(["slices", str(cohort), "--out", str(out), "--size", "48", "--json"]) == 0
    assert last_json(capsys)["slices"] == 48
    assert len(list(out.glob("AD/*.png"))) == 24
    assert main.main(["scan", str(out), "--out", str(tmp_path / "E.mrifcl"), "--json"]) == 0
    assert last_json(capsys)["subjects"] == 12


def test_that_the_report_is_one_page_that_needs_no_other_file(run, tmp_path):
    page = tmp_path / "report.html"
    assert main.main(["report", str(run), "--out", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "not a medical device" in text
    assert text.count("data:image/png;base64,") >= 8
    assert "src='http" not in text
    assert str(tmp_path) not in text


def test_that_paper_says_which_rows_lack_weights(cohort, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert main.main(["paper", str(cohort), "--rows", "1,5", "--out", str(tmp_path / "r")]) == 1
    assert "ImageNet weights of ResNet-101" in capsys.readouterr().err


def test_that_resume_of_a_finished_run_says_so(run, capsys):
    assert main.main(["resume", str(run)]) == 1
    assert "finished" in capsys.readouterr().err


def test_that_help_and_version_are_there(capsys):
    assert main.main(["--version"]) == 0
    assert main.main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in (
        "demo",
        "scan",
        "slices",
        "audit",
        "train",
        "resume",
        "analyse",
        "compare",
        "paper",
        "fit",
        "report",
    ):
        assert command in out


def test_that_without_a_display_the_window_says_what_to_do_instead(monkeypatch, capsys):
    if sys.platform != "linux":
        pytest.skip("only Linux can lack a display")
    for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert main.main([]) == 1
    assert "mri-fcl demo" in capsys.readouterr().err


def test_that_main_py_is_the_console_script(tmp_path):
    script = Path(main.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "MRI-FCL" in done.stdout


def test_that_check_tells_files_that_changed(cohort, tmp_path, capsys):
    capsys.readouterr()
    assert main.main(["check", str(cohort), "--json"]) == 0
    assert last_json(capsys)["findings"] == []
    path = next((tmp_path / "pictures" / "AD").iterdir())
    path.write_bytes(path.read_bytes() + b"more")
    assert main.main(["check", str(cohort), "--json"]) == 0
    out = capsys.readouterr().out
    assert "1 scan changed or went away after the scanning" in out
    result = json.loads(out.splitlines()[-1])
    assert [item["code"] for item in result["findings"]] == ["scan_changed"]
    assert result["scans"] == 12
    stored = json.loads((cohort / "cohort.json").read_text(encoding="utf-8"))
    assert [item["code"] for item in stored["warnings"]] == ["scan_changed"]
    assert main.main(["check", str(tmp_path)]) == 1


@pytest.mark.slow
def test_that_the_3d_cnn_is_trained_resumed_and_analysed_by_commands(tmp_path, capsys):
    heads = make_volumes(tmp_path / "heads")
    cohort = tmp_path / "H.mrifcl"
    assert main.main(["scan", str(heads), "--out", str(cohort)]) == 0
    command = ["train", str(cohort), "--network", "cnn3d", "--cube-size", "16", "--epochs", "1"]
    command += ["--cnn-blocks", "2", "--cnn-width", "2", "--batch", "4", "--augment-flip", "yes"]
    assert main.main([*command, "--out", str(tmp_path / "runs"), "--json"]) == 0
    run = Path(last_json(capsys)["run"])
    assert main.main(["audit", str(run), "--json"]) == 0
    assert last_json(capsys)["leaks"] is False
    before = ["audit", str(cohort), "--network", "cnn3d", "--cube-size", "16", "--split", "slice"]
    assert main.main([*before, "--json"]) == 0
    assert last_json(capsys)["split_words"] == "by scan 5:2:3, seed 0"
    command = ["analyse", str(run), "--out", str(tmp_path / "out"), "--dpi", "60", "--json"]
    assert main.main(command) == 0
    assert last_json(capsys)["figures"]


def test_that_the_3d_cnn_refuses_ready_made_slices_in_one_sentence(cohort, tmp_path, capsys):
    command = ["train", str(cohort), "--network", "cnn3d", "--out", str(tmp_path / "runs")]
    assert main.main(command) == 1
    assert "needs whole volumes" in capsys.readouterr().err
