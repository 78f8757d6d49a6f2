"""The field for a message: Enter sends it, Shift+Enter begins a new line."""

from PyQt5.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt5.QtGui import QKeyEvent
from PyQt5.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QWidget

MAX_VISIBLE_LINES = 6
"""Lines up to which the field grows with its text; then it scrolls."""


class Composer(QPlainTextEdit):
    """A field that is as high as its text. Pasted text keeps its lines and loses its formatting."""

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
        """As wide as usual, and as high as the text."""
        return QSize(super().sizeHint().width(), self._height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter sends; with Shift it is a key like the others."""
        if event.key() in (Qt.Key_Return, Qt.Key_Enter) and not event.modifiers() & Qt.ShiftModifier:
            self.submitted.emit()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Adapt the height to another font."""
        super().changeEvent(event)
        if event.type() == QEvent.FontChange:
            self._grow()

    def take(self) -> str:
        """Clear the field, and return the text that was in it."""
        text = self.toPlainText()
        self.clear()
        return text

    def put_back(self, text: str) -> None:
        """Insert a text that could not be sent before what has been written since."""
        self.setPlainText("\n".join(filter(None, [text, self.toPlainText()])))
        self.moveCursor(self.textCursor().End)

    def _height(self) -> int:
        # The layout of a plain text document has a height in lines, not in pixels.
        lines = min(max(int(self.document().size().height()), 1), MAX_VISIBLE_LINES)
        frame = 2 * (self.frameWidth() if self.frameShape() != QFrame.NoFrame else 0)
        return lines * self.fontMetrics().lineSpacing() + int(2 * self.document().documentMargin()) + frame + 2

    def _grow(self) -> None:
        is_full = self.document().size().height() > MAX_VISIBLE_LINES
        self.setVerticalScrollBarPolicy(Qt.ScrollBarAsNeeded if is_full else Qt.ScrollBarAlwaysOff)
        self.setFixedHeight(self._height())
