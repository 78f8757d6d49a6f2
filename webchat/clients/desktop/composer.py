"""Where one writes a message: Enter sends, Shift+Enter breaks the line."""

from PyQt5.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent
from PyQt5.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QWidget

LINES = 6
"""Lines up to which the field grows with its text."""


class Composer(QPlainTextEdit):
    """A field as high as its text. What is pasted is plain text, of as many lines as it has."""

    submitted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setTabChangesFocus(True)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
        self.setPlaceholderText("Write a message; Enter sends it")
        self.setAccessibleName("Message")
        self.setVerticalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.document().documentLayout().documentSizeChanged.connect(lambda _: self._grow())
        self._grow()

    def sizeHint(self) -> QSize:
        """As high as one line at least."""
        return QSize(super().sizeHint().width(), self._height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter is for sending."""
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.modifiers() & Qt.ShiftModifier:
            self.submitted.emit()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Another font is another height."""
        super().changeEvent(event)
        if event.type() == QEvent.FontChange:
            self._grow()

    def take(self) -> str:
        """The text, which is then gone from here."""
        text = self.toPlainText()
        self.clear()
        return text

    def give_back(self, text: str) -> None:
        """Put text before what has been written meanwhile."""
        self.setPlainText("\n".join(filter(None, [text, self.toPlainText()])))
        self.moveCursor(self.textCursor().End)

    def _height(self) -> int:
        # The layout of a plain text document measures in lines.
        lines = min(max(int(self.document().size().height()), 1), LINES)
        frame = 2 * (self.frameWidth() if self.frameShape() != QFrame.NoFrame else 0)
        return lines * self.fontMetrics().lineSpacing() + int(2 * self.document().documentMargin()) + frame + 2

    def _grow(self) -> None:
        overfull = self.document().size().height() > LINES
        self.setVerticalScrollBarPolicy(Qt.ScrollBarAsNeeded if overfull else Qt.ScrollBarAlwaysOff)
        self.setFixedHeight(self._height())
