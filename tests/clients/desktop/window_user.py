"""A user of the window: presses keys, clicks, and reads what the window shows.

Tests import Qt from here, because this module skips them where PyQt5 is missing and needs no screen.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

import pytest

pytest.importorskip("PyQt5.QtWidgets", reason="the window needs PyQt5", exc_type=ImportError)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt5 import QtGui, QtNetwork  # noqa: E402
from PyQt5.QtCore import QDeadlineTimer, QEventLoop, Qt, QTimer  # noqa: E402
from PyQt5.QtTest import QTest  # noqa: E402
from PyQt5.QtWidgets import QApplication, QWidget  # noqa: E402

from tests.program import PATIENCE  # noqa: E402
from webchat.clients.desktop.brace_link import BraceLink, ConnectionState, ConnectionTarget, LinkTimes  # noqa: E402
from webchat.clients.desktop.log_view import LogEntry  # noqa: E402
from webchat.clients.desktop.main import application  # noqa: E402
from webchat.clients.desktop.window import Window  # noqa: E402

__all__ = ["ConnectionState", "LinkTimes", "QApplication", "QTest", "QTimer", "Qt", "QtGui", "QtNetwork", "WindowUser",
           "qt_application", "until", "window_users"]


def qt_application() -> QApplication:
    """Qt's application, of which a process can have one. Keep the reference while Qt is in use."""
    return QApplication.instance() or application(["webchat"])


def until(condition: Callable[[], object], what: object = "the condition") -> None:
    """Run the event loop until a condition is true."""
    deadline = QDeadlineTimer(PATIENCE * 1000)
    waker = QTimer()
    waker.start(100)
    while not condition():
        QApplication.processEvents(QEventLoop.AllEvents | QEventLoop.WaitForMoreEvents)
        assert not deadline.hasExpired(), f"not so: {what() if callable(what) else what}"


class WindowUser:
    """Somebody who uses a window. `pause` (seconds) precedes each attempt to reconnect; `settings` are the link's."""

    def __init__(self, port: int, name: str = "", password: str = "", pause: float = 0.02, **settings):
        link = BraceLink(pauses=lambda: repeat(pause), **settings)
        self.window = Window(link, ConnectionTarget("127.0.0.1", port, "", password))
        self.window.show()
        self.types(self.window.name, name)

    def types(self, field: QWidget, keys: str) -> None:
        field.setFocus()
        QTest.keyClicks(field, keys)

    def presses(self, key: int, modifiers=Qt.NoModifier, field: QWidget | None = None) -> None:
        QTest.keyClick(field or self.window.message, key, modifiers)

    def clicks(self, button: QWidget) -> None:
        QTest.mouseClick(button, Qt.LeftButton)

    def connects(self) -> "WindowUser":
        self.clicks(self.window.connect_button)
        self.reads_status("Connected as ")
        return self

    def says(self, text: str) -> None:
        self.types(self.window.message, text)
        self.presses(Qt.Key_Return)

    def chooses(self, name: str) -> None:
        until(lambda: self.window.to.findText(name) >= 0, f"{name} is offered")
        self.window.to.setFocus()
        QTest.keyClick(self.window.to, Qt.Key_Home)
        for _ in range(self.window.to.findText(name)):
            QTest.keyClick(self.window.to, Qt.Key_Down)
        assert self.window.to.currentText() == name

    def reads_status(self, wanted: str) -> None:
        """Wait for a text in the status."""
        until(lambda: wanted in self.window.status.text(), lambda: f"{wanted!r} in {self.window.status.text()!r}")

    def reads(self, wanted: str) -> None:
        """Wait for a text in the conversation."""
        shown = self.window.log.toPlainText
        until(lambda: wanted in shown(), lambda: f"{wanted!r} in {shown()!r}")

    def entry(self, text: str) -> LogEntry:
        """Wait for an entry with exactly this text."""
        self.reads(text)
        return next(entry for entry in self.window.log.entries if entry.text == text)

    @property
    def written(self) -> str:
        """The text in the field for messages."""
        return self.window.message.toPlainText()

    @property
    def offered(self) -> list[str]:
        """The recipients in the list."""
        return [self.window.to.itemText(row) for row in range(self.window.to.count())]

    def leaves(self) -> None:
        self.window.link.close()
        until(lambda: self.window.link.state is ConnectionState.OFFLINE, "the connection is closed")
        self.window.deleteLater()
        QApplication.sendPostedEvents(None, 0)
        QApplication.processEvents()


@contextmanager
def window_users() -> Iterator[Callable[..., WindowUser]]:
    """A function that opens a window; see `WindowUser` for its arguments. The windows are closed in the end."""
    app = qt_application()
    users: list[WindowUser] = []

    def open_window(*arguments, **settings) -> WindowUser:
        users.append(WindowUser(*arguments, **settings))
        return users[-1]

    yield open_window
    for user in users:
        user.leaves()
    del app
