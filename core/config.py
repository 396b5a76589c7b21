"""Every setting of a run, once: type, default, bounds, unit and help.

The form in the window, the options of the terminal, the record in ``run.json`` and the
checks all read the fields below.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from core.errors import SettingsError

Network = Literal["resnet101", "googlenet", "vgg19", "cnn2d", "cnn3d"]
Regime = Literal["frozen", "fine-tuned", "scratch"]
Activation = Literal["relu", "leaky-relu"]
Plane = Literal["axial", "coronal", "sagittal"]
SplitMode = Literal["subject", "slice", "kfold"]

NETWORK_TITLES = {
    "resnet101": "ResNet-101",
    "googlenet": "GoogLeNet",
    "vgg19": "VGG-19",
    "cnn2d": "Custom CNN",
    "cnn3d": "Custom CNN (3-D)",
}
# What is called the FCL in each network, and how its input is prepared.
NETWORK_NOTES = {
    "resnet101": "the FCL is its only linear layer, 'fc' (2048 features).",
    "googlenet": (
        "the FCL is 'fc' (1024 features). No auxiliary heads; its input is rescaled "
        "(transform_input) where it starts from ImageNet weights, and only there."
    ),
    "vgg19": (
        "the FCL is the last of its three linear layers, 'classifier.6' (4096 features); the "
        "other two belong to the backbone."
    ),
    "cnn2d": "the FCL is 'fc', behind another fully connected layer.",
    "cnn3d": "the FCL is 'fc'. It sees whole volumes as cubes, one a scan.",
}
CUSTOM_CNNS = ("cnn2d", "cnn3d")
BATCH_NORM_NETWORKS = ("resnet101", "googlenet", "cnn2d", "cnn3d")
_SLICE_NETWORKS = ("resnet101", "googlenet", "vgg19", "cnn2d")
REGIME_TITLES = {"frozen": "Frozen", "fine-tuned": "Fine-tuned", "scratch": "From scratch"}


def _setting(
    default: Any,  # noqa: ANN401 - any default
    title: str,
    help_text: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    low_open: bool = False,
    advanced: bool = False,
    option: str = "",
    heading: str = "",
    networks: tuple[str, ...] = (),
    regimes: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - a dataclass field poses as the type of its setting
    """Declare one setting.

    ``option`` renames its terminal option; ``heading`` stands above it in a form; it counts
    for ``networks`` and ``regimes`` only, for all where they are empty.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "title": title,
            "help": help_text,
            "unit": unit,
            "low": low,
            "high": high,
            "low_open": low_open,
            "advanced": advanced,
            "option": option,
            "heading": heading,
            "networks": networks,
            "regimes": regimes,
        },
    )


@dataclass(frozen=True)
class SliceSettings:
    """How a volume is cut into the 2-D slices that a network sees."""

    plane: Plane = _setting(
        "axial",
        "Plane",
        "Anatomical plane of the slices, after turning the scan to RAS+.",
        networks=_SLICE_NETWORKS,
    )
    count: int = _setting(
        30,
        "Slices a scan",
        "Slices taken from each scan; the paper took about 30.",
        low=1,
        high=512,
        networks=_SLICE_NETWORKS,
    )
    step: int = _setting(
        1,
        "Every",
        "1 takes neighbouring slices, 2 every other one.",
        low=1,
        high=20,
        unit="slices",
        networks=_SLICE_NETWORKS,
    )
    spacing_mm: float | None = _setting(
        None,
        "Slice spacing",
        "Distance between two slices, whatever the voxel size. Empty: as 'Every' says.",
        low=0,
        low_open=True,
        high=50,
        unit="mm",
        advanced=True,
        networks=_SLICE_NETWORKS,
    )
    centre: Literal["brain", "volume", "mm"] = _setting(
        "brain",
        "Centred on",
        "Middle of the brain's bounding box, of the whole volume, or a given position in mm.",
    )
    centre_mm: float | None = _setting(
        None,
        "Centre position",
        "Where 'Centred on' is mm: position along the plane's axis, positive to right, anterior and superior.",
        low=-1000,
        high=1000,
        unit="mm",
        advanced=True,
        networks=_SLICE_NETWORKS,
    )
    low_percentile: float = _setting(
        1.0,
        "Black at",
        "Intensity percentile of the scan that becomes 0.",
        low=0,
        high=50,
        unit="percentile",
        advanced=True,
    )
    high_percentile: float = _setting(
        99.0,
        "White at",
        "Intensity percentile of the scan that becomes 255.",
        low=50,
        high=100,
        unit="percentile",
        advanced=True,
    )
    size: int = _setting(
        224,
        "Slice size",
        "Width and height that the network sees.",
        low=16,
        high=1024,
        unit="pixels",
        advanced=True,
        networks=_SLICE_NETWORKS,
    )


