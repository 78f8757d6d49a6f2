"""Somebody at the desktop window."""

import re

from PyQt5.QtCore import QEventLoop, QTimer
from PyQt5.QtWidgets import QApplication

from tests.clients.desktop.window_user import WindowUser
from tests.program import Program
from tests.voices.voice import Reader
from webchat.clients.desktop.main import application

_application: QApplication | None = None
"""Qt has one for all tests, and nobody may let it go."""


class Window(Reader):
    """`webchat desktop`, by its fields, buttons and keys."""

    SAID = re.compile(
        r"^\d\d:\d\d\t(?P<sender>.+?)(?: → .+?  (?P<private>private))?   (?P<text>.*)$", re.MULTILINE)
    MOVED = re.compile(
        r"\t(?:(?P<came>.+) has joined the chat!|(?P<went>.+) has left the chat\.)$", re.MULTILINE)

    def __init__(self, server: Program, name: str):
        super().__init__(server, name)
        global _application
        _application = QApplication.instance() or application(["webchat"])
        self.sitter = WindowUser(server.braces_port)
        self.window = self.sitter.window
        self.window.name.setText(name)  # QTest has keys for ASCII only

    def arrive(self) -> None:
        self.sitter.connects()

    def leave(self) -> None:
        self.sitter.clicks(self.window.disconnect_button)
        self.sitter.reads_status("Disconnected")

    def say(self, text: str) -> None:
        self.tell("ALL", text)

    def tell(self, name: str, text: str) -> None:
        self.window.to.setCurrentIndex(self.window.to.findText(name))
        self.sitter.says(text)

    def listen(self, seconds: float) -> None:
        QTimer.singleShot(int(seconds * 1000), QApplication.processEvents)
        QApplication.processEvents(QEventLoop.AllEvents | QEventLoop.WaitForMoreEvents)

    @property
    def text(self) -> str:
        return self.window.log.toPlainText()

    def people(self) -> set[str]:
        return set(self.sitter.offered)

    def close(self) -> None:
        self.sitter.leaves()
