"""The lines above the viewer's planes: what is shown, how sure its sides are, and the tools."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout, QWidget

from mrifcl_gui.elided_label import ElidedLabel
from mrifcl_gui.wrapping_row import WrappingRow


class ViewerBar(QWidget):
    """Title, badge and buttons of the viewer."""

    flip_toggled = Signal(bool)
    comparison_closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ElidedLabel()
        self.badge = QLabel()
        self.badge.setObjectName("badge")
        self.flip = self._build_tool(
            self.tr("Flip left/right"),
            self.tr(
                "The file does not tell left from right. If you know that they are exchanged, "
                "flip them; the choice is kept with the scan."
            ),
            is_checkable=True,
        )
        self.flip.clicked.connect(self.flip_toggled)
        self._build_tools()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(_row(self.title, self.badge, self.flip))
        column.addWidget(self._build_comparison())
        tools = WrappingRow(spacing=8)
        for tool in self.tools():
            tools.addWidget(tool)
        tools.addWidget(self.map_opacity)
        column.addLayout(tools)

    def tools(self) -> tuple[QToolButton, ...]:
        """Return the buttons, from left to right."""
        return (
            self.orientation,
            self.crosshair,
            self.lines,
            self.contrast,
            self.reset,
            self.cloud,
            self.map_tool,
        )

    def show_tools(self, *, has_planes: bool, has_pictures: bool) -> None:
        """Show the tools that act on what is shown."""
        for tool in self.tools():
            tool.setVisible(has_planes or has_pictures)
        self.orientation.setVisible(has_planes)
        self.lines.setVisible(False)
        self.show_map_tools(is_shown=False)

    def show_map_tools(self, *, is_shown: bool, words: str = "") -> None:
        """Show the switch and the opacity of a map over the planes; ``words`` say whose."""
        self.map_tool.setVisible(is_shown)
        self.map_opacity.setVisible(is_shown)
        self.map_tool.setToolTip(
            self.tr("{words}\nShow or hide it with Space.").format(words=words) if words else ""
        )

    def show_certain(self) -> None:
        """Take the badge and the flip away."""
        self.badge.setVisible(False)
        self.flip.setVisible(False)

    def show_unverified(self, *, is_flipped: bool, reasons: str) -> None:
        """Say that left and right are not certain, and whether the user exchanged them."""
        self.show_badge(
            self.tr("left/right flipped by you")
            if is_flipped
            else self.tr("left/right unverified"),
            reasons,
        )
        with QSignalBlocker(self.flip):
            self.flip.setChecked(is_flipped)
        self.flip.setVisible(True)

    def show_badge(self, text: str, tip: str) -> None:
        """Show a warning beside the title."""
        self.badge.setText(text)
        self.badge.setToolTip(tip)
        self.badge.setVisible(True)
        self.flip.setVisible(False)

    def show_convention(self, *, is_radiological: bool) -> None:
        """Write on which side the patient's right is."""
        if is_radiological:
            text = self.tr("Radiological")
            tip = self.tr("Patient's right is at the left of the picture. Switch with O.")
        else:
            text = self.tr("Neurological")
            tip = self.tr("Patient's right is at the right of the picture. Switch with O.")
        self.orientation.setText(text)
        self.orientation.setToolTip(tip)

    def show_comparison(self, title: str | None, *, is_shifted: bool = False) -> None:
        """Write which scan is compared, or (None) that none is."""
        self._comparison.setVisible(title is not None)
        if title is not None:
            text = self.tr("Compared with {title} (second of each pair)").format(title=title)
            if is_shifted:
                text += self.tr("  (no common place in mm: laid middle on middle)")
            self._compared.setText(text)
            self._compared.setToolTip(
                self.tr(
                    "{title}\nBoth follow one position in mm. Window and level of the second "
                    "scan move with those of the first, each from its own automatic contrast."
                ).format(title=title)
            )

    def _build_tools(self) -> None:
        self.orientation = self._build_tool("", "")
        self.crosshair = self._build_tool(
            self.tr("Crosshair"), self.tr("Show or hide the crosshair (X)"), is_checkable=True
        )
        self.crosshair.setChecked(True)
        self.lines = self._build_tool(
            self.tr("Slices"),
            self.tr("Show or hide the slices that the network sees as lines (Space)"),
            is_checkable=True,
        )
        self.lines.setChecked(True)
        self.lines.setVisible(False)
        self.contrast = self._build_tool(
            self.tr("Auto contrast"), self.tr("Window from the 2nd to the 98th percentile (A)")
        )
        self.reset = self._build_tool(
            self.tr("Reset"), self.tr("Whole planes, middle slice, automatic contrast (R)")
        )
        self.cloud = self._build_tool(
            self.tr("Show in cloud"), self.tr("Find this slice in the feature cloud of the run (C)")
        )
        self.map_tool = self._build_tool(self.tr("Map"), "", is_checkable=True)
        self.map_tool.setChecked(True)
        self.map_opacity = QSlider(Qt.Orientation.Horizontal, self)
        self.map_opacity.setRange(0, 100)
        self.map_opacity.setValue(60)
        self.map_opacity.setFixedWidth(90)
        # In line with the buttons beside it.
        self.map_opacity.setMinimumHeight(self.reset.sizeHint().height())
        self.map_opacity.setAccessibleName(self.tr("Opacity of the map"))
        self.map_opacity.setToolTip(self.tr("How much the map covers the scan"))
        self.show_map_tools(is_shown=False)

    def _build_comparison(self) -> QWidget:
        self._compared = ElidedLabel()
        close = self._build_tool(self.tr("Close comparison"), self.tr("Show the first scan alone"))
        close.clicked.connect(self.comparison_closed)
        self._comparison = QWidget()
        row = _row(self._compared, close)
        self._comparison.setLayout(row)
        self._comparison.setVisible(False)
        return self._comparison

    def _build_tool(self, text: str, tip: str, *, is_checkable: bool = False) -> QToolButton:
        tool = QToolButton(self)
        tool.setText(text)
        tool.setToolTip(tip)
        tool.setCheckable(is_checkable)
        tool.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return tool


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    for widget in widgets:
        row.addWidget(widget, 1 if isinstance(widget, ElidedLabel) else 0)
    return row
