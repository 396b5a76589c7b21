"""Where in a slice a class is seen: maps by the stored network, kept in the run's cache.

Shapes: N slices, C channels, h and w cells of a map, K classes, F penultimate features.

ResNet-101 and GoogLeNet average their last channels over space and then apply the FCL, so
that the class activation map of Zhou et al. (2016), CVPR, eq. 2 is exact: its mean and the
class's bias are the logit. VGG-19 and the custom CNNs have further layers between; their maps
are Grad-CAM (Selvaraju et al. 2017, ICCV, eq. 1 and 2) without its ReLU: what speaks against
a class is shown too. Own hooks: captum computes the same (a test compares them), and a
package less is shipped. The 3-D CNN has maps of whole cubes, shown as planes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core import array_file, atomic_file
from core.analysis.activation_map import Letters, Method, SliceMaps
from core.analysis.cube_planes import PLANES, CubeMaps, planes_through
from core.array_file import ArrayFileError
from core.data.cohort import Cohort, Scan
from core.data.cubes import cut_scan
from core.data.slice_cache import ready_slices
from core.errors import RunError
from core.progress import Operation, Progress
from core.run_folder import Run, recorded_sums
from core.training.checkpoint import NETWORK_FILE, load_network
from core.training.network import build_network, fcl_of, input_scaling

logger = logging.getLogger(__name__)

CACHE_FOLDER = "cache"
_CACHE_VERSION = 1
_ARRAYS = ("pixels", "maps", "logits")
_BATCH = 8
# Whose output is the last map of channels. Behind it VGG-19 and the custom CNN have a max
# pooling, before which cells are smaller.
_LAST_CHANNELS = {
    "resnet101": "layer4",
    "googlenet": "inception5b",
    "vgg19": "features.35",
}
_EXACT = ("resnet101", "googlenet")
# Logits of a GPU and of reduced precision differ from those of a CPU by less than this.
_SAME_LOGITS = 0.02
_SIDES: dict[str, Letters] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("P", "A", "S", "I"),
}


def activation_maps(
    run: Run, cohort: Cohort, cohort_folder: Path, rows: Sequence[int] | NDArray[np.int64]
) -> Operation[SliceMaps]:
    """Return the map of each class on the slices in ``rows`` of the run's features.

    What was computed once is taken from the run's folder, which may be read-only. Of the 3-D
    CNN, three planes of each cube: :func:`core.analysis.cube_planes.planes_through`.

    Raises
    ------
    RunError
        If the run has no network, it is damaged, or a scan is no longer in the cohort.
    ScanError
        If a slice must be cut and its scan cannot be read or has changed.
    """
    found = yield from _stored_maps(run, cohort, cohort_folder, rows)
    return planes_through(found) if isinstance(found, CubeMaps) else found


def cube_maps(
    run: Run, cohort: Cohort, cohort_folder: Path, rows: Sequence[int] | NDArray[np.int64]
) -> Operation[CubeMaps]:
    """Return the map of each class on whole cubes of the 3-D CNN; raises as above."""
    found = yield from _stored_maps(run, cohort, cohort_folder, rows)
    if not isinstance(found, CubeMaps):
        raise RunError(f"Run '{run.name}' is of slices: it has no cubes.")
    return found


def _stored_maps(
    run: Run, cohort: Cohort, cohort_folder: Path, rows: Sequence[int] | NDArray[np.int64]
) -> Operation[SliceMaps | CubeMaps]:
    slices = _Slices(run, cohort, cohort_folder)
    cache = _MapCache(run, slices)
    wanted = np.asarray(rows, dtype=np.int64)
    missing = cache.missing(wanted)
    if len(missing):
        yield Progress("Reading the network")
        mapper = _Mapper(run)
        for start in range(0, len(missing), _BATCH):
            yield Progress("Drawing maps", start, len(missing))
            part = missing[start : start + _BATCH]
            pixels = slices.pixels(part)
            maps, logits = mapper.class_maps(pixels)
            cache.add(part, pixels, maps, logits)
        cache.store()
    return cache.taken(wanted)


def channel_maps(
    run: Run,
    cohort: Cohort,
    cohort_folder: Path,
    rows: Sequence[int] | NDArray[np.int64],
    *,
    channel: int,
) -> Operation[SliceMaps]:
    """Return where on slices, or on planes of cubes, an FCL input is active: (n, 1, h, w).

    In ResNet-101 and GoogLeNet it is the channel itself, whose mean is the feature h_j;
    elsewhere the Grad-CAM of h_j. Raises as :func:`activation_maps`.
    """
    slices = _Slices(run, cohort, cohort_folder)
    wanted = np.asarray(rows, dtype=np.int64)
    yield Progress("Reading the network")
    mapper = _Mapper(run)
    pixels, maps, logits = [], [], []
    for start in range(0, len(wanted), _BATCH):
        yield Progress("Drawing maps", start, len(wanted))
        pixels.append(slices.pixels(wanted[start : start + _BATCH]))
        drawn, given = mapper.channel_maps(pixels[-1], channel)
        maps.append(drawn)
        logits.append(given)
    found = slices.with_facts(
        wanted, np.concatenate(pixels), np.concatenate(maps), np.concatenate(logits)
    )
    return planes_through(found) if isinstance(found, CubeMaps) else found


def cam(channels_NChw: Tensor, fc_weight_KC: Tensor) -> Tensor:
    """Return class activation maps (N, K, h, w) of the last channels: Zhou et al., eq. 2."""
    return torch.einsum("nchw,kc->nkhw", channels_NChw, fc_weight_KC)


def grad_cam(channels_NChw: Tensor, scores_NM: Tensor) -> Tensor:
    """Return Grad-CAM (N, M, h, w) of each score, signed: Selvaraju et al., without the ReLU.

    Of cubes, channels (N, C, d, h, w) and maps (N, M, d, h, w).
    """
    maps = []
    space = tuple(range(2, channels_NChw.ndim))
    for score_N in scores_NM.unbind(dim=1):
        (gradient,) = torch.autograd.grad(score_N.sum(), channels_NChw, retain_graph=True)
        weight = gradient.mean(dim=space, keepdim=True)
        maps.append((weight * channels_NChw.detach()).sum(dim=1))
    return torch.stack(maps, dim=1)


def rebuilt_network(run: Run) -> nn.Module:
    """Return the network of a run's last epoch, in evaluation mode on the CPU.

    Raises
    ------
    RunError
        If it is missing or damaged.
    """
    # Without numbers: random ones would be drawn from the generator of a training under way.
    with torch.device("meta"):
        network = build_network(
            run.settings.training,
            len(run.classes),
            transform_input=bool(run.record.get("transform_input", False)),
        )
    network.to_empty(device="cpu")
    load_network(network, run)
    network.requires_grad_(False)
    return network.eval()


class _Mapper:
    """Runs slices through the network and looks at its last channels."""

    def __init__(self, run: Run) -> None:
        self._name = run.settings.training.network
        self._network = rebuilt_network(run)
        self._fcl = fcl_of(self._network, self._name)
        self._scaling = input_scaling(self._name)
        place = _LAST_CHANNELS.get(self._name)
        if place is not None:
            self._layer = self._network.get_submodule(place)
        else:
            name = "features3d" if self._name == "cnn3d" else "features"
            features = self._network.get_submodule(name)
            assert isinstance(features, nn.Sequential)
            self._layer = features[-2]

    def class_maps(
        self, pixels: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return maps (N, K, h, w) and logits (N, K) of slices (N, S, S)."""
        with self._looking(pixels) as (channels_NChw, _, logits_NK):
            if self._name in _EXACT:
                maps = cam(channels_NChw, self._fcl.weight)
            else:
                maps = grad_cam(channels_NChw, logits_NK)
            return maps.detach().numpy(), logits_NK.detach().numpy()

    def channel_maps(
        self, pixels: NDArray[np.uint8], channel: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return maps (N, 1, h, w) of an FCL input and logits (N, K)."""
        with self._looking(pixels) as (channels_NChw, features_NF, logits_NK):
            if self._name in _EXACT:
                maps = channels_NChw[:, channel : channel + 1]
            else:
                maps = grad_cam(channels_NChw, features_NF[:, channel : channel + 1])
            return maps.detach().numpy(), logits_NK.detach().numpy()

    @contextmanager
    def _looking(self, pixels: NDArray[np.uint8]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Give last channels, FCL inputs and logits; gradients reach the channels."""
        seen: dict[str, Tensor] = {}

        def on_channels(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            seen["channels"] = output.detach().requires_grad_()
            return seen["channels"]

        def before_fcl(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen["features"] = inputs[0]

        hooks = [
            self._layer.register_forward_hook(on_channels),
            self._fcl.register_forward_pre_hook(before_fcl),
        ]
        try:
            with torch.enable_grad():
                logits_NK = self._network(self._scaling.apply(torch.from_numpy(pixels)))
                yield seen["channels"], seen["features"], logits_NK
        finally:
            for hook in hooks:
                hook.remove()


class _Slices:
    """The slices of a run as its network saw them, found again in the cohort."""

    def __init__(self, run: Run, cohort: Cohort, folder: Path) -> None:
        self._run = run
        self._cohort = cohort
        self._scans = {scan.key: scan for scan in cohort.scans}
        self._ready = ready_slices(cohort, folder, run.settings.cut)
        self._cut: dict[str, dict[int, NDArray[np.uint8]]] = {}

    def scan_of(self, row: int) -> Scan:
        """Return the scan that a row's slice was cut from."""
        key = str(self._run.features.scan[row])
        scan = self._scans.get(key)
        recorded = self._run.record["cohort"].get("scans", {}).get(key)
        if scan is None or (recorded and recorded != scan.sha256):
            raise RunError(
                f"The cohort no longer holds the scan {key} that run '{self._run.name}' was "
                "trained with. Open the cohort as it was."
            )
        return scan

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the slices in ``rows``, shape (N, S, S)."""
        return np.stack([self._one(int(row)) for row in rows])

    def with_facts(
        self,
        rows: NDArray[np.int64],
        pixels: NDArray[np.uint8],
        maps: NDArray[np.float32],
        logits: NDArray[np.float32],
    ) -> SliceMaps | CubeMaps:
        """Return maps with what must be known of them: method, orientation, remark."""
        run = self._run
        scans = [self.scan_of(int(row)) for row in rows]
        method, remark = _method_of(run), _remark(run, rows, logits)
        if run.settings.sees_cubes:
            axial, coronal, sagittal = PLANES
            letters = tuple(
                (letters_of(scan, axial), letters_of(scan, coronal), letters_of(scan, sagittal))
                for scan in scans
            )
            return CubeMaps(rows, pixels, maps, logits, method, letters, remark)
        sides = tuple(letters_of(scan, run.settings.slices.plane) for scan in scans)
        return SliceMaps(rows, pixels, maps, logits, method, sides, remark)

    def _one(self, row: int) -> NDArray[np.uint8]:
        scan, number = self.scan_of(row), int(self._run.features.slice[row])
        if scan.key not in self._cut:
            self._cut[scan.key] = self._all_of(scan)
        found = self._cut[scan.key].get(number)
        if found is None:
            raise RunError(
                f"Slice {number} of scan {scan.key} cannot be cut any more: the scan is not as it "
                f"was when run '{self._run.name}' was trained. Open the cohort as it was."
            )
        return found

    def _all_of(self, scan: Scan) -> dict[int, NDArray[np.uint8]]:
        if self._ready is not None:
            places = np.flatnonzero(self._ready.scan == scan.key)
            if len(places):
                numbers = self._ready.number[places].tolist()
                return dict(zip(numbers, np.array(self._ready.pixels[places]), strict=True))
        cut = cut_scan(self._cohort, scan, self._run.settings.cut)
        return dict(zip(cut.numbers.tolist(), cut.pixels, strict=True))


def letters_of(scan: Scan, plane: str) -> Letters:
    """Return the letters of a scan's planes: left and right are ``?`` where they are a guess."""
    if scan.kind != "volume":
        return ("", "", "", "")
    left, right, top, bottom = _SIDES[plane]
    is_guess = any(
        getattr(warning, "code", "") in ("orientation_unknown", "orientation_conflict")
        for warning in scan.warnings
    )
    if is_guess and plane != "sagittal":
        left = right = "?"
    return (left, right, top, bottom)


class _MapCache:
    """Maps that are stored in the run's folder, one file a scan; all of it may be deleted."""

    def __init__(self, run: Run, slices: _Slices) -> None:
        self._run = run
        self._slices = slices
        self._network = _network_stamp(run)
        self._entries: dict[str, dict[int, tuple[NDArray[np.generic], ...]]] = {}
        self._changed: set[str] = set()

    def missing(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows, each once, whose maps are not stored."""
        rows = np.array(list(dict.fromkeys(rows.tolist())), dtype=np.int64)
        return np.array([row for row in rows if self._number(row) not in self._of(row)], np.int64)

    def add(
        self,
        rows: NDArray[np.int64],
        pixels: NDArray[np.uint8],
        maps: NDArray[np.float32],
        logits: NDArray[np.float32],
    ) -> None:
        """Take maps over."""
        for place, row in enumerate(rows):
            self._of(int(row))[self._number(row)] = (pixels[place], maps[place], logits[place])
            self._changed.add(str(self._run.features.scan[row]))

    def store(self) -> None:
        """Write what was added; a run that cannot be written is computed again next time."""
        for key in sorted(self._changed):
            entry = self._entries[key]
            numbers = np.array(sorted(entry), dtype=np.int64)
            arrays = [np.stack([entry[n][part] for n in numbers]) for part in range(3)]
            try:
                path = self._path(key)
                with atomic_file.replacing(path) as temporary, temporary.open("wb") as file:
                    array_file.write_arrays(
                        file, {"number": numbers, **dict(zip(_ARRAYS, arrays, strict=True))}
                    )
            except OSError as error:
                logger.info("maps are not kept: %s", error.strerror)
                return
        self._changed.clear()

    def taken(self, rows: NDArray[np.int64]) -> SliceMaps | CubeMaps:
        """Return the maps of rows that are all there."""
        found = [self._of(int(row))[self._number(row)] for row in rows]
        pixels, maps, logits = (np.stack([one[part] for one in found]) for part in range(3))
        return self._slices.with_facts(
            rows, pixels.astype(np.uint8), maps.astype(np.float32), logits.astype(np.float32)
        )

    def _number(self, row: int) -> int:
        return int(self._run.features.slice[row])

    def _of(self, row: int) -> dict[int, tuple[NDArray[np.generic], ...]]:
        key = str(self._run.features.scan[row])
        if key not in self._entries:
            self._entries[key] = self._read(key, row)
        return self._entries[key]

    def _read(self, key: str, row: int) -> dict[int, tuple[NDArray[np.generic], ...]]:
        self._slices.scan_of(row)  # maps of a scan that has changed are not shown
        side, n_classes = self._run.settings.cut.size, len(self._run.classes)
        n_axes = 3 if self._run.settings.sees_cubes else 2
        try:
            numbers, pixels, maps, logits = array_file.read_arrays(
                self._path(key), ("number", *_ARRAYS)
            )
        except (OSError, ArrayFileError):
            return {}
        n = len(numbers)
        fits = (
            pixels.shape == (n, *(side,) * n_axes)
            and maps.ndim == 2 + n_axes
            and maps.shape[:2] == (n, n_classes)
            and logits.shape == (n, n_classes)
            and bool(np.isfinite(maps).all())
        )
        if not fits:
            return {}
        return {int(numbers[i]): (pixels[i], maps[i], logits[i]) for i in range(n)}

    def _path(self, key: str) -> Path:
        row = int(np.flatnonzero(self._run.features.scan == key)[0])
        scan = self._slices.scan_of(row)
        parts = [
            _CACHE_VERSION,
            self._network,
            key,
            scan.sha256,
            scan.flipped,
            asdict(self._run.settings.cut),
        ]
        name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
        return self._run.path / CACHE_FOLDER / "maps" / f"{name}.npz"


def _network_stamp(run: Run) -> list[object]:
    """Return what tells one state of the network's file from another."""
    try:
        stat = (run.path / NETWORK_FILE).stat()
    except OSError:
        # What was computed while it was there stands.
        return [recorded_sums(run.record, NETWORK_FILE)[:1]]
    sums = recorded_sums(run.record, NETWORK_FILE)[:1]
    return [sums] if sums else [stat.st_size, stat.st_mtime_ns]


def _method_of(run: Run) -> Method:
    return "CAM" if run.settings.training.network in _EXACT else "Grad-CAM"


def _remark(run: Run, rows: NDArray[np.int64], logits: NDArray[np.float32]) -> str:
    """Say where the network now gives something else than it gave when it was trained."""
    stored = run.features.logits[rows]
    allowed = _SAME_LOGITS * max(float(np.ptp(run.features.logits)), 1.0)
    if bool((np.abs(logits - stored) <= allowed).all()):
        return ""
    return (
        "The network gives other scores for these slices than when it was trained: the scans "
        "were flipped or changed since, so the maps are of the slices as they are now."
    )
