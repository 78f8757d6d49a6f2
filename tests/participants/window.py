"""A participant at the desktop window."""

import re

from PyQt5.QtCore import QEventLoop, QTimer
from PyQt5.QtWidgets import QApplication

from tests.clients.desktop.window_user import WindowUser, qt_application
from tests.participants.base import Reader
from tests.program import Program

_application: QApplication | None = None
"""Qt's application, which has to stay referenced until the end of the tests."""


class Window(Reader):
    """`webchat desktop`, used with its fields, buttons and keys."""

    MESSAGE = re.compile(
        r"^\d\d:\d\d\t(?P<sender>.+?)(?: → .+?  (?P<private>private))?   (?P<text>.*)$", re.MULTILINE)
    PRESENCE = re.compile(
        r"\t(?:(?P<came>.+) has joined the chat!|(?P<went>.+) has left the chat\.)$", re.MULTILINE)

    def __init__(self, server: Program, name: str):
        super().__init__(server, name)
        global _application
        _application = qt_application()
        self.user = WindowUser(server.braces_port)
        self.window = self.user.window
        self.window.name.setText(name)  # QTest has keys for ASCII only

    def join(self) -> None:
        self.user.connects()

    def leave(self) -> None:
        self.user.clicks(self.window.disconnect_button)
        self.user.reads_status("Disconnected")

    def say(self, text: str) -> None:
        self.tell("ALL", text)

    def tell(self, name: str, text: str) -> None:
        self.window.to.setCurrentIndex(self.window.to.findText(name))
        self.user.says(text)

    def listen(self, seconds: float) -> None:
        QTimer.singleShot(int(seconds * 1000), QApplication.processEvents)
        QApplication.processEvents(QEventLoop.AllEvents | QEventLoop.WaitForMoreEvents)

    @property
    def text(self) -> str:
        return self.window.log.toPlainText()

    def people(self) -> set[str]:
        return set(self.user.offered)

    def close(self) -> None:
        self.user.leaves()
