"""Help: the pages of docs/ in a window, offline, with pictures, contents and a search field."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QCloseEvent,
    QDesktopServices,
    QImage,
    QImageReader,
    QKeySequence,
    QShortcut,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

import resources
from mrifcl_gui.remembered_splitter import RememberedSplitter

GUIDE, TUTORIAL, MATHS = "user-guide.md", "tutorial.md", "maths.md"
PICTURE_WIDTH = 720
_MISSING = (
    "# Not in this copy\n\nThe page '{0}' was not installed with this program. "
    "Install the program again."
)
_POSITION = Qt.ItemDataRole.UserRole


def docs_folder() -> Path:
    """Return the folder of the pages, in a checkout, an installed and a frozen copy."""
    return Path(next(iter(resources.__path__))).resolve().parent / "docs"


class GuidePage(QTextBrowser):
    """A page of docs/, its pictures read one by one so that the window stays alive."""

    def __init__(self, folder: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.folder = folder
        self.file = ""
        self.setOpenLinks(False)
        self.setAccessibleName(self.tr("Page of the guide"))
        self.document().setDocumentMargin(16)
        self.document().setBaseUrl(QUrl.fromLocalFile(f"{folder}/"))
        self._waiting: list[QUrl] = []
        self._reader = QTimer(self)
        self._reader.setInterval(0)
        self._reader.timeout.connect(self._read_next_picture)

    def show_file(self, file: str) -> None:
        """Show a page of the folder from its beginning."""
        path = self.folder / file
        self.file = file
        text = path.read_text(encoding="utf-8") if path.is_file() else _MISSING.format(file)
        self.setMarkdown(text)

    def headings(self) -> list[tuple[int, str, int]]:
        """Return level, words and position of each heading."""
        found = []
        block = self.document().begin()
        while block.isValid():
            level = block.blockFormat().headingLevel()
            if level:
                found.append((level, block.text(), block.position()))
            block = block.next()
        return found

    def go_to_position(self, position: int) -> None:
        """Bring a place of the page to the top."""
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())
        cursor = QTextCursor(self.document())
        cursor.setPosition(position)
        self.setTextCursor(cursor)
        bar.setValue(bar.value() + self.cursorRect(cursor).top() - 8)

    def go_to_heading(self, anchor: str) -> None:
        """Bring the heading that a link names to the top."""
        for _, words, position in self.headings():
            if anchor_of(words) == anchor:
                self.go_to_position(position)
                return

    def stop_reading(self) -> None:
        """Leave the pictures that are not read yet."""
        self._reader.stop()

    def loadResource(self, kind: int, url: QUrl) -> object:  # noqa: D102
        if kind != QTextDocument.ResourceType.ImageResource.value or not url.isLocalFile():
            return None  # a page of the guide takes nothing from elsewhere
        self._waiting.append(url)
        self._reader.start()
        # As large as it will be: the text must not jump when the picture comes.
        empty = QImage(self._shown_size(url), QImage.Format.Format_RGB32)
        empty.fill(self.palette().alternateBase().color())
        return empty

    def _shown_size(self, url: QUrl) -> QSize:
        size = QImageReader(url.toLocalFile()).size()
        if not size.isValid():
            return QSize(1, 1)
        width = min(PICTURE_WIDTH, size.width())
        return QSize(width, round(size.height() * width / size.width()))

    def _read_next_picture(self) -> None:
        if not self._waiting:
            self._reader.stop()
            return
        url = self._waiting.pop(0)
        image = QImage(url.toLocalFile())
        if image.isNull():
            return
        ratio = self.devicePixelRatioF()
        image = image.scaled(
            self._shown_size(url) * ratio,
            Qt.AspectRatioMode.IgnoreAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        image.setDevicePixelRatio(ratio)
        self.document().addResource(QTextDocument.ResourceType.ImageResource.value, url, image)
        self.viewport().update()


class GuideWindow(QDialog):
    """The user guide beside the main window, with contents and search."""

    def __init__(self, parent: QWidget | None = None, *, folder: Path | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Help – MRI-FCL, research use only"))
        self.setWindowFlag(Qt.WindowType.WindowMaximizeButtonHint)
        self.page = GuidePage(folder or docs_folder(), self)
        self.page.anchorClicked.connect(self._on_link)
        self.contents = QListWidget(self)
        self.contents.setAccessibleName(self.tr("Contents"))
        self.contents.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.contents.itemClicked.connect(self._on_heading)
        self.contents.itemActivated.connect(self._on_heading)
        self.search = QLineEdit(self)
        self.search.setPlaceholderText(self.tr("Find in this page (Ctrl+F)"))
        self.search.setAccessibleName(self.tr("Find in this page"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._on_search_changed)
        self.found = QLabel(self)
        layout = QVBoxLayout(self)
        layout.addLayout(self._build_head())
        splitter = RememberedSplitter("guide", (220, 800), Qt.Orientation.Horizontal, self)
        splitter.fill(self.contents, self.page)
        splitter.setStretchFactor(1, 1)
        layout.addWidget(splitter, 1)
        self._build_shortcuts()
        self.resize(1040, 760)

    def show_page(self, file: str, *, anchor: str = "") -> None:
        """Show a page and the window."""
        if file != self.page.file:
            self.page.show_file(file)
            self._fill_contents()
            self._on_search_changed()
        self.show()
        self.raise_()
        self.activateWindow()
        if anchor:  # once it has the width by which its lines are broken
            self.page.go_to_heading(anchor)

    def _build_head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        self._page_buttons = {}
        for file, title in (
            (GUIDE, self.tr("User guide")),
            (TUTORIAL, self.tr("Tutorial")),
            (MATHS, self.tr("Maths of the figures")),
        ):
            button = QPushButton(title, self)
            button.setAutoDefault(False)
            button.setCheckable(True)
            button.setProperty("file", file)
            button.clicked.connect(self._on_page_button)
            head.addWidget(button)
            self._page_buttons[file] = button
        head.addStretch(1)
        head.addWidget(self.found)
        self.search.setMinimumWidth(260)
        head.addWidget(self.search)
        for title, slot in (
            (self.tr("Previous"), self.find_previous),
            (self.tr("Next"), self.find_next),
        ):
            button = QPushButton(title, self)
            button.setAutoDefault(False)
            button.clicked.connect(slot)
            head.addWidget(button)
        return head

    def _build_shortcuts(self) -> None:
        for keys, slot in (
            (QKeySequence(QKeySequence.StandardKey.Find), self._on_find),
            (QKeySequence("F3"), self.find_next),
            (QKeySequence("Shift+F3"), self.find_previous),
        ):
            QShortcut(keys, self).activated.connect(slot)
        self.search.returnPressed.connect(self.find_next)

    def _fill_contents(self) -> None:
        self.contents.clear()
        for level, words, position in self.page.headings():
            if level > 3:
                continue
            item = QListWidgetItem("    " * (level - 1) + words, self.contents)
            item.setData(_POSITION, position)
            item.setToolTip(words)
        for file, button in self._page_buttons.items():
            button.setChecked(file == self.page.file)

    def find_next(self) -> None:
        """Go to the next place with the words, from the end to the beginning again."""
        self._find(QTextDocument.FindFlag(0), QTextCursor.MoveOperation.Start)

    def find_previous(self) -> None:
        """Go to the place before."""
        self._find(QTextDocument.FindFlag.FindBackward, QTextCursor.MoveOperation.End)

    def _find(self, flags: QTextDocument.FindFlag, start: QTextCursor.MoveOperation) -> None:
        words = self.search.text()
        if words and not self.page.find(words, flags):
            self.page.moveCursor(start)
            self.page.find(words, flags)

    def _on_search_changed(self) -> None:
        words = self.search.text()
        self.page.moveCursor(QTextCursor.MoveOperation.Start)
        count = self.page.toPlainText().lower().count(words.lower()) if words else 0
        places = self.tr("{0} place") if count == 1 else self.tr("{0} places")
        self.found.setText(places.format(count or self.tr("no")) if words else "")
        self.find_next()

    def _on_find(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _on_page_button(self) -> None:
        button = self.sender()
        if isinstance(button, QPushButton):
            button.setChecked(True)
            self.show_page(str(button.property("file")))

    def _on_heading(self, item: QListWidgetItem) -> None:
        self.page.go_to_position(int(item.data(_POSITION)))

    def _on_link(self, url: QUrl) -> None:
        file, anchor = url.path().rpartition("/")[2], url.fragment()
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif not file:
            self.page.go_to_heading(anchor)
        elif file.endswith(".md") and (self.page.folder / file).is_file():
            self.show_page(file, anchor=anchor)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102
        self.page.stop_reading()
        super().closeEvent(event)


def anchor_of(words: str) -> str:
    """Return the name by which links know a heading: as GitHub makes it."""
    kept = re.sub(r"[^\w\- ]", "", words.strip().lower())
    return kept.replace(" ", "-")
