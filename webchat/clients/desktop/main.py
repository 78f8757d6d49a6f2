"""`webchat desktop`: the chat in a window, over braces."""

import signal
import socket
import sys

import click
from PyQt5.QtCore import QSocketNotifier, Qt
from PyQt5.QtWidgets import QApplication
from PyQt5.sip import voidptr

from webchat.clients.address import Address
from webchat.clients.command_line import ClientCommand, address_reader, ca_option
from webchat.clients.desktop.brace_link import BraceLink, ConnectionTarget
from webchat.clients.desktop.window import Window
from webchat.clients.trust import Trust

BRACES_PORT = 33002


@click.command("desktop", cls=ClientCommand)
@click.argument("address", callback=address_reader(BRACES_PORT), default="localhost")
@click.option("--name", default="", help="Your name; with it the window connects at once.")
@ca_option
def main(address: Address, name: str, trust: Trust) -> int:
    """Chat in a window.

    ADDRESS is HOST or HOST:PORT (localhost:33002 when it is left out), tls://HOST:PORT with TLS.
    """
    if address.url:
        raise click.UsageError("The window speaks braces over TCP: HOST or HOST:PORT, tls://HOST:PORT with TLS.")
    app = application(sys.argv[:1])
    window = Window(BraceLink(trust=trust), ConnectionTarget(address.host, address.port, name, tls=address.tls))
    close_on_signals(app, window)
    window.show()
    if name:
        window.connect_button.click()
    return app.exec()


def application(arguments: list[str]) -> QApplication:
    """Qt's application, with text and icons that are sharp on screens of every pixel density."""
    QApplication.setAttribute(Qt.AA_EnableHighDpiScaling)
    QApplication.setAttribute(Qt.AA_UseHighDpiPixmaps)
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(arguments)
    app.setApplicationName("webchat")
    return app


def close_on_signals(app: QApplication, window: Window) -> None:
    """Close the window on SIGINT and SIGTERM, so that it leaves the chat first.

    Python calls signal handlers only between its own instructions, and Qt's loop runs none while it is idle. The byte
    that Python writes to the wakeup descriptor ends the idling.
    """
    read, write = socket.socketpair()
    write.setblocking(False)
    signal.set_wakeup_fd(write.fileno())
    notifier = QSocketNotifier(voidptr(read.fileno()), QSocketNotifier.Type.Read, app)
    notifier.activated.connect(lambda: read.recv(64))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: window.close())

    def end() -> None:
        notifier.setEnabled(False)
        signal.set_wakeup_fd(-1)
        read.close()
        write.close()

    app.aboutToQuit.connect(end)
