"""Plans: grids and single runs from TOML, each run once, faults with file and line."""

import pytest

from core.config import RunSettings, change
from core.errors import SettingsError
from core.plan import MOST_RUNS, expand, parse_numbers, read_plan, run_key


def write(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def short(plan):
    return [
        (run.training.network, run.training.regime, run.split.mode, run.training.seed)
        for run in plan.runs
    ]


def test_that_a_grid_gives_every_combination_in_order(tmp_path):
    plan = read_plan(
        write(
            tmp_path,
            '[settings]\nepochs = 3\n[grid]\nnetwork = ["googlenet", "vgg19"]\n'
            'split = ["subject", "slice"]\nseed = "0-1"\n',
        )
    )
    assert short(plan) == [
        (network, "scratch", mode, seed)
        for network in ("googlenet", "vgg19")
        for mode in ("subject", "slice")
        for seed in (0, 1)
    ]
    assert {run.epochs for run in plan.runs} == {3}
    assert plan.left_out == ()


def test_that_presets_several_grids_and_single_runs_add_up(tmp_path):
    plan = read_plan(
        write(
            tmp_path,
            'preset = "paper"\n[[grid]]\nseed = [1, 2]\n[[grid]]\nnetwork = "vgg19"\n'
            '[[runs]]\nnetwork = "cnn2d"\nlearning-rate = 0.5\n',
        )
    )
    assert [run.training.network for run in plan.runs] == ["googlenet"] * 2 + ["vgg19", "cnn2d"]
    assert {run.batch for run in plan.runs} == {128}
    assert plan.runs[3].learning_rate == 0.5


def test_that_folds_count_only_where_the_split_has_folds(tmp_path):
    plan = read_plan(write(tmp_path, '[grid]\nsplit = ["subject", "kfold"]\nfold = "1-5"\n'))
    assert [run.split.mode for run in plan.runs] == ["subject"] + ["kfold"] * 5
    assert [run.split.fold for run in plan.runs[1:]] == [1, 2, 3, 4, 5]
    assert "4 runs are left out" in plan.left_out[0]


def test_that_what_cannot_be_trained_is_left_out_in_words(tmp_path):
    plan = read_plan(
        write(
            tmp_path,
            '[grid]\nnetwork = ["cnn2d", "vgg19"]\nregime = ["frozen", "scratch"]\n'
            '[[except]]\nnetwork = "vgg19"\nregime = "scratch"\n',
        )
    )
    assert [(r.training.network, r.training.regime) for r in plan.runs] == [
        ("cnn2d", "scratch"),
        ("vgg19", "frozen"),
    ]
    assert plan.left_out[0].startswith("Left out cnn2d, frozen: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[grid]\nseed = 1\nnetwrk = 'vgg19'\n", "'plan.toml', line 3: There is no setting"),
        ("[grid]\nnetwrk = 'vgg19'\n", "did you mean 'network'?"),
        ("[grid]\n\nnetwork = ['vgg19', 'resnet']\n", "line 3: Network: resnet is not allowed"),
        ("[grid]\nseed = []\n", "line 2: Seed: the list is empty"),
        ("[grid]\nseed = {a = 1}\n", "line 2: Seed: give one value"),
        ("[grid]\nseed = '5-2'\n", "line 2: Seed: 5-2 runs backwards"),
        ("[grid]\nseed = 1\n[[runs]]\n[[runs]]\nseed = 'x'\n", "line 5: Seed: 'x' cannot"),
        ("[[runs]]\nseed = [1, 2]\n", "line 2: Seed takes one value here"),
        ("[[runs]]\nepochs = 1\n[[runs]]\nfold = 9\n", "line 3: Test fold 9 does not exist"),
        ("preset = 'papr'\n[grid]\nseed = 1\n", "line 1: There is no preset 'papr'"),
        ("[gird]\nseed = 1\n", "line 1: 'gird' means nothing here; did you mean 'grid'?"),
        ("settings = 3\n[grid]\nseed = 1\n", "line 1: 'settings' must be a table"),
        ("runs = [1]\n", "line 1: 'runs' must be a table"),
        ("[settings]\nseed = 1\n", "plans no run"),
        ("", "plans no run"),
        ("[grid]\nseed = = 2\n", "line 2"),
        ("[grid]\nnetwork = 'cnn2d'\nregime = 'frozen'\n", "line 1: The custom CNN has no"),
        ("[grid]\nseed = '0-5000'\n", f"a plan holds {MOST_RUNS} at most"),
        (f"[grid]\nseed = '0-{10**9}'\n", f"a plan holds {MOST_RUNS} at most"),
        ("[grid]\nseed = '0-1999'\nepochs = [1, 2]\n", "4000 runs"),
        ("x = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_that_a_fault_in_a_plan_names_file_line_and_key(tmp_path, text, words):
    with pytest.raises(SettingsError) as caught:
        read_plan(write(tmp_path, text))
    assert "'plan.toml'" in str(caught.value)
    assert words in str(caught.value)


def test_that_files_that_are_no_text_or_too_large_or_gone_are_refused(tmp_path):
    path = tmp_path / "plan.toml"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_plan(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_plan(path)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(SettingsError, match="too large"):
        read_plan(path)


def test_that_a_mark_before_the_text_is_no_fault(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xef\xbb\xbf[grid]\nseed = 3\n")
    assert read_plan(path).runs[0].training.seed == 3


def test_that_weights_beside_the_plan_are_found_from_anywhere(tmp_path):
    (tmp_path / "mine.pth").write_bytes(b"")
    text = "[[runs]]\nregime = 'frozen'\nweights = 'mine.pth'\n[[runs]]\nregime = 'frozen'\n"
    near, default = read_plan(write(tmp_path, text)).runs
    assert near.training.weights == str(tmp_path / "mine.pth")
    assert default.training.weights == ""


def test_that_the_same_run_has_the_same_key_and_another_one_another():
    base = RunSettings()
    key = run_key(base, "cohort")
    assert key == run_key(change(base, {"epochs": 30, "learning_rate": 1e-3}), "cohort")
    assert key == run_key(change(base, {"fold": 2, "cnn_width": 4}), "cohort")
    others = [{"seed": 1}, {"epochs": 31}, {"mode": "slice"}, {"network": "vgg19"}, {"count": 5}]
    keys = {run_key(change(base, values), "cohort") for values in others}
    assert len(keys | {key, run_key(base, "other")}) == len(others) + 2


def test_that_keys_stay_the_same_from_version_to_version():
    # Sweeps that were interrupted before an update must go on after it.
    values = {"network": "vgg19", "regime": "frozen", "mode": "kfold", "fold": 2, "seed": 4}
    assert run_key(change(RunSettings(), values), "0123456789abcdef") == "69547fc8548a1257"


def test_that_numbers_are_read_from_lists_and_ranges():
    assert parse_numbers("0-2, 7;9 9") == [0, 1, 2, 7, 9]
    assert parse_numbers("") == []
    assert parse_numbers("1..3", "fold") == [1, 2, 3]
    with pytest.raises(SettingsError, match="Test fold"):
        parse_numbers("0", "fold")
    with pytest.raises(SettingsError, match="Seed"):
        parse_numbers("one")


def test_that_a_grid_that_is_refused_altogether_says_why():
    with pytest.raises(SettingsError, match="no ImageNet weights"):
        expand({"network": ["cnn2d"], "regime": ["frozen"]}, RunSettings())
