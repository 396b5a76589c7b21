from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics

from core.analysis import dispersion
from core.analysis.cloud_ruler import Cloud, Ruler
from core.analysis.dispersion import cloud_of, measure
from core.analysis.dispersion_figure import dispersion_figure
from core.analysis.resampling import counts_of_rows, draw_subjects, interval, p_value
from core.errors import AnalysisError
from core.figure import Scatter
from core.progress import run_to_end


def make_cloud(points, label, subject=None):
    subject = np.arange(len(points)) if subject is None else np.asarray(subject)
    classes = ("AD", "NC", "MCI")[: int(np.max(label)) + 1]
    return Cloud(np.asarray(points, float), np.asarray(label), subject.astype(str), classes)


def measured(cloud, **options):
    options = {"draws": 50, **options}
    return {(m.measure, m.of): m for m in run_to_end(measure(cloud, **options))}


def normal_cloud(n=400, d=2, shift=3.0, seed=0, k=2):
    random = np.random.default_rng(seed)
    points = random.normal(size=(k * n, d)) * np.linspace(1, 2, d)
    label = np.repeat(np.arange(k), n)
    points[:, 0] += shift * label
    return make_cloud(points, label, np.arange(k * n) // 5)


@pytest.fixture
def square():
    """Two unit squares of four subjects each, 10 apart."""
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return make_cloud(np.vstack([corners, corners + np.array([10, 0])]), [0] * 4 + [1] * 4)


def test_that_a_square_has_the_values_of_a_hand_calculation(square):
    found = measured(square)
    # Each coordinate has the variance 4 (1/2)² / 3 = 1/3 and there is no covariance.
    assert found["trace", "AD"].value == pytest.approx(2 / 3)
    assert found["log_determinant", "AD"].value == pytest.approx(np.log(1 / 9))
    assert found["ellipse_area_95", "NC"].value == pytest.approx(np.pi * 5.991465 / 3)
    assert found["mean_distance", "NC"].value == pytest.approx((4 + 2 * 2**0.5) / 6)
    assert found["neighbour_density", "AD"].value == pytest.approx(1)
    assert found["participation_ratio", "AD"].value == pytest.approx(2)
    assert found["centre_distance", "AD and NC"].value == pytest.approx(10)
    assert found["fisher_ratio", "AD and NC"].value == pytest.approx(100 / (4 / 3))
    assert found["overlap", "AD and NC"].value == pytest.approx(0, abs=1e-6)


def test_that_relative_values_are_in_units_of_the_distance_of_centres(square):
    found = measured(square)
    assert found["trace", "AD"].relative == pytest.approx(2 / 300)
    assert found["ellipse_area_95", "AD"].relative == pytest.approx(np.pi * 5.991465 / 300)
    assert found["log_determinant", "AD"].relative == pytest.approx(np.log(1 / 9) - 4 * np.log(10))
    assert found["mean_distance", "AD"].relative == pytest.approx((4 + 2 * 2**0.5) / 60)
    assert found["neighbour_density", "AD"].relative == pytest.approx(10)


def test_that_scaling_and_moving_a_cloud_changes_no_relative_value():
    cloud = normal_cloud(60)
    bigger = make_cloud(1000 + 7 * cloud.points, cloud.label, cloud.subject)
    small, large = measured(cloud), measured(bigger)
    for key, value in small.items():
        if key[0] != "centre_distance":
            assert large[key].relative == pytest.approx(value.relative, rel=1e-6), key
            assert large[key].relative_low == pytest.approx(value.relative_low, rel=1e-6), key
    assert large["trace", "AD"].value == pytest.approx(49 * small["trace", "AD"].value)


@pytest.mark.parametrize("k", [2, 3])
def test_that_values_equal_those_of_numpy_scipy_and_scikit_learn(k):
    cloud = normal_cloud(50, d=4, k=k, shift=1.0)
    found = measured(cloud)
    silhouettes = metrics.silhouette_samples(cloud.points, cloud.label)
    for label, name in enumerate(cloud.classes):
        own = cloud.points[cloud.label == label]
        covariance = np.cov(own.T)
        values = np.linalg.eigvalsh(covariance)
        assert found["trace", name].value == pytest.approx(np.trace(covariance))
        assert found["log_determinant", name].value == pytest.approx(
            np.linalg.slogdet(covariance)[1]
        )
        assert found["ellipse_area_95", name].value == pytest.approx(
            np.pi * stats.chi2.ppf(0.95, 2) * np.sqrt(values[-1] * values[-2])
        )
        assert found["mean_distance", name].value == pytest.approx(distance.pdist(own).mean())
        assert found["participation_ratio", name].value == pytest.approx(
            values.sum() ** 2 / (values**2).sum()
        )
        assert found["silhouette", name].value == pytest.approx(
            silhouettes[cloud.label == label].mean()
        )


def test_that_draws_equal_measuring_the_drawn_rows_one_by_one():
    cloud = normal_cloud(30, shift=1.0)
    ruler = Ruler(cloud)
    drawn = draw_subjects(cloud.subject, cloud.label, 3, np.random.default_rng(0))
    counts = counts_of_rows(cloud.subject, drawn)
    values = ruler.values(counts)
    for number, row in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(len(row)), row)
        again = cloud.points[rows], cloud.label[rows]
        assert values["silhouette", "NC"][number] == pytest.approx(
            metrics.silhouette_samples(*again)[again[1] == 1].mean()
        )
        own = again[0][again[1] == 0]
        assert values["trace", "AD"][number] == pytest.approx(np.trace(np.cov(own.T)))
        assert values["mean_distance", "AD"][number] == pytest.approx(distance.pdist(own).mean())
        eigen = np.linalg.eigvalsh(np.cov(own.T))
        assert values["participation_ratio", "AD"][number] == pytest.approx(
            eigen.sum() ** 2 / (eigen**2).sum()
        )


