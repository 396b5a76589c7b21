"""The style sheet of the viewer, which is dark in every theme."""

from __future__ import annotations

from mrifcl_gui.plane_drawing import ACCENT, BACKGROUND, FAINT_TEXT, TEXT
from mrifcl_gui.theme import VIEWER

VIEWER_STYLE = f"""
SliceViewer {{ background: {BACKGROUND.name()}; }}
SliceViewer QLabel {{ background: transparent; color: {TEXT.name()}; }}
SliceViewer QLabel#badge {{ border: 1px solid {VIEWER.warning}; border-radius: 3px;
    color: {VIEWER.warning}; padding: 1px 6px; }}
SliceViewer QLabel#faint {{ color: {FAINT_TEXT.name()}; }}
SliceViewer QToolButton {{ background: {VIEWER.control}; color: {TEXT.name()};
    border: 1px solid {VIEWER.edge}; border-radius: 3px; padding: 3px 8px; }}
SliceViewer QToolButton:checked {{ border-color: {ACCENT.name()}; }}
SliceViewer QToolButton:hover {{ background: {VIEWER.control_hover}; }}
SliceViewer QToolButton:focus {{ border: 1px solid {TEXT.name()}; }}
SliceViewer QDoubleSpinBox {{ background: {VIEWER.control}; color: {TEXT.name()};
    border: 1px solid {VIEWER.edge}; border-radius: 3px; padding: 2px 4px; }}
SliceViewer QDoubleSpinBox:focus {{ border-color: {ACCENT.name()}; }}
SliceViewer QToolTip {{ background: {VIEWER.control}; color: {TEXT.name()};
    border: 1px solid {VIEWER.edge}; }}
"""
