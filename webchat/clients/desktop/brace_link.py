"""A connection that speaks braces, driven by Qt's event loop: nothing here waits."""

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple

from PyQt5.QtCore import QObject, QTimer, pyqtSignal
from PyQt5.QtNetwork import QAbstractSocket, QTcpSocket

from webchat.clients.link import ANSWER_TIME, pauses
from webchat.codecs import braces
from webchat.codecs.braces import ALL

ALIVE, ANSWER, GOODBYE, BREATH = 20_000, int(ANSWER_TIME * 1000), 1_000, 300
"""Milliseconds: between questions whether the server is still there, for an answer, for a goodbye, and before a
message is tried again that came too fast."""

SLOW_DOWN = "slow-down"

_REASONS = {
    QAbstractSocket.ConnectionRefusedError: "nobody listens there",
    QAbstractSocket.HostNotFoundError: "there is no host of that name",
    QAbstractSocket.SocketTimeoutError: "it does not answer",
    QAbstractSocket.NetworkError: "there is no way to that network",
}


class State(Enum):
    """Where a connection stands."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"  # lost, and to be opened again after a pause
    LEAVING = "leaving"


class Target(NamedTuple):
    """Where to, and as whom."""

    host: str
    port: int
    name: str
    password: str = ""


class Outgoing(NamedTuple):
    """One line to one person, or to `ALL`."""

    to: str
    text: str


class BraceLink(QObject):
    """One person's connection. `state`, and `status`, which is for people, say how it stands.

    Messages go out one after the other: the next one when the server has dealt with the one before, so that each is
    known to be delivered, refused, or returned unsaid.
    """

    changed = pyqtSignal()
    people = pyqtSignal(tuple)
    heard = pyqtSignal(object)  # a braces.ReceivedMessage or braces.ServerLine
    delivered = pyqtSignal(object)  # an Outgoing
    refused = pyqtSignal(object, str)  # an Outgoing and the reason
    returned = pyqtSignal(list)  # what was not said before the connection ended, as Outgoing

    def __init__(self, parent: QObject | None = None, pauses: Callable[[], Iterator[float]] = pauses):
        super().__init__(parent)
        self.state = State.OFFLINE
        self.status = "Not connected"
        self.name = ""
        self._pauses = pauses
        self._target: Target | None = None
        self._waits: Iterator[float] | None = None  # set while a lost connection is to come back
        self._names: tuple[str, ...] = ()
        self._queue: deque[Outgoing] = deque()
        self._asked: Outgoing | None = None
        self._socket = QTcpSocket(self)
        self._socket.connected.connect(self._register)
        self._socket.readyRead.connect(self._read)
        self._socket.disconnected.connect(self._closed)
        self._socket.errorOccurred.connect(self._failed)
        self._silence = self._timer(self._too_silent)
        self._alive = self._timer(self._ask_whether_alive)
        self._pause = self._timer(self._connect)
        self._breath = self._timer(self._next)

    # What the window asks for.

    def open(self, target: Target) -> None:
        """Connect and register; `changed` tells how it goes."""
        self._target, self._waits = target, None
        self._connect()

    def close(self) -> None:
        """Say goodbye; `state` is OFFLINE when it has been heard."""
        if self.state is State.ONLINE:
            self._socket.write(braces.quit())
            self._become(State.LEAVING, "Saying goodbye …")
            self._silence.start(GOODBYE)
            self._socket.disconnectFromHost()
        elif self.state is not State.LEAVING:
            self._drop()
            self._become(State.OFFLINE, "Disconnected")

    def send(self, to: str, text: str) -> None:
        """Say each line of a text to a person, or to `ALL`."""
        self._queue.extend(Outgoing(to, line) for line in text.splitlines() if line.strip())
        self._next()

    # How it goes.

    def _connect(self) -> None:
        self._drop()
        self._listener, self._names = braces.ServerFrameDecoder(), ()
        self._become(State.CONNECTING, f"Connecting to {self._target.host}:{self._target.port} …")
        self._silence.start(ANSWER)
        self._socket.connectToHost(self._target.host, self._target.port)

    def _register(self) -> None:
        self._socket.setSocketOption(QAbstractSocket.LowDelayOption, 1)
        self._socket.write(braces.register(self._target.name, self._target.password))

    def _read(self) -> None:
        self._alive.start(ALIVE)
        for heard in self._listener.receive(bytes(self._socket.readAll())):
            if self.state in (State.CONNECTING, State.ONLINE):
                self._hears[type(heard)](self, heard)
        if self._asked is None and self.state is State.ONLINE:
            self._silence.stop()

    def _registered(self, heard: braces.Registered) -> None:
        self.name, self._waits = heard.name, None
        self._become(State.ONLINE, f"Connected as {heard.name}")
        self._next()

    def _clients(self, heard: braces.ClientList) -> None:
        news, self._names = heard.names != self._names, heard.names
        if news:
            self.people.emit(heard.names)
        # A private message, unlike one to all, does not come back: the list that was asked for with it tells that it
        # has been dealt with. One that says something new may have come by itself.
        if self._asked and self._asked.to != ALL:
            if news:
                self._socket.write(braces.request_users())
            else:
                self._settle()

    def _message(self, heard: braces.ReceivedMessage) -> None:
        self.heard.emit(heard)
        if self._asked and self._asked.to == ALL and not heard.private and heard.from_user == self.name:
            self._settle()

    def _sentence(self, heard: braces.ServerLine) -> None:
        if self.state is State.CONNECTING:
            self._turned_away(heard.text)
        elif self._asked and not braces.is_presence(heard.text):
            self._settle(heard.text)
        else:
            self.heard.emit(heard)

    _hears = {
        braces.Registered: _registered, braces.ClientList: _clients, braces.ReceivedMessage: _message,
        braces.ServerLine: _sentence,
    }

    # One message after the other.

    def _next(self) -> None:
        if self.state is not State.ONLINE or self._asked or not self._queue or self._breath.isActive():
            return
        self._asked = self._queue.popleft()
        self._silence.start(ANSWER)
        if self._asked.to == ALL:
            self._socket.write(braces.say(self._asked.text))
        else:
            self._socket.write(braces.tell(self._asked.to, self._asked.text) + braces.request_users())

    def _settle(self, refusal: str | None = None) -> None:
        asked, self._asked = self._asked, None
        if refusal and braces.refusal_code(refusal) == SLOW_DOWN:
            self._queue.appendleft(asked)
            self._breath.start(BREATH)
        elif refusal:
            self.refused.emit(asked, refusal)
        else:
            self.delivered.emit(asked)
        self._next()

    # The end.

    def _turned_away(self, sentence: str) -> None:
        if self._waits:
            self._wait(sentence.rstrip("."))
        else:
            self._drop()
            self._become(State.OFFLINE, f"Refused: {sentence}")

    def _failed(self, error: QAbstractSocket.SocketError) -> None:
        if error != QAbstractSocket.RemoteHostClosedError:  # after which `disconnected` comes
            self._ended(_REASONS.get(error) or self._socket.errorString().rstrip("."))

    def _closed(self) -> None:
        self._ended("the server has closed the connection")

    def _too_silent(self) -> None:
        self._ended("the server does not answer")

    def _ask_whether_alive(self) -> None:
        self._socket.write(braces.request_users())
        self._silence.start(ANSWER)

    def _ended(self, reason: str) -> None:
        if self.state is State.LEAVING:
            self._drop()
            self._become(State.OFFLINE, "Disconnected")
        elif self.state is State.ONLINE:
            self._waits = self._pauses()
            self._wait(f"Connection lost: {reason}")
        elif self.state is State.CONNECTING and self._waits:
            self._wait(f"Connection lost, and {self._address} cannot be reached: {reason}")
        elif self.state is State.CONNECTING:
            self._drop()
            self._become(State.OFFLINE, f"Cannot reach {self._address}: {reason}.")

    def _wait(self, reason: str) -> None:
        self._drop()
        seconds = next(self._waits)
        self._pause.start(int(seconds * 1000))
        self._become(State.WAITING, f"{reason}. Next attempt in {max(seconds, 1):.0f} s")

    def _drop(self) -> None:
        """Let go of the connection; what it has not said goes back to whoever wrote it."""
        for timer in (self._silence, self._alive, self._pause, self._breath):
            timer.stop()
        self._socket.blockSignals(True)
        self._socket.abort()
        self._socket.blockSignals(False)
        unsaid = [*filter(None, [self._asked]), *self._queue]
        self._asked = None
        self._queue.clear()
        if unsaid:
            self.returned.emit(unsaid)

    @property
    def _address(self) -> str:
        return f"{self._target.host}:{self._target.port}"

    def _become(self, state: State, status: str) -> None:
        self.state, self.status = state, status
        self.changed.emit()

    def _timer(self, callback: Callable[[], None]) -> QTimer:
        timer = QTimer(self, singleShot=True)
        timer.timeout.connect(callback)
        return timer
