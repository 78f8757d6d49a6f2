"""The pictures of the window. They are drawn by code, so there are no image files to find."""

from PyQt5.QtCore import QPoint, Qt
from PyQt5.QtGui import QColor, QIcon, QPainter, QPixmap, QPolygon

BACKGROUND_COLOUR, BUBBLE_COLOUR = "#24424f", "#ffd479"


def dot(colour: str, size: int, ratio: float) -> QPixmap:
    """A disc with a diameter of `size` device-independent pixels; `ratio` is the screen's device pixel ratio."""
    pixmap, painter = _canvas(size, ratio)
    painter.setBrush(QColor(colour))
    painter.drawEllipse(0, 0, size, size)
    painter.end()
    return pixmap


def bubble() -> QIcon:
    """A speech bubble, the icon in title bars and task bars."""
    pixmap, painter = _canvas(64, 2)
    painter.setBrush(QColor(BACKGROUND_COLOUR))
    painter.drawRoundedRect(0, 0, 64, 64, 14, 14)
    painter.setBrush(QColor(BUBBLE_COLOUR))
    painter.drawRoundedRect(12, 14, 40, 28, 9, 9)
    painter.drawPolygon(QPolygon([QPoint(20, 40), QPoint(34, 40), QPoint(20, 53)]))
    painter.end()
    return QIcon(pixmap)


def _canvas(size: int, ratio: float) -> tuple[QPixmap, QPainter]:
    pixmap = QPixmap(round(size * ratio), round(size * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.Antialiasing)
    painter.setPen(Qt.NoPen)
    return pixmap, painter
