"""Type, spacing and the few colours that Qt's own palette does not give."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from core.figure import BLUE
from mrifcl_gui.icons import icon_file

ACCENT = BLUE


def apply_theme(app: QApplication) -> None:
    """Give the application Fusion, our type scale and one accent colour."""
    app.setStyle("Fusion")
    palette = app.palette()
    palette.setColor(QPalette.ColorRole.Highlight, QColor(ACCENT))
    palette.setColor(QPalette.ColorRole.HighlightedText, QColor("#ffffff"))
    app.setPalette(palette)
    app.setStyleSheet(_STYLE)


def alarm_colour(palette: QPalette) -> QColor:
    """Return a red that can be read on the window's colour."""
    is_dark = palette.color(QPalette.ColorRole.Window).lightness() < 128
    return QColor("#ff8a80" if is_dark else "#b3261e")


def rail_icon(name: str, colour: QColor, size: int = 24) -> QIcon:
    """Return an icon of ``resources/icons`` drawn in one colour."""
    picture = QPixmap(QSize(size * 2, size * 2))
    picture.fill(Qt.GlobalColor.transparent)
    text = icon_file(name).read_text(encoding="utf-8").replace("currentColor", colour.name())
    painter = QPainter(picture)
    QSvgRenderer(text.encode()).render(painter)
    painter.end()
    picture.setDevicePixelRatio(2)
    return QIcon(picture)


_STYLE = f"""
QPushButton[primary="true"] {{
    background: {ACCENT}; color: white; border: 1px solid {ACCENT}; border-radius: 4px;
    padding: 6px 16px; font-weight: 600;
}}
QPushButton[primary="true"]:hover {{ background: #0a84cc; }}
QPushButton[primary="true"]:pressed {{ background: #005a8f; }}
QPushButton[primary="true"]:focus {{ border: 2px solid palette(text); padding: 5px 15px; }}
QPushButton[primary="true"]:disabled {{
    background: palette(mid); border-color: palette(mid); color: palette(window);
}}
QWidget#rail {{ background: palette(alternate-base); border-right: 1px solid palette(mid); }}
QWidget#rail QToolButton {{
    border: none; border-left: 3px solid transparent; padding: 8px 4px; border-radius: 0;
}}
QWidget#rail QToolButton:hover {{ background: palette(midlight); }}
QWidget#rail QToolButton:checked {{ border-left: 3px solid {ACCENT}; background: palette(base); }}
QWidget#rail QToolButton:focus {{ background: palette(midlight); }}
"""
