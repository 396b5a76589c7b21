"""What the tabs Features and Collapse offer: clouds, projections, dispersion, neural collapse."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from core.analysis import (
    clouds,
    collapse,
    dispersion,
    dispersion_figure,
    dot_groups,
    features,
    projection,
)
from core.analysis.clouds import CloudStyle
from core.figure import Figure, Table
from core.progress import Operation
from core.run_folder import Run
from mrifcl_gui.view import BY, PAPER, PART, Choice, Options, Values, View


def _pairs(run: Run) -> Values:
    pairs = features.class_pairs(run, None)
    if len(pairs) < 2:
        return ()
    return tuple((pair, f"{pair[0]} and {pair[1]}") for pair in pairs)


def _colours(run: Run) -> Values:
    names = ["class", "correct", "subject", *_facts_known(run)]
    return tuple((name, dot_groups.COLOUR_WORDS[name]) for name in names)


def _others(run: Run) -> Values:
    found = clouds.runs_beside(run)
    if not found:
        return ()
    return ((None, "none"), *((other.path, _run_words(other)) for other in found))


def _run_words(run: Run) -> str:
    return f"{run.network_title}, {features.regime_text(run)} – {run.name}"


# Asked whenever options are shown; the tables are read once for each run that is opened. The
# runs are held weakly: with its features, one can fill 10 MB.
_FACTS: WeakKeyDictionary[Run, tuple[str, ...]] = WeakKeyDictionary()


def _facts_known(run: Run) -> tuple[str, ...]:
    if run not in _FACTS:
        _FACTS[run] = dot_groups.known_facts(run) if run.has_features else ()
    return _FACTS[run]


def _graph_methods(_run: Run) -> Values:
    names = ["tsne", *(["umap"] if projection.has_umap() else [])]
    return tuple((name, projection.METHOD_TITLES[name]) for name in names)


def _without_umap() -> str:
    return "" if projection.has_umap() else f" UMAP is not there. {projection.how_to_add_umap()}"


_COLOUR = Choice("colour_by", "Colour by", _colours)
_PAPER = Choice("paper_colours", "Colours of the paper")
_DENSITIES = Choice("densities", "Densities (50 and 90 %)")
_ELLIPSES = Choice("ellipses", "95 % ellipses")
_SPACE = Choice("space", "Of", (("logits", "FCL output"), ("penultimate", "penultimate features")))
_OTHERS = tuple(
    Choice(f"other_{place}", title, _others)
    for place, title in ((1, "Second run"), (2, "Third run"), (3, "Fourth run"))
)


def _style(options: Options) -> CloudStyle:
    return CloudStyle(
        colour_by=options.get("colour_by") or "class",
        densities=bool(options.get("densities")),
        ellipses=bool(options.get("ellipses")),
        paper_colours=bool(options.get("paper_colours")),
    )


def _runs(run: Run, options: Options) -> list[Run]:
    """Return the run in front and the others that are chosen, each once."""
    paths = [options.get(choice.name) for choice in _OTHERS]
    return [run, *(Run(path) for path in dict.fromkeys(paths) if path is not None)]


def _cloud(run: Run, options: Options) -> Figure:
    return clouds.logit_cloud(
        run,
        part=options["part"],
        by=options["by"],
        style=_style(options),
        epoch=options["epoch"],
    )


def _cloud_epochs(run: Run, options: Options) -> Sequence[int]:
    return run.epochs_of(options["part"])


def _centres(run: Run, options: Options) -> Table:
    return features.dispersion_table(run, part=options["part"])


def _clouds(run: Run, options: Options) -> Figure:
    return clouds.logit_clouds(
        _runs(run, options),
        part=options["part"],
        by=options["by"],
        pair=options["pair"],
        style=_style(options),
    )


def _planes(run: Run, options: Options) -> Operation[Figure]:
    return clouds.projected_cloud(
        run, options["method"], part=options["part"], by=options["by"], style=_style(options)
    )


def _neighbours(run: Run, options: Options) -> Operation[Figure]:
    return clouds.projected_cloud(
        run,
        options["method"] or "tsne",
        part=options["part"],
        by=options["by"],
        seed=options["seed"],
        neighbours=options["neighbours"],
        style=_style(options),
    )


def _spread(run: Run, options: Options) -> Operation[Figure]:
    return dispersion_figure.dispersion_figure(
        _runs(run, options), part=options["part"], by=options["by"], space=options["space"]
    )


def _spread_table(run: Run, options: Options) -> Operation[Table]:
    runs = _runs(run, options)
    if len(runs) > 1:
        return dispersion.difference_table(
            runs[0], runs[1], part=options["part"], by=options["by"], space=options["space"]
        )
    return dispersion.measures_table(
        run, part=options["part"], by=options["by"], space=options["space"]
    )


def _collapse(run: Run, _options: Options) -> Figure:
    return collapse.collapse_figure(run)


def _collapse_table(run: Run, _options: Options) -> Table:
    return collapse.collapse_table(run)


FEATURES: tuple[View, ...] = (
    View(
        "Feature cloud",
        _cloud,
        "What the final layer gives for each slice: its score for one class against the other. "
        "Dots on their side of the dashed line are classified right. Click a dot to see its slice, "
        "or draw around some with Shift held down. (Khagi & Kwon 2022, Fig. 2)",
        _centres,
        (PART, BY, _COLOUR, _DENSITIES, _ELLIPSES, _PAPER),
        has_epochs=True,
        epochs=_cloud_epochs,
        no_epochs=(
            "Over the epochs: choose the validation part, or train with 'Keep features every'."
        ),
        source=f"{PAPER}, Fig. 2",
        maths="Features",
    ),
    View(
        "Runs side by side",
        _clouds,
        "The clouds of up to four runs on the same axes, as Fig. 2 of Khagi & Kwon (2022). Choose "
        "further runs of the same folder. Longer training scales all scores up: a wider cloud is "
        "no surer one by itself; compare the numbers in Dispersion.",
        _centres,
        (
            *_OTHERS,
            Choice("pair", "Classes", _pairs),
            PART,
            BY,
            _COLOUR,
            _DENSITIES,
            _ELLIPSES,
            _PAPER,
        ),
        source=f"{PAPER}, Fig. 2",
        maths="Features",
    ),
    View(
        "Penultimate features",
        _planes,
        "What enters the final layer, flattened to a plane. PCA shows where the features vary "
        "most and does not see the classes. LDA shows the plane that parts the training "
        "slices' classes best: judge it by the test part.",
        None,
        (
            Choice("method", "Plane", (("pca", "PCA"), ("lda", "LDA"))),
            PART,
            BY,
            _COLOUR,
            _DENSITIES,
            _ELLIPSES,
            _PAPER,
        ),
        source="Fisher (1936), Annals of Eugenics 7, 179, for LDA; PCA as usual",
        maths="Features",
    ),
    View(
        "Neighbours",
        _neighbours,
        "Who is near whom among the features that enter the final layer. Only small groups mean "
        "something: their sizes and the distances between them do not, and another seed gives "
        "another picture. Slices of one subject always lie together. Computed once for each "
        f"choice and kept with the run.{_without_umap()}",
        None,
        (
            Choice("method", "Method", _graph_methods),
            PART,
            BY,
            _COLOUR,
            Choice(
                "neighbours",
                "Look at",
                (("usual", "30 / 15 neighbours"), ("few", "10 / 5"), ("many", "50 / 50")),
            ),
            Choice("seed", "Seed", ((0, "0"), (1, "1"), (2, "2"))),
            _PAPER,
        ),
        is_long=True,
        source="van der Maaten & Hinton (2008), JMLR 9, 2579; McInnes and others (2018), UMAP",
        maths="Features",
    ),
    View(
        "Dispersion",
        _spread,
        "How far the dots of each class are spread, with 95 % intervals over subjects. Numbers "
        "drawn are in units of the distance of the centres, so that runs can be compared; the "
        "table has the others too. With a second run the table tests the difference on the "
        "subjects that both have in this part.",
        _spread_table,
        (_SPACE, PART, BY, *_OTHERS),
        is_long=True,
        source=f"Puts numbers to Fig. 2 of {PAPER}; intervals by Efron & Tibshirani (1993)",
        maths="Features",
    ),
)

COLLAPSE: tuple[View, ...] = (
    View(
        "Neural collapse",
        _collapse,
        "As training goes on, the features of each class draw together (NC1), the class means "
        "take equal distances and angles (NC2), the final layer's rows turn towards them (NC3), "
        "and the network names the class whose mean is nearest (NC4). Train with 'Keep features "
        "every' to see it over the epochs. With two classes NC2 is 0 whatever the network.",
        _collapse_table,
        source="Papyan, Han & Donoho (2020), PNAS 117(40), 24652; Zhu and others (2021), NeurIPS",
        maths="Collapse",
    ),
)
