"""The conversation in the window, in the colours of the desktop."""

import time
from dataclasses import dataclass, field

from PyQt5.QtCore import QEvent
from PyQt5.QtGui import QColor, QFont, QPalette, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextOption
from PyQt5.QtWidgets import QTextBrowser, QWidget

from webchat.clients.colours import Colours
from webchat.clients.transcript import clock, printable

ALERT_COLOUR, PRIVATE_COLOUR = "#d7005f", "#875fd7"

MAX_ENTRIES = 2_000
"""Entries that are kept. The oldest are removed, so that a window can stay open for weeks."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A message (with a recipient `to` if it is private), or a note, which has no sender.

    `own` marks the messages of the window's user, `alert` a note that needs attention. `at` is in seconds since the
    epoch.
    """

    text: str
    sender: str | None = None
    to: str | None = None
    own: bool = False
    alert: bool = False
    at: float = field(default_factory=time.time)


class LogView(QTextBrowser):
    """Shows entries as plain characters, never as markup. It scrolls to new ones, unless the user has scrolled back.

    `capacity` is the number of entries kept; up to a tenth more may be there for a while.
    """

    def __init__(self, parent: QWidget | None = None, capacity: int = MAX_ENTRIES):
        super().__init__(parent)
        self.entries: list[LogEntry] = []
        self._capacity = capacity
        self._colours = Colours()
        self.setOpenLinks(False)
        self.setUndoRedoEnabled(False)
        self.setWordWrapMode(QTextOption.WrapAtWordBoundaryOrAnywhere)
        self.setAccessibleName("Conversation")
        self.setPlaceholderText("What people say appears here.")
        self.document().setDocumentMargin(12)

    def add(self, entry: LogEntry) -> None:
        """Append an entry."""
        self.entries.append(entry)
        bar = self.verticalScrollBar()
        follow = bar.value() >= bar.maximum() - 4
        if len(self.entries) > self._capacity * 11 // 10:
            del self.entries[:-self._capacity]
            self._show_again()
        else:
            self._show(entry)
        if follow:
            bar.setValue(bar.maximum())

    def changeEvent(self, event: QEvent) -> None:
        """Adapt to another palette or font."""
        super().changeEvent(event)
        if event.type() in (QEvent.PaletteChange, QEvent.FontChange) and self.entries:
            self._show_again()

    def _show_again(self) -> None:
        self.clear()
        for entry in self.entries:
            self._show(entry)

    def _show(self, entry: LogEntry) -> None:
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

    def _block(self, entry: LogEntry) -> QTextBlockFormat:
        """The layout of an entry: times in a column of their own, a tint behind private and own messages."""
        gutter = self.fontMetrics().horizontalAdvance("00:00") + 14
        block = QTextBlockFormat()
        block.setLeftMargin(gutter)
        block.setTextIndent(-gutter)
        block.setTabPositions([QTextOption.Tab(gutter, QTextOption.LeftTab)])
        block.setLineHeight(135, QTextBlockFormat.ProportionalHeight)
        if entry.to:
            block.setBackground(self._mixed(QColor(PRIVATE_COLOUR), 0.16))
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
        style.setForeground(self._mixed(QColor(ALERT_COLOUR), 0.8, QPalette.Text))
        style.setFontWeight(QFont.Bold)
        return style

    def _mixed(self, colour: QColor, share: float, other: QPalette.ColorRole = QPalette.Base) -> QColor:
        """Mix a share of the colour, between 0 and 1, with a colour of the desktop: the background's, or the text's."""
        parts = zip(colour.getRgb()[:3], self.palette().color(other).getRgb()[:3], strict=True)
        return QColor(*(round(share * mine + (1 - share) * theirs) for mine, theirs in parts))
