"""The style sheet of the viewer, which is dark in every theme."""

from __future__ import annotations

from mrifcl_gui.plane_drawing import ACCENT, BACKGROUND, FAINT_TEXT, TEXT

_WARNING = "#f2b84b"

VIEWER_STYLE = f"""
SliceViewer {{ background: {BACKGROUND.name()}; }}
SliceViewer QLabel {{ background: transparent; color: {TEXT.name()}; }}
SliceViewer QLabel#badge {{ border: 1px solid {_WARNING}; border-radius: 3px;
    color: {_WARNING}; padding: 1px 6px; }}
SliceViewer QLabel#faint {{ color: {FAINT_TEXT.name()}; }}
SliceViewer QToolButton {{ background: #24272b; color: {TEXT.name()};
    border: 1px solid #3c4043; border-radius: 3px; padding: 3px 8px; }}
SliceViewer QToolButton:checked {{ border-color: {ACCENT.name()}; }}
SliceViewer QToolButton:hover {{ background: #303438; }}
SliceViewer QToolButton:focus {{ border: 1px solid {TEXT.name()}; }}
SliceViewer QDoubleSpinBox {{ background: #24272b; color: {TEXT.name()};
    border: 1px solid #3c4043; border-radius: 3px; padding: 2px 4px; }}
SliceViewer QDoubleSpinBox:focus {{ border-color: {ACCENT.name()}; }}
SliceViewer QToolTip {{ background: #24272b; color: {TEXT.name()}; border: 1px solid #3c4043; }}
"""
