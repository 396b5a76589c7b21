"""What the tab Maps offers: where a network looks, and what a feature looks for."""

from __future__ import annotations

from core import map_tasks
from core.analysis import activation_map
from core.errors import AnalysisError
from core.figure import Figure, Table
from core.progress import Operation
from core.run_folder import Run
from mrifcl_gui.analysis_views import Choice, Options, Tab, Values, View

FEATURE_VIEW = "Slices of a feature"


def _classes(run: Run) -> Values:
    return (
        ("predicted", "predicted class"),
        ("true", "true class"),
        *((name, name) for name in run.classes),
    )


_PART = Choice(
    "part",
    "Part",
    (("test", "Test"), ("validation", "Validation"), ("train", "Training"), ("all", "All parts")),
)
_WHICH = Choice("which", "Slices", map_tasks.WHICH)
_SHOWN = Choice("shown", "Map of", _classes)
_COUNT = Choice("count", "How many", tuple((n, str(n)) for n in (12, 4, 8, 16, 24)))
_OPACITY = Choice("opacity", "Opacity", ((0.6, "60 %"), (0.3, "30 %"), (0.9, "90 %"), (0.0, "0")))


def _grid(run: Run, options: Options) -> Operation[Figure]:
    return map_tasks.maps_grid(
        run,
        options["which"],
        part=options["part"],
        shown=options["shown"],
        count=options["count"],
        opacity=options["opacity"],
    )


def _grid_table(run: Run, options: Options) -> Table:
    rows = activation_map.choose_rows(
        run, options["which"], part=options["part"], count=options["count"]
    )
    return activation_map.facts_table(run, rows)


def _chosen(run: Run, options: Options) -> Operation[Figure]:
    rows = options["rows"][: options["count"]]
    return map_tasks.maps_of_rows(run, rows, shown=options["shown"], opacity=options["opacity"])


def _chosen_table(run: Run, options: Options) -> Table:
    return activation_map.facts_table(run, options["rows"][: options["count"]])


def _feature(run: Run, options: Options) -> Operation[Figure]:
    return map_tasks.feature_grid(
        run, _channel(options), part=options["part"], opacity=options["opacity"]
    )


def _feature_table(run: Run, options: Options) -> Table:
    channel = _channel(options)
    rows = activation_map.top_rows(run, channel, part=options["part"], count=9)
    return activation_map.channel_table(run, rows, channel)


def _channel(options: Options) -> int:
    channel = options["channel"]
    if channel is None:
        raise AnalysisError("No feature is chosen. Click a dot of the weights in 'FCL weights'.")
    return int(channel)


_SOURCE = "Zhou and others (2016), CVPR, eq. 2; Selvaraju and others (2017), Grad-CAM, ICCV"

MAPS = Tab(
    "Maps",
    (
        View(
            "Telling slices",
            _grid,
            "Where in a slice the network sees a class: red speaks for it, blue against it. "
            "Slices that it is most certain of, right or wrong, are the most telling. For "
            "ResNet-101 and GoogLeNet the maps are exact; for VGG-19 and the custom CNNs they are "
            "Grad-CAM, an approximation. The 3-D CNN sees volumes: three planes of each, through "
            "the strongest place.",
            _grid_table,
            (_WHICH, _PART, _SHOWN, _COUNT, _OPACITY),
            is_long=True,
            source=_SOURCE,
            maths="Maps",
        ),
        View(
            "Chosen slices",
            _chosen,
            "The same for slices that you chose: click a dot of a feature cloud, or hold Shift "
            "and draw around some. The cloud shows where they are, these maps why.",
            _chosen_table,
            (_SHOWN, _COUNT, _OPACITY),
            follows_selection=True,
            is_long=True,
            source=_SOURCE,
            maths="Maps",
            next_tab="Features",
        ),
        View(
            FEATURE_VIEW,
            _feature,
            "The nine slices in which one input of the final layer is largest, and where in them "
            "it is active. Choose it by a click on a dot of the weights. Its weight times its "
            "value is what it adds to each class's logit.",
            _feature_table,
            (Choice("part", "Part", tuple(reversed(_PART.values))), _OPACITY),
            follows_selection=True,
            is_long=True,
            source="Zhou and others (2016), CVPR, eq. 2: the share of a feature in a logit",
            maths="Maps",
            next_tab="FCL weights",
        ),
    ),
)
