"""Settings of what a network sees of a scan: 2-D slices, or one cube."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from core.config.networks import SLICE_NETWORKS
from core.config.setting import setting

Plane = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True)
class SliceSettings:
    """How a volume is cut into the 2-D slices that a network sees."""

    plane: Plane = setting(
        "axial",
        "Plane",
        "Anatomical plane of the slices, after turning the scan to RAS+.",
        networks=SLICE_NETWORKS,
    )
    count: int = setting(
        30,
        "Slices a scan",
        "Slices taken from each scan; the paper took about 30.",
        low=1,
        high=512,
        networks=SLICE_NETWORKS,
    )
    step: int = setting(
        1,
        "Every",
        "1 takes neighbouring slices, 2 every other one.",
        low=1,
        high=20,
        unit="slices",
        networks=SLICE_NETWORKS,
    )
    spacing_mm: float | None = setting(
        None,
        "Slice spacing",
        "Distance between two slices, whatever the voxel size. Empty: as 'Every' says.",
        low=0,
        low_open=True,
        high=50,
        unit="mm",
        advanced=True,
        networks=SLICE_NETWORKS,
    )
    centre: Literal["brain", "volume", "mm"] = setting(
        "brain",
        "Centred on",
        "Middle of the brain's bounding box, of the whole volume, or a given position in mm.",
    )
    centre_mm: float | None = setting(
        None,
        "Centre position",
        "Where 'Centred on' is mm: position along the plane's axis, positive to right, anterior and superior.",
        low=-1000,
        high=1000,
        unit="mm",
        advanced=True,
        networks=SLICE_NETWORKS,
    )
    low_percentile: float = setting(
        1.0,
        "Black at",
        "Intensity percentile of the scan that becomes 0.",
        low=0,
        high=50,
        unit="percentile",
        advanced=True,
    )
    high_percentile: float = setting(
        99.0,
        "White at",
        "Intensity percentile of the scan that becomes 255.",
        low=50,
        high=100,
        unit="percentile",
        advanced=True,
    )
    size: int = setting(
        224,
        "Slice size",
        "Width and height that the network sees.",
        low=16,
        high=1024,
        unit="pixels",
        advanced=True,
        networks=SLICE_NETWORKS,
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
