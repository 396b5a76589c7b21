from __future__ import annotations

import shutil

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

from core.analysis import projection
from core.analysis.clouds import CloudStyle, logit_cloud, logit_clouds, projected_cloud, runs_beside
from core.analysis.dot_groups import dot_names, group_dots, known_facts
from core.analysis.projection import METHOD_TITLES, project
from core.child_process import ChildCall
from core.data.subject_facts import SubjectFacts, facts_of, read_facts
from core.errors import AnalysisError
from core.figure import Curve, Scatter
from core.progress import run_to_end
from core.run_folder import Run
from tests.tiny_cohort import make_cohort, train_run


def dots(panel):
    return [layer for layer in panel.layers if isinstance(layer, Scatter)]


def test_that_pca_equals_that_of_scikit_learn(two_class_run):
    plane = run_to_end(project(two_class_run, "pca"))
    model = PCA(2)
    expected = model.fit_transform(two_class_run.features.penultimate.astype(np.float64))
    assert np.abs(plane.points) == pytest.approx(np.abs(expected), abs=1e-5)
    share = round(100 * model.explained_variance_ratio_[0])
    assert plane.axes[0] == f"PC 1, {share} % of the variance"


def test_that_an_axis_of_pca_does_not_turn_round_with_the_order_of_the_rows(two_class_run):
    first = run_to_end(project(two_class_run, "pca")).points
    features = two_class_run.features
    for name, values in vars(features).items():
        object.__setattr__(features, name, values[::-1])
    assert run_to_end(project(two_class_run, "pca")).points[::-1] == pytest.approx(first, abs=1e-6)


def test_that_lda_parts_the_classes_it_was_shown(build_run):
    run = build_run(separation=2.0)
    plane = run_to_end(project(run, "lda"))
    train, label = run.features.part == "train", run.features.label
    along = plane.points[:, 0]
    assert along[train & (label == 0)].max() < along[train & (label == 1)].min() or (
        along[train & (label == 1)].max() < along[train & (label == 0)].min()
    )
    assert plane.axes == ("Discriminant", "Most variance across it")
    assert "judge by the test part" in plane.words


def test_that_lda_of_three_classes_has_two_discriminants(three_class_run):
    plane = run_to_end(project(three_class_run, "lda", by="subject"))
    assert plane.axes == ("Discriminant 1", "Discriminant 2")
    assert len(plane.points) == 24


def test_that_lda_does_not_see_the_classes_of_the_test_part(build_run):
    run = build_run()
    first = run_to_end(project(run, "lda")).points
    is_test = run.features.part == "test"
    run.features.label[is_test] = 1 - run.features.label[is_test]
    assert np.array_equal(run_to_end(project(run, "lda")).points, first)


def test_that_tsne_keeps_neighbours_together_is_seeded_and_kept_with_the_run(
    two_class_run, monkeypatch
):
    plane = run_to_end(project(two_class_run, "tsne", neighbours="few"))
    points = two_class_run.features.penultimate
    assert trustworthiness(points, plane.points, n_neighbors=5) > 0.9
    kept = list((two_class_run.path / projection.CACHE_FOLDER).iterdir())
    assert [path.name[:5] for path in kept] == ["tsne_"]
    again = run_to_end(projection._in_child("tsne", payload_of(two_class_run)))
    assert np.array_equal(again, plane.points)
    monkeypatch.setattr(projection, "_in_child", None)
    assert np.array_equal(
        run_to_end(project(two_class_run, "tsne", neighbours="few")).points, plane.points
    )


def payload_of(run):
    points, _ = projection._components(run.features.penultimate.astype(np.float64), 50)
    return {"method": "tsne", "seed": 0, "neighbours": 10, "points": points.tolist()}


@pytest.mark.slow
def test_that_umap_gives_a_plane_in_which_neighbours_stay_together(two_class_run):
    pytest.importorskip("umap")
    plane = run_to_end(project(two_class_run, "umap"))
    assert trustworthiness(two_class_run.features.penultimate, plane.points, n_neighbors=5) > 0.8