@dataclass(frozen=True)
class CubeSettings:
    """How a volume becomes the cube that the 3-D CNN sees; see :attr:`RunSettings.cut`.

    Attributes
    ----------
    size : int
        Voxels along each side.
    side_mm : float or None
        Length of each side; None: what just holds the brain, or the volume.
    centre : {"brain", "volume"}
    low_percentile, high_percentile : float
        As for slices.
    """

    size: int
    side_mm: float | None
    centre: str
    low_percentile: float
    high_percentile: float


Cut: TypeAlias = SliceSettings | CubeSettings


@dataclass(frozen=True)
class SplitSettings:
    """How slices are shared out to training, validation and test."""

    mode: SplitMode = _setting(
        "subject",
        "Split by",
        "By subject keeps all slices of a person in one part. By slice, as in the paper, leaks: slices of one person are on both sides and accuracy is inflated.",
        option="split",
    )
    train_share: float = _setting(
        5.0,
        "Training share",
        "Share of the training part (5:2:3 in the paper).",
        low=0,
        low_open=True,
        high=1000,
        advanced=True,
    )
    validation_share: float = _setting(
        2.0,
        "Validation share",
        "Share of the validation part.",
        low=0,
        low_open=True,
        high=1000,
        advanced=True,
    )
    test_share: float = _setting(
        3.0, "Test share", "Share of the test part.", low=0, low_open=True, high=1000, advanced=True
    )
    folds: int = _setting(
        5,
        "Folds",
        "Number of folds where the split is k-fold by subject.",
        low=3,
        high=50,
        advanced=True,
    )
    fold: int = _setting(
        1,
        "Test fold",
        "Which fold is the test part (from 1); the next one validates.",
        low=1,
        high=50,
        advanced=True,
    )
    split_file: str = _setting(
        "",
        "Split file",
        "CSV with the columns subject and part (train, validation, test), or subject, session, scan, slice and part, such as the split.csv of a run. Empty: the split is drawn as set above.",
        advanced=True,
    )
    shuffled_labels: bool = _setting(
        False,
        "Shuffled labels (control)",
        "Give every subject a random class first: a network can then learn nothing true, so any accuracy above chance on test is leakage.",
        advanced=True,
    )


