"""The conversation in a window: one entry below the other, in the colours of the desktop."""

import time
from dataclasses import dataclass, field

from PyQt5.QtCore import QEvent
from PyQt5.QtGui import QColor, QFont, QPalette, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextOption
from PyQt5.QtWidgets import QTextBrowser, QWidget

from webchat.clients.colours import Colours
from webchat.clients.transcript import clock, printable

ALERT, SECRET = "#d7005f", "#875fd7"

MOST = 2_000
"""Entries kept; a window that is open for weeks does not grow for ever."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to read: what somebody said (`to` is set in private), or, without a sender, a note.

    `alert` is for notes that ask for attention, `at` is in seconds since the epoch.
    """

    text: str
    sender: str | None = None
    to: str | None = None
    own: bool = False
    alert: bool = False
    at: float = field(default_factory=time.time)


class LogView(QTextBrowser):
    """Entries are put in as characters, never as markup. The newest is in view, unless one has scrolled back."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.entries: list[Entry] = []
        self._colours = Colours()
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setWordWrapMode(QTextOption.WrapAtWordBoundaryOrAnywhere)
        self.setAccessibleName("Conversation")
        self.setPlaceholderText("What people say appears here.")
        self.document().setDocumentMargin(12)

    def add(self, entry: Entry) -> None:
        """Show an entry at the bottom."""
        self.entries.append(entry)
        bar = self.verticalScrollBar()
        follow = bar.value() >= bar.maximum() - 4
        if len(self.entries) > MOST + MOST // 10:
            del self.entries[:-MOST]
            self._show_again()
        else:
            self._show(entry)
        if follow:
            bar.setValue(bar.maximum())

    def changeEvent(self, event: QEvent) -> None:
        """Another palette or font: the colours and sizes are taken from it."""
        super().changeEvent(event)
        if event.type() in (QEvent.PaletteChange, QEvent.FontChange) and self.entries:
            self._show_again()

    def _show_again(self) -> None:
        self.clear()
        for entry in self.entries:
            self._show(entry)

    def _show(self, entry: Entry) -> None:
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.End)
        block = self._block(entry)
        if self.document().isEmpty():
            cursor.setBlockFormat(block)
        else:
            cursor.insertBlock(block)
        cursor.insertText(f"{clock(entry.at, time.time())}\t", self._subdued())
        if entry.sender is None:
            cursor.insertText(printable(entry.text), self._alert() if entry.alert else self._subdued())
            return
        cursor.insertText(printable(entry.sender), self._name(entry.sender, entry.own))
        if entry.to:
            cursor.insertText(" → ", self._subdued())
            cursor.insertText(printable(entry.to), self._name(entry.to, not entry.own))
            cursor.insertText("  private", self._subdued())
        cursor.insertText("   " + printable(entry.text), QTextCharFormat())

    def _block(self, entry: Entry) -> QTextBlockFormat:
        """The times in a column of their own; what is private, and what is one's own, on a tint."""
        gutter = self.fontMetrics().horizontalAdvance("00:00") + 14
        block = QTextBlockFormat()
        block.setLeftMargin(gutter)
        block.setTextIndent(-gutter)
        block.setTabPositions([QTextOption.Tab(gutter, QTextOption.LeftTab)])
        block.setLineHeight(135, QTextBlockFormat.ProportionalHeight)
        if entry.to:
            block.setBackground(self._mixed(QColor(SECRET), 0.16))
        elif entry.own:
            block.setBackground(self._mixed(self.palette().color(QPalette.Highlight), 0.12))
        return block

    def _name(self, name: str, own: bool) -> QTextCharFormat:
        style = QTextCharFormat()
        style.setFontWeight(QFont.Bold)
        if not own:
            style.setForeground(self._mixed(QColor(self._colours.of(name)), 0.8, QPalette.Text))
        return style

    def _subdued(self) -> QTextCharFormat:
        style = QTextCharFormat()
        style.setForeground(self._mixed(self.palette().color(QPalette.Text), 0.64))
        return style

    def _alert(self) -> QTextCharFormat:
        style = QTextCharFormat()
        style.setForeground(self._mixed(QColor(ALERT), 0.8, QPalette.Text))
        style.setFontWeight(QFont.Bold)
        return style

    def _mixed(self, colour: QColor, share: float, other: QPalette.ColorRole = QPalette.Base) -> QColor:
        """A share of the colour in one of the desktop's own: the paper's, or the text's."""
        parts = zip(colour.getRgb()[:3], self.palette().color(other).getRgb()[:3], strict=True)
        return QColor(*(round(share * one + (1 - share) * two) for one, two in parts))