def test_that_a_missing_umap_is_told_with_what_to_install(two_class_run, monkeypatch):
    monkeypatch.setattr(projection.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(AnalysisError, match=r'pip install "mri-fcl\[umap\]"'):
        run_to_end(project(two_class_run, "umap"))


def quick(_method, payload):
    yield projection.Progress("Computing")
    quick.calls += 1
    return np.asarray(payload["points"])[:, :2] + payload["seed"]


@pytest.fixture
def quick_child(monkeypatch):
    quick.calls = 0
    monkeypatch.setattr(projection, "_in_child", quick)
    return quick


def test_that_another_seed_row_or_feature_is_computed_anew(two_class_run, quick_child):
    for options in ({}, {}, {"seed": 1}, {"by": "subject"}, {"neighbours": "many"}, {"seed": 1}):
        run_to_end(project(two_class_run, "tsne", **options))
    assert quick_child.calls == 4
    two_class_run.features.penultimate[0, 0] += 1
    run_to_end(project(two_class_run, "tsne"))
    assert quick_child.calls == 5


def test_that_a_damaged_or_forbidden_cache_is_computed_again(
    two_class_run, quick_child, monkeypatch
):
    folder = two_class_run.path / projection.CACHE_FOLDER
    run_to_end(project(two_class_run, "tsne"))
    next(folder.iterdir()).write_bytes(b"PK damaged")
    run_to_end(project(two_class_run, "tsne"))
    assert quick_child.calls == 2

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(projection.atomic_file, "write_bytes", refuse)
    run_to_end(project(two_class_run, "tsne", seed=2))
    assert quick_child.calls == 3


def test_that_leaving_a_computation_ends_its_child(two_class_run, monkeypatch):
    children = []
    start = ChildCall._on_start

    def remember(self, child):
        children.append(child)
        start(self, child)

    monkeypatch.setattr(ChildCall, "_on_start", remember)
    operation = project(two_class_run, "tsne")
    while not children:
        next(operation)
    operation.close()
    assert children[0].poll() is not None
    assert not (two_class_run.path / projection.CACHE_FOLDER).exists()


def test_that_a_child_that_fails_is_told_in_words(two_class_run, monkeypatch):
    monkeypatch.setattr(projection, "_SECONDS", 0.01)
    with pytest.raises(AnalysisError, match="t-SNE could not be computed: It took too long"):
        run_to_end(project(two_class_run, "tsne"))


def test_that_too_few_too_many_or_infinite_rows_are_refused(two_class_run, monkeypatch):
    monkeypatch.setattr(projection, "MOST_ROWS", 10)
    with pytest.raises(AnalysisError, match="too many for t-SNE"):
        run_to_end(project(two_class_run, "tsne"))
    two_class_run.features.penultimate[0] = np.nan
    with pytest.raises(AnalysisError, match="diverged"):
        run_to_end(project(two_class_run, "pca"))
    for name, values in vars(two_class_run.features).items():
        object.__setattr__(two_class_run.features, name, values[:3])
    with pytest.raises(AnalysisError, match="has 3 slices"):
        run_to_end(project(two_class_run, "pca"))


def test_that_equal_features_have_a_plane_of_pca_and_none_of_lda(two_class_run):
    two_class_run.features.penultimate[:] = 1
    assert not run_to_end(project(two_class_run, "pca")).points.any()
    with pytest.raises(AnalysisError, match="All penultimate features are equal"):
        run_to_end(project(two_class_run, "lda"))


def test_that_a_part_of_the_plane_is_shown_on_axes_of_all_parts(two_class_run):
    whole = run_to_end(projected_cloud(two_class_run, "pca", part="all"))
    test = run_to_end(projected_cloud(two_class_run, "pca", part="test"))
    assert whole.panels[0].x == test.panels[0].x
    assert sum(len(layer.x) for layer in dots(whole.panels[0])) == 64
    features = two_class_run.features
    assert (
        len(dots(test.panels[0])[0].x) == ((features.part == "test") & (features.label == 0)).sum()
    )
    assert dots(test.panels[0])[0].ids[0] == "S004 40"
    assert METHOD_TITLES["pca"] in test.title


# Groups


def test_that_every_grouping_has_every_dot_once(three_class_run, tmp_path):
    features = three_class_run.features
    for name in ("class", "correct", "subject"):
        groups = group_dots(three_class_run, features, name)
        assert (sum(group.rows.astype(int) for group in groups) == 1).all()


def test_that_wrong_dots_are_crosses(build_run):
    run = build_run(right=0.5)
    figure = logit_cloud(run, style=CloudStyle(colour_by="correct"))
    layers = {layer.name: layer for layer in dots(figure.panels[0])}
    assert layers["AD, wrong"].symbol == "cross"
    assert len(layers["AD, wrong"].x) == len(layers["AD, right"].x) == 8
    assert (layers["AD, wrong"].x < layers["AD, wrong"].y).all()


def test_that_few_subjects_are_named_and_many_are_not(two_class_run):
    few = group_dots(two_class_run, two_class_run.features.of_part("test"), "subject")
    assert few[0].name == "S004, AD"
    assert len({group.colour for group in few}) == 8
    many = group_dots(two_class_run, two_class_run.features, "subject")
    assert {group.name for group in many} == {""}


@pytest.fixture
def with_table(build_run, tmp_path):
    """A run whose cohort's folder has a table like that of OASIS."""
    from core.data.cohort import Cohort, save_cohort

    scans = tmp_path / "scans"
    scans.mkdir()
    rows = [
        f"S{k}{n:02d}_MR1,{'FM'[n % 2]},{55 + 6 * n},{30 - 2 * n},{n % 3 / 2}"
        for k in (0, 1)
        for n in range(8)
    ]
    table = scans / "oasis_cross-sectional.csv"
    table.write_text("ID,M/F,Age,MMSE,CDR\n" + "\n".join(rows) + "\n", encoding="utf-8")
    folder = tmp_path / "cohort.mrifcl"
    save_cohort(Cohort(scans, ("AD", "NC"), ()), folder)
    run = build_run(record={"cohort": {"folder": "../../cohort.mrifcl", "name": "cohort"}})
    return run, table


def test_that_dots_are_coloured_by_what_the_table_tells(with_table):
    run, _ = with_table
    assert known_facts(run) == ("age", "sex", "mmse", "cdr")
    features = run.features
    by_age = {group.name: group for group in group_dots(run, features, "age") if group.rows.any()}
    assert set(by_age) == {
        f"age {band}, {label}"
        for band in ("under 60", "60–69", "70–79", "80–89", "90+")
        for label in ("AD", "NC")
    }
    assert set(features.subject[by_age["age 90+, AD"].rows]) == {"S006", "S007"}
    sexes = {group.name for group in group_dots(run, features, "sex") if group.rows.any()}
    assert sexes == {"female, AD", "male, AD", "female, NC", "male, NC"}
    figure = logit_cloud(run, style=CloudStyle(colour_by="cdr"))
    assert {layer.name for layer in dots(figure.panels[0])} >= {"CDR 0, AD", "CDR 0.5, NC"}
    assert "Coloured by CDR" in figure.caption


def test_that_an_age_above_89_is_never_told(with_table):
    run, table = with_table
    ages = {facts.age for facts in read_facts(table.parent).values()}
    assert max(ages) == 90
    figure = logit_cloud(run, part="all", style=CloudStyle(colour_by="age"))
    text = str([(layer.name, layer.ids) for layer in dots(figure.panels[0])]) + figure.caption
    assert "97" not in text
    assert "90+" in text


def test_that_a_trained_run_keeps_what_is_known_of_its_subjects(tmp_path):
    scanned = make_cohort(tmp_path)
    people = sorted({scan.subject for scan in scanned.cohort.scans})
    rows = [f"{name},{85 + 2 * place},F" for place, name in enumerate(people)]
    table = scanned.cohort.root / "participants.csv"
    table.write_text("subject,age,sex\n" + "\n".join(rows) + "\n", encoding="utf-8")
    run = Run(train_run(scanned, tmp_path / "runs", epochs=1))
    table.unlink()
    shutil.rmtree(scanned.folder)
    assert known_facts(run) == ("age", "sex")
    groups = {group.name: group for group in group_dots(run, run.features, "age")}
    assert groups["age 80–89, AD"].rows.sum() == 3 * 4
    assert groups["age 90+, AD"].rows.sum() == 3 * 4
    kept = (run.path / "subjects.csv").read_text(encoding="utf-8-sig")
    assert "90+" in kept
    assert "95" not in kept.replace("OAS1_", "")


def test_that_subjects_without_a_row_are_grey_and_named_so(with_table):
    run, table = with_table
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text("\n".join(lines[:5]) + "\n", encoding="utf-8")
    groups = {group.name: group for group in group_dots(run, run.features, "sex")}
    assert groups["not known, NC"].rows.sum() == 32
    assert groups["not known, NC"].colour == "#777777"


def test_that_a_run_without_a_table_says_where_to_put_one(two_class_run, with_table):
    assert known_facts(two_class_run) == ()
    with pytest.raises(AnalysisError, match="no table with the MMSE"):
        group_dots(two_class_run, two_class_run.features, "mmse")


def test_that_tables_of_any_kind_are_read_and_odd_ones_passed_over(tmp_path):
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tsex\nsub-01\t71,5\tF\nsub-02\t90+\tx\n", encoding="utf-8"
    )
    (tmp_path / "odd.csv").write_bytes(b"\0\0\0")
    (tmp_path / "other.csv").write_text("colour,size\nred,3\n", encoding="utf-8")
    known = read_facts(tmp_path)
    assert facts_of(known, "01") == SubjectFacts(71.5, "female", None, None)
    assert facts_of(known, "sub-02", "MR1") == SubjectFacts(90.0, None, None, None)
    assert facts_of(known, "sub-03") is None