def test_that_the_overlap_of_normals_is_that_of_their_formula():
    for shift in (0.0, 1.0, 3.0):
        random = np.random.default_rng(1)
        points = np.concatenate([random.normal(size=1500), random.normal(shift, 1, 1500)])
        cloud = make_cloud(
            points[:, None] * [1.0, 0.0], [0] * 1500 + [1] * 1500, np.arange(3000) // 300
        )
        value = measured(cloud, draws=1)["overlap", "AD and NC"].value
        assert value == pytest.approx(2 * stats.norm.cdf(-shift / 2), abs=0.04)


def test_that_a_neighbour_is_one_of_another_subject():
    points = [[0, 0], [0.001, 0], [5, 0], [5.001, 0], [100, 0], [101, 0]]
    cloud = make_cloud(points, [0, 0, 0, 0, 1, 1], ["a", "a", "b", "b", "c", "d"])
    assert measured(cloud)["neighbour_density", "AD"].value == pytest.approx(1 / 4.9995, rel=1e-3)


def test_that_more_dimensions_than_dots_have_no_determinant_but_the_rest():
    cloud = normal_cloud(10, d=50, shift=50.0)
    found = measured(cloud)
    assert np.isnan(found["log_determinant", "AD"].value)
    values = np.linalg.eigvalsh(np.cov(cloud.points[:10].T))
    assert found["participation_ratio", "AD"].value == pytest.approx(
        values.sum() ** 2 / (values**2).sum()
    )


def test_that_one_subject_or_one_class_has_values_without_intervals():
    cloud = make_cloud([[0, 0], [1, 0], [0, 1]], [0, 0, 0], ["a", "a", "a"])
    found = measured(cloud)
    assert found["trace", "AD"].value == pytest.approx(2 / 3)
    assert np.isnan(found["neighbour_density", "AD"].value)
    assert np.isnan(found["trace", "AD"].relative)
    assert np.isnan(found["silhouette", "AD"].low)


def test_that_equal_dots_give_no_number_and_no_fault():
    found = measured(make_cloud(np.zeros((8, 2)), [0] * 4 + [1] * 4))
    assert found["trace", "AD"].value == 0
    assert np.isnan(found["log_determinant", "AD"].value)
    assert found["overlap", "AD and NC"].value == pytest.approx(1)


