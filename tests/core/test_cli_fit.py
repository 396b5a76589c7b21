from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

import main


@pytest.fixture
def table(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    y = x + 0.3 * x**2 + random.normal(size=200)
    path = tmp_path / "two.csv"
    path.write_text("a,b\n" + "\n".join(f"{p},{q}" for p, q in zip(x, y, strict=True)))
    return path, x, y


def printed(capsys, *arguments):
    assert main.main(["fit", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_that_fit_prints_every_statistic_and_the_choice(table, capsys):
    path, x, y = table
    assert main.main(["fit", str(path)]) == 0
    said = capsys.readouterr().out
    for word in ("Quadratic: y = ", "where z = (x ", "leave_one_out_rmse", "step_p_holm", "bic"):
        assert word in said
    assert "Degree 2 is supported by" in said
    assert f"r = {np.corrcoef(x, y)[0, 1]:.4f}" in said


def test_that_the_record_holds_what_scipy_finds(table, capsys):
    path, x, y = table
    record = printed(capsys, path)
    assert record["degree"] == 2
    assert record["fits"][0]["r_squared"] == pytest.approx(stats.linregress(x, y).rvalue ** 2)
    assert record["fits"][0]["step_p"] == pytest.approx(stats.linregress(x, y).pvalue)
    assert "permutation_p" not in record["fits"][0]


def test_that_permutations_are_seeded(table, capsys):
    path, *_ = table
    first, again, other = (
        printed(capsys, path, "--permutations", 199, "--seed", seed)["fits"] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert first[1]["step_permutation_p"] == 1 / 200


def test_that_few_points_give_the_fits_they_allow(tmp_path, capsys):
    path = tmp_path / "few.csv"
    path.write_text("a,b\n0,1\n1,0\n2,5\n")
    record = printed(capsys, path)
    assert [item["degree"] for item in record["fits"]] == [1, 2]
    assert main.main(["fit", str(path)]) == 0
    assert "needs at least 4 distinct x values; there are 3" in capsys.readouterr().out