# Outlines


def test_that_density_lines_hold_their_share_of_the_dots(build_run):
    run = build_run()
    features = run.features
    random = np.random.default_rng(0)
    features.logits[:] = random.normal(size=(64, 2)) + 8 * np.eye(2)[features.label]
    figure = logit_cloud(run, part="all", style=CloudStyle(densities=True, ellipses=True))
    curves = {layer.name: layer for layer in figure.panels[0].layers if isinstance(layer, Curve)}
    assert set(curves) == {
        *(f"{c}, {share} % inside" for c in ("AD", "NC") for share in (50, 90)),
        "AD, 95 % ellipse",
        "NC, 95 % ellipse",
        "Decision line y = x",
    }
    from matplotlib.path import Path as Outline

    own = features.logits[features.label == 0]
    for share in (50, 90):
        line = curves[f"AD, {share} % inside"]
        pieces = np.split(np.column_stack([line.x, line.y]), np.flatnonzero(np.isnan(line.x)))
        inside = sum(
            Outline(piece[~np.isnan(piece[:, 0])]).contains_points(own).astype(int)
            for piece in pieces
        )
        assert inside.mean() == pytest.approx(share / 100, abs=0.06)
    ellipse = curves["AD, 95 % ellipse"]
    offsets = np.column_stack([ellipse.x, ellipse.y]) - own.mean(axis=0)
    distances = np.einsum("ij,jk,ik->i", offsets, np.linalg.inv(np.cov(own.T)), offsets)
    assert distances == pytest.approx(5.991, rel=1e-3)


def test_that_dots_on_a_line_have_no_outline_and_no_fault(two_class_run):
    logits = two_class_run.features.logits
    logits[:, 1] = -logits[:, 0]
    figure = logit_cloud(two_class_run, style=CloudStyle(densities=True, ellipses=True))
    lines = [layer for layer in figure.panels[0].layers if isinstance(layer, Curve)]
    assert lines[-1].name == "Decision line y = x"


def test_that_runs_beside_are_those_of_the_same_classes_with_features(build_run):
    run, other = build_run(), build_run(regime="fine-tuned")
    build_run(("AD", "MCI", "NC"))
    build_run(with_features=False)
    assert [found.name for found in runs_beside(run)] == [other.name]
    figure = logit_clouds([run, other], style=CloudStyle(densities=True))
    assert [panel.title[:3] for panel in figure.panels] == ["(a)", "(b)"]
    assert figure.panels[0].x.low == figure.panels[1].x.low


def test_that_a_dot_has_the_name_it_has_in_the_plain_cloud(two_class_run):
    features = two_class_run.features
    assert dot_names(features)[0] == "S000 40"