@dataclass(frozen=True)
class TrainSettings:
    """Which network, from which start, and how it learns."""

    network: Network = _setting(
        "googlenet",
        "Network",
        "ResNet-101 (2048 features), GoogLeNet (1024), VGG-19 (4096), the small custom CNN, or its 3-D form that sees whole volumes.",
    )
    regime: Regime = _setting(
        "scratch",
        "Regime",
        "Frozen: only the new FCL learns. Fine-tuned: all layers learn from ImageNet weights. From scratch: all layers learn from a random start.",
    )
    epochs: int | None = _setting(
        None,
        "Epochs",
        "Passes over the training slices. Empty: as in the paper for this network and regime.",
        low=1,
        high=10_000,
    )
    learning_rate: float | None = _setting(
        None,
        "Learning rate",
        "Initial step of SGD. Empty: the paper's, 1e-4 for VGG-19 and 1e-3 for the others (custom CNNs 1e-2).",
        low=0,
        low_open=True,
        high=10,
    )
    batch: int | None = _setting(
        None,
        "Batch",
        "Slices (whole scans for the 3-D CNN) in one step of SGD. Empty: 32, and 8 for the 3-D CNN.",
        low=1,
        high=4096,
        unit="slices",
    )
    weights: str = _setting(
        "",
        "Weights file",
        "Pretrained weights for frozen and fine-tuned: a .safetensors or .pth file, or an earlier run. Empty: torchvision's ImageNet weights, once downloaded (IMAGENET1K_V2: its newer ones of ResNet-101).",
        advanced=False,
        regimes=("frozen", "fine-tuned"),
    )
    fc_init: Literal["torch", "glorot"] = _setting(
        "torch",
        "FCL initialisation",
        "PyTorch's default for Linear, or Glorot uniform (needed to match Fig. 3).",
        advanced=True,
        heading="Network",
    )
    activation: Activation = _setting(
        "relu",
        "Activation",
        "Of the custom CNNs: ReLU, or leaky ReLU with slope 0.01.",
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cnn_blocks: int = _setting(
        4,
        "CNN blocks",
        "Blocks of convolution, batch norm, activation and pooling of the custom CNNs; each halves the picture.",
        low=1,
        high=7,
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cnn_width: int = _setting(
        16,
        "CNN width",
        "Channels of the custom CNN's first block; each further block doubles them.",
        low=2,
        high=256,
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cnn_features: int = _setting(
        128,
        "CNN features",
        "Penultimate features of the custom CNN: inputs of its FCL.",
        low=2,
        high=8192,
        advanced=True,
        heading="Network",
        networks=CUSTOM_CNNS,
    )
    cube_size: int = _setting(
        64,
        "Cube size",
        "The 3-D CNN sees each scan resampled to a cube of so many voxels a side.",
        low=16,
        high=256,
        unit="voxels",
        advanced=True,
        heading="Network",
        networks=("cnn3d",),
    )
    cube_mm: float | None = _setting(
        None,
        "Cube side",
        "Length of the cube's sides, the same for all scans. Empty: what just holds the brain of each scan (or the whole volume, where 'Centred on' says so).",
        low=10,
        high=1000,
        unit="mm",
        advanced=True,
        heading="Network",
        networks=("cnn3d",),
    )
    momentum: float = _setting(
        0.9, "Momentum", "Of SGD.", low=0, high=0.999, advanced=True, heading="Learning"
    )
    weight_decay: float = _setting(
        0.0,
        "Weight decay",
        "L2 factor of SGD. 0 keeps the sum of the FCL's rows exactly; the paper preset has 1e-4.",
        low=0,
        high=1,
        advanced=True,
        heading="Learning",
    )
    drop_factor: float = _setting(
        0.9,
        "Learning-rate factor",
        "Factor at each drop. 'Drops by 10 %' in the paper is 0.9 here; 0.1 is the other reading.",
        low=0,
        low_open=True,
        high=1,
        advanced=True,
        heading="Learning",
    )
    drop_every: int = _setting(
        10,
        "Drop every",
        "Epochs between two drops of the learning rate.",
        low=1,
        high=10_000,
        unit="epochs",
        advanced=True,
        heading="Learning",
    )
    shuffle: Literal["each-epoch", "once"] = _setting(
        "each-epoch",
        "Shuffle",
        "New order of the training slices in each epoch, or one order for all (as the authors' tool).",
        advanced=True,
        heading="Learning",
    )
    balance: Literal["none", "weights", "sampling"] = _setting(
        "none",
        "Balance classes",
        "For classes of different size: weigh the loss so that each class counts the same, or draw slices of each class equally often.",
        advanced=True,
        heading="Learning",
    )
    adapt_batch_norm: bool = _setting(
        False,
        "Adapt batch-norm statistics",
        "Frozen only: let the running statistics follow our slices. Off keeps every buffer bit-identical.",
        advanced=True,
        heading="Learning",
        networks=BATCH_NORM_NETWORKS,
        regimes=("frozen",),
    )
    recompute_batch_norm: bool = _setting(
        False,
        "Recompute batch-norm statistics",
        "Before each validation, average batch norm's statistics anew over all training slices: the running ones lag behind the weights, so accuracy swings from epoch to epoch. Costs a forward pass; never done to a frozen network.",
        advanced=True,
        heading="Learning",
        networks=BATCH_NORM_NETWORKS,
        regimes=("fine-tuned", "scratch"),
    )
    augment_flip: bool = _setting(
        False,
        "Flip left to right",
        "Mirror half of the training slices at random. Only where left and right lie across the slice (axial, coronal; cubes).",
        advanced=True,
        heading="Augmentation",
    )
    augment_degrees: float = _setting(
        0.0,
        "Rotate by up to",
        "Rotate each training slice at random to either side; a cube about its inferior-superior axis.",
        low=0,
        high=45,
        unit="degrees",
        advanced=True,
        heading="Augmentation",
    )
    augment_shift: float = _setting(
        0.0,
        "Shift by up to",
        "Shift each training slice at random along each side, in percent of it.",
        low=0,
        high=25,
        unit="%",
        advanced=True,
        heading="Augmentation",
    )
    augment_intensity: float = _setting(
        0.0,
        "Change intensity by up to",
        "Change brightness and contrast of each training slice at random, in percent.",
        low=0,
        high=50,
        unit="%",
        advanced=True,
        heading="Augmentation",
    )
    seed: int = _setting(
        0,
        "Seed",
        "Rules split, initial weights, order and augmentation: the same seed on a CPU gives the same run.",
        low=0,
        high=2**31 - 1,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = _setting(
        "auto",
        "Device",
        "Where the network runs: the GPU where there is one, or the CPU.",
        advanced=True,
        heading="Devices and precision",
    )
    devices: int = _setting(
        1,
        "Devices",
        "GPUs (or CPU processes) of each machine that share every batch.",
        low=1,
        high=64,
        advanced=True,
        heading="Devices and precision",
    )
    nodes: int = _setting(
        1,
        "Machines",
        "Machines that share every batch; start the same command on each by torchrun or SLURM.",
        low=1,
        high=1024,
        advanced=True,
        heading="Devices and precision",
    )
    precision: Literal["32", "bf16", "16"] = _setting(
        "32",
        "Precision",
        "32 bit, as published numbers need; bf16 and 16 mix in half precision and are faster on some devices only.",
        advanced=True,
        heading="Devices and precision",
    )
    deterministic: bool = _setting(
        False,
        "Deterministic on a GPU",
        "Take only GPU routines that give the same bits each time; slower. A CPU always does.",
        advanced=True,
        heading="Devices and precision",
    )
    cache_features: bool = _setting(
        True,
        "Run frozen layers once",
        "Frozen only: keep the features of each slice instead of computing them in every epoch. The results are the same to the last bit.",
        advanced=True,
        heading="Devices and precision",
        regimes=("frozen",),
    )

    features_every: int = _setting(
        0,
        "Keep features every",
        "Also keep the penultimate features of all slices before training and after every so many epochs, to see clouds and neural collapse over the epochs. Costs a forward pass over all slices each time. 0 keeps those of the last epoch only.",
        low=0,
        high=10_000,
        unit="epochs",
        advanced=True,
        heading="What is kept",
    )

    def on_one_cpu(self) -> TrainSettings:
        """Return these settings for one CPU: enough to read features of a trained network."""
        return dataclasses.replace(self, device="cpu", devices=1, nodes=1, precision="32")


@dataclass(frozen=True)
class RunSettings:
    """All settings of one run."""

    slices: SliceSettings = SliceSettings()
    split: SplitSettings = SplitSettings()
    training: TrainSettings = TrainSettings()

    @property
    def epochs(self) -> int:
        """Epochs as asked, or the paper's for this network and regime (P1 Table 2)."""
        training = self.training
        if training.epochs is not None:
            return training.epochs
        return {"resnet101": 20, "cnn2d": 50, "cnn3d": 50}.get(training.network, 30)

    @property
    def learning_rate(self) -> float:
        """Initial learning rate as asked, or the paper's for this network (P1 Table 2)."""
        training = self.training
        if training.learning_rate is not None:
            return training.learning_rate
        return {"vgg19": 1e-4, "cnn2d": 1e-2, "cnn3d": 1e-2}.get(training.network, 1e-3)

    @property
    def batch(self) -> int:
        """Slices (or cubes) in one step, as asked or 32; 8 cubes, of which there are few."""
        if self.training.batch is not None:
            return self.training.batch
        return 8 if self.sees_cubes else 32

    @property
    def sees_cubes(self) -> bool:
        """Whether the network sees whole volumes as cubes, not slices."""
        return self.training.network == "cnn3d"

    @property
    def cut(self) -> Cut:
        """How a scan becomes what the network sees."""
        if not self.sees_cubes:
            return self.slices
        return CubeSettings(
            size=self.training.cube_size,
            side_mm=self.training.cube_mm,
            centre=self.slices.centre,
            low_percentile=self.slices.low_percentile,
            high_percentile=self.slices.high_percentile,
        )


# What the authors' tool does by default where the paper is silent (domain.md, section 2).
PAPER_PRESET: dict[str, Any] = {
    "batch": 128,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "shuffle": "once",
    "fc_init": "glorot",
}
PRESETS: dict[str, dict[str, Any]] = {"recommended": {}, "paper": PAPER_PRESET}


@dataclass(frozen=True)
class SettingField:
    """One setting as a form or a terminal needs it.

    ``group`` is the attribute of :class:`RunSettings` that holds it; ``kind`` is int,
    float, bool or str; ``optional`` allows empty (None); ``choices`` is empty where free;
    ``networks`` and ``regimes`` are those it counts for, empty for all.
    """

    group: str
    name: str
    kind: type
    optional: bool
    choices: tuple[str, ...]
    default: Any
    title: str
    help: str
    unit: str
    low: float | None
    high: float | None
    low_open: bool
    advanced: bool
    option: str
    heading: str = ""
    networks: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()

    def counts_for(self, networks: Collection[str], regimes: Collection[str]) -> bool:
        """Tell whether it changes anything for one of ``networks`` and one of ``regimes``."""
        for own, asked in ((self.networks, networks), (self.regimes, regimes)):
            if own and asked and not set(own) & set(asked):
                return False
        return True

    def parse(self, value: Any) -> Any:  # noqa: ANN401 - text or a typed value
        """Return ``value`` as this setting's type.

        Text may have a decimal comma; grouped numbers ("1.000,5") are refused, so that
        no locale makes a learning rate a thousand times too big.

        Raises
        ------
        SettingsError
            If it is of the wrong type, out of bounds, or no known choice.
        """
        if value is None or (self.optional and isinstance(value, str) and not value.strip()):
            if self.optional:
                return None
            raise SettingsError(f"{self.title} is empty. Give {self._wanted()}.")
        try:
            parsed = _as_kind(self.kind, value)
        except (ValueError, TypeError, OverflowError):
            raise SettingsError(
                f"{self.title}: '{value}' cannot be used. Give {self._wanted()}."
            ) from None
        in_choices = not self.choices or parsed in self.choices
        if not in_choices or not self._in_bounds(parsed):
            raise SettingsError(f"{self.title}: {value} is not allowed. Give {self._wanted()}.")
        return parsed

    def _in_bounds(self, value: Any) -> bool:  # noqa: ANN401 - a parsed value
        if self.kind not in (int, float):
            return True
        if not math.isfinite(value):
            return False
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return self.high is None or value <= self.high

    def _wanted(self) -> str:
        if self.choices:
            return "one of: " + ", ".join(self.choices)
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            return "a text"
        word = "a whole number" if self.kind is int else "a number"
        start = "above" if self.low_open else "from"
        if self.low is not None and self.high is not None:
            return f"{word} {start} {self.low:g} to {self.high:g}"
        return word


@cache
def setting_fields() -> tuple[SettingField, ...]:
    """Return every setting of :class:`RunSettings`, in the order of a form."""
    return tuple(_read_fields())


def _read_fields() -> Iterator[SettingField]:
    for group in dataclasses.fields(RunSettings):
        owner: Any = type(group.default)
        hints = get_type_hints(owner)
        for field in dataclasses.fields(owner):
            kind, optional, choices = _read_type(hints[field.name])
            meta = field.metadata
            yield SettingField(
                group=group.name,
                name=field.name,
                kind=kind,
                optional=optional,
                choices=choices,
                default=field.default,
                title=meta["title"],
                help=meta["help"],
                unit=meta["unit"],
                low=meta["low"],
                high=meta["high"],
                low_open=meta["low_open"],
                advanced=meta["advanced"],
                option=meta["option"] or field.name.replace("_", "-"),
                heading=meta["heading"],
                networks=meta["networks"],
                regimes=meta["regimes"],
            )


def find_field(name: str) -> SettingField:
    """Return the setting called ``name``.

    Raises
    ------
    SettingsError
        If there is none.
    """
    for field in setting_fields():
        if field.name == name:
            return field
    raise SettingsError(f"There is no setting called '{name}'.")


def change(settings: RunSettings, values: Mapping[str, Any]) -> RunSettings:
    """Return ``settings`` with ``values`` (setting name -> value or text) checked and put in.

    Raises
    ------
    SettingsError
        If a name is unknown or a value not allowed.
    """
    by_group: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        field = find_field(name)
        by_group.setdefault(field.group, {})[name] = field.parse(value)
    groups = {
        group: dataclasses.replace(getattr(settings, group), **changed)
        for group, changed in by_group.items()
    }
    result = dataclasses.replace(settings, **groups)
    check(result)
    return result


def check(settings: RunSettings) -> None:
    """Check the settings against each other; single bounds are checked in :func:`change`.

    Raises
    ------
    SettingsError
        If two settings contradict each other.
    """
    if settings.slices.low_percentile >= settings.slices.high_percentile:
        raise SettingsError("Black at must lie below White at: lower the first percentile.")
    if settings.slices.centre == "mm" and settings.slices.centre_mm is None:
        raise SettingsError("Centred on mm needs a Centre position: give it in mm.")
    if (
        settings.training.augment_flip
        and settings.slices.plane == "sagittal"
        and not settings.sees_cubes
    ):
        raise SettingsError(
            "Flip left to right would turn sagittal slices front to back: switch it off, or "
            "cut axial or coronal slices."
        )
    if settings.split.fold > settings.split.folds:
        raise SettingsError(
            f"Test fold {settings.split.fold} does not exist: there are "
            f"{settings.split.folds} folds."
        )
    _check_custom_cnn(settings)


def _check_custom_cnn(settings: RunSettings) -> None:
    training = settings.training
    if training.network not in CUSTOM_CNNS:
        return
    if settings.sees_cubes and settings.slices.centre == "mm":
        raise SettingsError(
            "The 3-D CNN sees cubes: Centred on mm is for slices. Choose brain or volume."
        )
    side, name = (
        (training.cube_size, "Cube size")
        if settings.sees_cubes
        else (settings.slices.size, "Slice size")
    )
    if side < 2**training.cnn_blocks:
        raise SettingsError(
            f"CNN blocks: {training.cnn_blocks} blocks halve {side} {training.cnn_blocks} times, "
            f"so that nothing is left. Take fewer blocks, or a {name} of at least "
            f"{2**training.cnn_blocks}."
        )
    if training.regime != "scratch" and not training.weights:
        raise SettingsError(
            "The custom CNN has no ImageNet weights: choose the regime 'scratch', "
            "or name an earlier run of it as the weights."
        )


def to_record(settings: RunSettings) -> dict[str, Any]:
    """Return the settings as plain JSON values, grouped as in :class:`RunSettings`."""
    return dataclasses.asdict(settings)


def from_record(record: Mapping[str, Any]) -> RunSettings:
    """Return settings from :func:`to_record`; unknown keys of other versions are left out.

    Raises
    ------
    SettingsError
        If a value is not allowed.
    """
    known = {field.name for field in setting_fields()}
    values = {
        name: value
        for group in record.values()
        if isinstance(group, Mapping)
        for name, value in group.items()
        if name in known
    }
    return change(RunSettings(), values)


def _read_type(hint: Any) -> tuple[type, bool, tuple[str, ...]]:  # noqa: ANN401 - a type hint
    optional = False
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        optional, hint = True, members[0]
    if get_origin(hint) is Literal:
        return str, optional, tuple(get_args(hint))
    return hint, optional, ()


def _as_kind(kind: type, value: Any) -> Any:  # noqa: ANN401 - text or a typed value
    if kind is str:
        return str(value)
    if kind is bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in ("true", "yes", "on", "1"):
            return True
        if text in ("false", "no", "off", "0"):
            return False
        raise ValueError(value)
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, str):
        text = value.strip()
        if text.count(",") + text.count(".") > 1 or "_" in text:
            raise ValueError(value)
        value = float(text.replace(",", "."))
    if kind is int:
        if not float(value).is_integer():
            raise ValueError(value)
        return int(value)
    return float(value)
