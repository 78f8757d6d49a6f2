"""`webchat desktop`: the chat in a window of its own, over braces."""

import signal
import socket
import sys

import click
from PyQt5.QtCore import QSocketNotifier, Qt
from PyQt5.QtWidgets import QApplication

from webchat.clients.address import Address
from webchat.clients.command_line import AddressType, Command
from webchat.clients.desktop.brace_link import BraceLink, Target
from webchat.clients.desktop.window import Window

BRACES_PORT = 33002


@click.command("desktop", cls=Command)
@click.argument("address", type=AddressType(BRACES_PORT), default="localhost")
@click.option("--name", default="", help="Your name; with it the window connects at once.")
def main(address: Address, name: str) -> int:
    """Chat in a window.

    ADDRESS is HOST or HOST:PORT (localhost:33002 when it is left out).
    """
    if address.url:
        raise click.UsageError("The window speaks braces over TCP: HOST or HOST:PORT.")
    app = application(sys.argv[:1])
    window = Window(BraceLink(), Target(address.host, address.port, name))
    close_on_signals(app, window)
    window.show()
    if name:
        window.connect_button.click()
    return app.exec()


def application(arguments: list[str]) -> QApplication:
    """Qt's application, sharp on every screen."""
    QApplication.setAttribute(Qt.AA_EnableHighDpiScaling)
    QApplication.setAttribute(Qt.AA_UseHighDpiPixmaps)
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(arguments)
    app.setApplicationName("webchat")
    return app


def close_on_signals(app: QApplication, window: Window) -> None:
    """Ctrl-C where the window was started from, or the end of the session: a goodbye, too.

    Qt's loop runs no Python until something happens; the byte that Python writes for a signal happens.
    """
    read, write = socket.socketpair()
    write.setblocking(False)
    signal.set_wakeup_fd(write.fileno())
    notifier = QSocketNotifier(read.fileno(), QSocketNotifier.Read, app)
    notifier.activated.connect(lambda: read.recv(64))
    app.aboutToQuit.connect(lambda: (signal.set_wakeup_fd(-1), read.close(), write.close()))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: window.close())
