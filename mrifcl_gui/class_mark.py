"""The mark of a class: its colour and its symbol, so that colour is never alone."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPixmapCache, QPolygonF

from core.figure import Symbol, class_colour, class_symbol, use_class_colours
from mrifcl_gui.theme import MARK_GROUND


class ClassColours(QObject):
    """Tells those who have drawn classes that their colours are others now."""

    changed = Signal()

    def use(self, preset: str) -> None:
        """Draw classes in the colours of a preset of :mod:`core.figure` from now on."""
        use_class_colours(preset)
        self.changed.emit()


CLASS_MARKS = ClassColours()


def paint_symbol(
    painter: QPainter, symbol: Symbol, centre: QPointF, *, size: float, colour: QColor
) -> None:
    """Draw a filled marker of ``size`` (diameter, logical pixels) about ``centre``."""
    half = size / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    if symbol == "circle":
        painter.drawEllipse(centre, half, half)
    elif symbol == "square":
        side = half * 0.9
        painter.drawRect(QRectF(centre.x() - side, centre.y() - side, 2 * side, 2 * side))
    elif symbol == "cross":
        painter.setPen(QPen(colour, max(size / 4, 1.5)))
        arm = half * 0.8
        painter.drawLine(centre + QPointF(-arm, -arm), centre + QPointF(arm, arm))
        painter.drawLine(centre + QPointF(-arm, arm), centre + QPointF(arm, -arm))
    else:
        corners = {
            "triangle": ((0, -1), (1, 0.85), (-1, 0.85)),
            "diamond": ((0, -1), (1, 0), (0, 1), (-1, 0)),
        }[symbol]
        painter.drawPolygon(QPolygonF([centre + QPointF(x * half, y * half) for x, y in corners]))


def class_pixmap(
    label: str, order: int = 0, *, size: int = 13, ratio: float = 2.0, outlined: bool = False
) -> QPixmap:
    """Return the mark of a class; ``order`` tells apart classes without a fixed colour.

    ``outlined`` puts it on white, for rows in the selection's colour.
    """
    # Qt's own cache: a table asks for the mark of each row at each paint.
    colour = QColor(class_colour(label, order))
    key = f"class-mark {label} {order} {colour.name()} {size} {ratio} {outlined}"
    pixmap = QPixmap()
    if QPixmapCache.find(key, pixmap):
        return pixmap
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    symbol, centre = class_symbol(label, order), QPointF(size / 2, size / 2)
    if outlined:
        paint_symbol(painter, symbol, centre, size=size, colour=QColor(MARK_GROUND))
    paint_symbol(painter, symbol, centre, size=size - 3, colour=colour)
    painter.end()
    QPixmapCache.insert(key, pixmap)
    return pixmap


def class_icon(label: str, order: int = 0) -> QIcon:
    """Return the mark of a class as an icon for tables and lists."""
    icon = QIcon(class_pixmap(label, order))
    # Qt would tint it in selected rows, and the colour is what it says.
    icon.addPixmap(class_pixmap(label, order, outlined=True), QIcon.Mode.Selected)
    return icon