def test_that_intervals_hold_the_true_trace_in_about_95_of_100_cohorts():
    hits = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        centres = np.repeat(random.normal(size=(10, 2)), 3, axis=0)
        points = centres + 0.3 * random.normal(size=(30, 2))
        cloud = make_cloud(points, [0] * 30, np.arange(30) // 3)
        low, high = (getattr(measured(cloud, draws=200)["trace", "AD"], n) for n in ("low", "high"))
        hits += low < 2 * 1.09 < high
    assert 87 <= hits <= 100


def test_that_interval_and_p_agree_on_zero_and_with_students_t():
    random = np.random.default_rng(0)
    for shift in np.linspace(-3, 3, 25):
        drawn = random.normal(shift, np.sqrt(9 / 10), 20_000)
        low, high = interval(shift, drawn, 10)
        assert (p_value(shift, drawn, 10) < 0.05) == (low > 0 or high < 0)
        assert p_value(shift, drawn, 10) == pytest.approx(2 * stats.t.sf(abs(shift), 9), abs=0.01)


def test_that_no_draw_or_equal_draws_are_told():
    assert np.isnan(interval(1.0, np.full(10, np.nan), 5)).all()
    assert np.isnan(p_value(1.0, np.full(10, np.nan), 5))
    assert np.isnan(p_value(1.0, np.ones(10), 1))
    assert p_value(0.0, np.zeros(10), 5) == 1.0


def rows_of(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("space", ["logits", "penultimate"])
@pytest.mark.parametrize("by", ["slice", "subject"])
def test_that_a_run_has_a_table_for_each_class_and_pair(three_class_run, by, space):
    table = run_to_end(
        dispersion.measures_table(three_class_run, by=by, space=space, draws=20, part="all")
    )
    rows = rows_of(table)
    assert len(rows) == 7 * 3 + 3 * 3
    cloud = cloud_of(three_class_run, by=by, space=space, part="all")
    trace = next(row for row in rows if (row["measure"], row["of"]) == ("trace", "MCI"))
    assert trace["value"] == pytest.approx(np.trace(np.cov(cloud.points[cloud.label == 1].T)))
    assert trace["low"] < trace["value"] < trace["high"]


def test_that_few_subjects_are_told(two_class_run):
    assert "rough guide" in run_to_end(dispersion.measures_table(two_class_run, draws=5)).caption
    table = run_to_end(dispersion.measures_table(two_class_run, draws=5, part="all"))
    assert "rough guide" not in table.caption
    assert "AD 8, NC 8" in table.caption


def test_that_the_same_run_twice_differs_in_nothing(two_class_run):
    table = run_to_end(dispersion.difference_table(two_class_run, two_class_run, draws=40))
    for row in rows_of(table):
        assert row["difference"] == 0 or np.isnan(row["difference"])
        assert row["p"] == 1.0 or np.isnan(row["p"])


def test_that_a_run_with_tighter_clouds_is_told_from_one_with_wider(build_run):
    wide, tight = build_run(), build_run()
    features = tight.features
    random = np.random.default_rng(0)
    for run, width in ((wide, 2.0), (tight, 0.1)):
        features = run.features
        person = {name: random.normal(size=2) for name in np.unique(features.subject)}
        noise = np.array([person[name] for name in features.subject])
        features.logits[:] = 4 * np.eye(2)[features.label] + width * noise
    table = run_to_end(dispersion.difference_table(wide, tight, part="all", draws=300))
    row = next(r for r in rows_of(table) if (r["measure"], r["of"]) == ("mean_distance", "AD"))
    assert row["first"] > row["second"]
    assert row["low"] > 0
    assert row["p"] < 0.05
    fisher = next(r for r in rows_of(table) if r["measure"] == "fisher_ratio")
    assert fisher["high"] < 0


def test_that_runs_without_common_subjects_or_classes_are_refused(build_run, three_class_run):
    first, second = build_run(), build_run()
    with pytest.raises(AnalysisError, match="different classes"):
        run_to_end(dispersion.difference_table(first, three_class_run))
    second.features.subject[:] = [f"T{name}" for name in second.features.subject]
    with pytest.raises(AnalysisError, match="fewer than two common subjects of AD and NC"):
        run_to_end(dispersion.difference_table(first, second))


def test_that_runs_stand_side_by_side_in_the_figure(build_run):
    runs = [build_run(), build_run(regime="fine-tuned", record={"shared_subjects": 1})]
    figure = run_to_end(dispersion_figure(runs, draws=20))
    assert len(figure.panels) == 6
    assert figure.panels[0].x.categories == ("(a)", "(b)")
    assert runs[1].name in figure.warning
    assert f"(b): fine-tuned, 3 epochs, {runs[1].name}" in figure.caption
    for panel in figure.panels:
        for dots in (item for item in panel.layers if isinstance(item, Scatter)):
            assert len(dots.x) == 2
    one = run_to_end(dispersion_figure(runs[:1], draws=20))
    assert len(one.panels[0].layers[0].x) == 1


def test_that_features_that_are_not_finite_or_too_many_are_refused(two_class_run, monkeypatch):
    two_class_run.features.penultimate[:] = np.inf
    with pytest.raises(AnalysisError, match="diverged"):
        cloud_of(two_class_run, space="penultimate")
    monkeypatch.setattr(dispersion, "MOST_ROWS", 10)
    with pytest.raises(AnalysisError, match="too many"):
        cloud_of(two_class_run)
