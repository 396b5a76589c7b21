"""Tells what of a window is cut off, or lies outside of it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QCheckBox,
    QLabel,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from mrifcl_gui.elided_label import ElidedLabel

# What rounding of fonts may take.
SLACK = 2


def misfits(window: QWidget) -> list[str]:
    """Return what does not fit, one line each: texts cut off, and parts outside the window."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisibleTo(window) or not widget.isVisible() or widget.window() != window:
            continue
        if isinstance(widget, QScrollArea):
            found += _too_wide(widget)
        if isinstance(widget, QLabel | QPushButton | QCheckBox | QRadioButton | QToolButton):
            found += _cut_off(widget) + _outside(widget, window)
    return found


def _cut_off(widget: QWidget) -> list[str]:
    text = widget.text().strip()
    elides = isinstance(widget, ElidedLabel)
    elides |= widget.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Ignored
    if not text or elides or _is_bar_part(widget):
        return []
    if isinstance(widget, QLabel) and widget.wordWrap():
        if widget.height() + SLACK < widget.heightForWidth(widget.width()):
            needed = widget.heightForWidth(widget.width())
            return [f"{_name(widget)}: {widget.height()} px high, needs {needed}"]
        if widget.textFormat() == Qt.TextFormat.RichText:
            return []
        words = max(widget.fontMetrics().horizontalAdvance(word) for word in text.split())
        room = widget.contentsRect().width() + SLACK
        return [f"{_name(widget)}: a word is wider than {room} px"] if words > room else []
    needed = widget.sizeHint()
    if widget.width() + SLACK < needed.width():
        return [f"{_name(widget)}: {widget.width()} px wide, needs {needed.width()}"]
    if isinstance(widget, QLabel) and widget.height() + SLACK < needed.height():
        return [f"{_name(widget)}: {widget.height()} px high, needs {needed.height()}"]
    return []


def _outside(widget: QWidget, window: QWidget) -> list[str]:
    """Tell whether a widget leaves the window, or the part of it that does not scroll."""
    shown = QRect(widget.mapTo(window, QPoint()), widget.size())
    if _scrolling_parent(widget, window) is not None or window.rect().contains(shown):
        return []
    return [f"{_name(widget)}: lies at {shown.getRect()}, outside of {window.size().toTuple()}"]


def _too_wide(scroll: QScrollArea) -> list[str]:
    """Tell whether a page that scrolls only downwards is wider than what is seen of it."""
    off = Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    inside, room = scroll.widget(), scroll.viewport().width() + SLACK
    if scroll.horizontalScrollBarPolicy() != off or inside is None or inside.width() <= room:
        return []
    return [f"{_name(scroll)}: {inside.width()} px wide, {room} px are seen"]


def _scrolling_parent(widget: QWidget, window: QWidget) -> QAbstractScrollArea | None:
    parent = widget.parentWidget()
    while parent is not None and parent is not window:
        if isinstance(parent, QAbstractScrollArea):
            return parent
        parent = parent.parentWidget()
    return None


def _is_bar_part(widget: QWidget) -> bool:
    """Tell whether Qt itself lays a widget out: the arrows of a tab bar, a menu's extension."""
    return widget.objectName().startswith("qt_") or type(widget.parentWidget()).__name__ in (
        "QTabBar",
        "QMenuBar",
        "QToolBar",
    )


def _name(widget: QWidget) -> str:
    words = widget.text() if hasattr(widget, "text") else ""
    owner = type(widget.parentWidget()).__name__
    return f"{owner} > {type(widget).__name__} {words[:50]!r}"
