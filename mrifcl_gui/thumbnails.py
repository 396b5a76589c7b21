"""The small pictures of scans that are known so far, as icons for a list."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon, QImage, QPixmap

from core.data.cohort import Scan

SIDE = 40
# About 16 kB each.
_MOST_KEPT = 1500
_Content: TypeAlias = tuple[str, str, bool]


class Thumbnails:
    """Keeps icons by a scan's content; the oldest go where there are very many."""

    def __init__(self) -> None:
        self._icons: OrderedDict[_Content, QIcon] = OrderedDict()
        # Black like an empty slice, so that nothing moves when the picture comes.
        self._waiting = _icon(np.zeros((2, 2), dtype=np.uint8))
        self._unreadable = QIcon()

    def icon_of(self, scan: Scan) -> QIcon:
        """Return the icon of a scan; a dark square until it is known."""
        return self._icons.get(_content(scan), self._waiting)

    def missing(self, scans: Iterable[Scan]) -> list[Scan]:
        """Return the scans whose icon is not known."""
        return [scan for scan in scans if _content(scan) not in self._icons]

    def take(
        self, scans: Iterable[Scan], pixels_of: Mapping[str, NDArray[np.uint8] | None]
    ) -> None:
        """Keep the small pictures of ``scans``, by key; None is a scan that cannot be read.

        Parameters
        ----------
        scans : iterable of Scan
            As they were when their pictures were made.
        pixels_of : mapping of str to ndarray, shape (h, w), uint8
        """
        for scan in scans:
            if scan.key not in pixels_of:
                continue
            pixels = pixels_of[scan.key]
            icon = self._unreadable_icon() if pixels is None else _icon(pixels)
            self._icons[_content(scan)] = icon
        while len(self._icons) > _MOST_KEPT:
            self._icons.popitem(last=False)

    def _unreadable_icon(self) -> QIcon:
        if self._unreadable.isNull():
            pixels = np.zeros((64, 64), dtype=np.uint8)
            diagonal = np.arange(20, 44)
            for shift in (0, 1, 2):
                pixels[diagonal, diagonal + shift] = pixels[diagonal, 63 - diagonal - shift] = 120
            self._unreadable = _icon(pixels)
        return self._unreadable


def _content(scan: Scan) -> _Content:
    return scan.key, scan.sha256, scan.flipped


def _icon(pixels: NDArray[np.uint8]) -> QIcon:
    grey = np.ascontiguousarray(pixels)
    height, width = grey.shape
    image = QImage(grey.data, width, height, width, QImage.Format.Format_Grayscale8)
    if min(width, height) < SIDE:
        image = image.scaled(SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio)
    # A copy: the image above looks at the array's memory.
    pixmap = QPixmap.fromImage(image.copy())
    icon = QIcon()
    # Qt would tint it in selected rows and fade it in disabled ones.
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected, QIcon.Mode.Active, QIcon.Mode.Disabled):
        icon.addPixmap(pixmap, mode)
    return icon
