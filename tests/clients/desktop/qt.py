"""Qt without a screen, and a person at the window: keys, clicks, and what can be read."""

import os
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

pytest.importorskip("PyQt5.QtWidgets", reason="the window needs PyQt5", exc_type=ImportError)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PyQt5.QtCore import QDeadlineTimer, QEventLoop, Qt, QTimer  # noqa: E402
from PyQt5.QtTest import QTest  # noqa: E402
from PyQt5.QtWidgets import QApplication, QWidget  # noqa: E402

from tests.program import PATIENCE, Program  # noqa: E402
from webchat.clients.desktop.brace_link import BraceLink, State, Target  # noqa: E402
from webchat.clients.desktop.log_view import Entry  # noqa: E402
from webchat.clients.desktop.main import application  # noqa: E402
from webchat.clients.desktop.window import Window  # noqa: E402


@pytest.fixture(scope="session")
def app() -> QApplication:
    return QApplication.instance() or application(["webchat"])


def until(condition: Callable[[], object], what: object = "what was waited for") -> None:
    """Run the event loop until something is so."""
    deadline = QDeadlineTimer(PATIENCE * 1000)
    waker = QTimer()
    waker.start(100)
    while not condition():
        QApplication.processEvents(QEventLoop.AllEvents | QEventLoop.WaitForMoreEvents)
        assert not deadline.hasExpired(), f"not so: {what() if callable(what) else what}"


class Sitter:
    """Somebody who sits at a window."""

    def __init__(self, port: int, name: str = "", password: str = "", pauses: float = 0.02):
        self.window = Window(BraceLink(pauses=lambda: repeat(pauses)), Target("127.0.0.1", port, "", password))
        self.window.show()
        self.types(self.window.name, name)

    def types(self, field: QWidget, keys: str) -> None:
        field.setFocus()
        QTest.keyClicks(field, keys)

    def presses(self, key: int, modifiers=Qt.NoModifier, field: QWidget | None = None) -> None:
        QTest.keyClick(field or self.window.message, key, modifiers)

    def clicks(self, button: QWidget) -> None:
        QTest.mouseClick(button, Qt.LeftButton)

    def connects(self) -> "Sitter":
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
        until(lambda: wanted in self.window.status.text(), lambda: f"{wanted!r} in {self.window.status.text()!r}")

    def reads(self, wanted: str) -> None:
        """Wait until this is in the conversation."""
        shown = self.window.log.toPlainText
        until(lambda: wanted in shown(), lambda: f"{wanted!r} in {shown()!r}")

    def entry(self, text: str) -> Entry:
        """What is known of the entry with this text."""
        self.reads(text)
        return next(each for each in self.window.log.entries if each.text == text)

    @property
    def written(self) -> str:
        return self.window.message.toPlainText()

    @property
    def offered(self) -> list[str]:
        return [self.window.to.itemText(row) for row in range(self.window.to.count())]

    def leaves(self) -> None:
        self.window.link.close()
        until(lambda: self.window.link.state is State.OFFLINE, "goodbye")
        self.window.deleteLater()
        QApplication.sendPostedEvents(None, 0)
        QApplication.processEvents()


@pytest.fixture
def sit(app) -> Iterator[Callable[..., Sitter]]:
    """Seats people at windows; they leave when the test ends."""
    sitters: list[Sitter] = []

    def sit(*arguments, **settings) -> Sitter:
        sitters.append(Sitter(*arguments, **settings))
        return sitters[-1]

    yield sit
    for sitter in sitters:
        sitter.leaves()


@pytest.fixture(scope="module")
def door() -> Iterator[Program]:
    """A server for the windows of one file; each test has names of its own."""
    with Program("--message-rate", "0") as program:
        yield program
