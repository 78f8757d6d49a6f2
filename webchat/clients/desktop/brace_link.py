"""A connection that speaks braces, driven by Qt's event loop: no call blocks."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from PyQt5.QtCore import QObject, QTimer, pyqtSignal
from PyQt5.QtNetwork import QAbstractSocket, QTcpSocket

from webchat.clients.address import Address
from webchat.clients.desktop.tls import TLSSession
from webchat.clients.link import ANSWER_TIMEOUT, SLOW_DOWN_CODE, SLOW_DOWN_PAUSE, pauses
from webchat.clients.trust import SYSTEM_TRUST, Trust
from webchat.codecs import braces
from webchat.codecs.braces import ALL


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """Seconds: for an answer, between checks of a silent connection, for a goodbye, and after "slow down"."""

    answer: float = ANSWER_TIMEOUT
    check: float = 20.0
    goodbye: float = 1.0
    slow_down: float = SLOW_DOWN_PAUSE


DEFAULT_TIMES = LinkTimes()


class ConnectionState(Enum):
    """The state of a `BraceLink`."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"  # lost; the next attempt comes after a pause
    LEAVING = "leaving"


class ConnectionTarget(NamedTuple):
    """The server to connect to, and the name to register."""

    host: str
    port: int
    name: str
    password: str = ""
    tls: bool = False

    @property
    def address(self) -> Address:
        """Where the server is, as people write it."""
        return Address(self.host, self.port, tls=self.tls)


class OutgoingMessage(NamedTuple):
    """One line for one person, or for `ALL`."""

    to: str
    text: str


_REASONS = {
    QAbstractSocket.SocketError.ConnectionRefusedError: "nobody listens there",
    QAbstractSocket.SocketError.HostNotFoundError: "there is no host of that name",
    QAbstractSocket.SocketError.SocketTimeoutError: "it does not answer",
    QAbstractSocket.SocketError.NetworkError: "there is no route to that network",
}


class BraceLink(QObject):
    """The connection of one user. `state` is for programs, `status` says the same in words for people.

    Messages are sent one after the other, each after the server has processed the one before. So each is known to be
    delivered, refused, or, when the connection ended first, not known to have arrived.
    """

    changed = pyqtSignal()
    people = pyqtSignal(tuple)  # the shown names of all people online, the user's included
    received = pyqtSignal(object)  # a braces.ReceivedMessage or braces.ServerLine
    delivered = pyqtSignal(object)  # an OutgoingMessage
    refused = pyqtSignal(object, str)  # an OutgoingMessage and the reason
    returned = pyqtSignal(list)  # of OutgoingMessages: those that the connection ended before

    def __init__(self, parent: QObject | None = None, pauses: Callable[[], Iterator[float]] = pauses,
                 times: LinkTimes = DEFAULT_TIMES, trust: Trust = SYSTEM_TRUST):
        super().__init__(parent)
        self.state = ConnectionState.OFFLINE
        self.status = "Not connected"
        self.name = ""
        self._pauses = pauses
        self._times = times
        self._trust = trust
        self._tls: TLSSession | None = None  # of the present connection
        self._target = ConnectionTarget("", 0, "")
        self._retry_pauses: Iterator[float] | None = None  # set while a lost connection is being opened again
        self._decoder = braces.ServerFrameDecoder()
        self._names: tuple[str, ...] = ()
        self._spellings: frozenset[str] = frozenset()
        self._queue: deque[OutgoingMessage] = deque()
        self._in_flight: OutgoingMessage | None = None
        self._refusal: str | None = None  # of the private message in flight
        self._socket = QTcpSocket(self)
        self._socket.connected.connect(self._connected)
        self._socket.readyRead.connect(self._read)
        self._socket.disconnected.connect(self._disconnected)
        self._socket.errorOccurred.connect(self._failed)
        self._answer_timer = self._timer(self._answer_overdue)
        self._check_timer = self._timer(self._check)
        self._retry_timer = self._timer(self._connect)
        self._slow_down_timer = self._timer(self._send_next)

    # What the window calls.

    def open(self, target: ConnectionTarget) -> None:
        """Connect and register. `changed` reports the progress."""
        self._target, self._retry_pauses = target, None
        self._connect()

    def close(self) -> None:
        """Leave the chat. `state` becomes OFFLINE after the server has closed the connection."""
        if self.state is ConnectionState.ONLINE:
            self._write(braces.quit())
            self._set_state(ConnectionState.LEAVING, "Saying goodbye …")
            self._start(self._answer_timer, self._times.goodbye)
            self._socket.disconnectFromHost()
        elif self.state is not ConnectionState.LEAVING:
            self._drop()
            self._set_state(ConnectionState.OFFLINE, "Disconnected")

    def send(self, to: str, text: str) -> None:
        """Send each line of a text to a person, or to `ALL`."""
        self._queue.extend(OutgoingMessage(to, line) for line in text.splitlines() if line.strip())
        self._send_next()

    # Connecting and receiving.

    def _connect(self) -> None:
        self._drop()
        self._decoder, self._names = braces.ServerFrameDecoder(), ()
        self._tls = TLSSession(self._trust.context, self._target.host) if self._target.tls else None
        self._set_state(ConnectionState.CONNECTING, f"Connecting to {self._address} …")
        self._start(self._answer_timer, self._times.answer)
        self._socket.connectToHost(self._target.host, self._target.port)

    def _connected(self) -> None:
        self._socket.setSocketOption(QAbstractSocket.SocketOption.LowDelayOption, 1)
        if self._tls:
            self._socket.write(self._tls.outgoing())
        else:
            self._register()

    def _register(self) -> None:
        self._write(braces.register(self._target.name, self._target.password))

    def _write(self, data: bytes) -> None:
        if self._tls:
            self._tls.send(data)
            data = self._tls.outgoing()
        self._socket.write(data)

    def _read(self) -> None:
        self._start(self._check_timer, self._times.check)
        data = bytes(self._socket.readAll())
        if self._tls:
            try:
                data = self._decrypted(self._tls, data)
            except OSError as error:
                self._tls_failed(error)
                return
        for frame in self._decoder.receive(data):
            if self.state in (ConnectionState.CONNECTING, ConnectionState.ONLINE):
                self._handle(frame)
        if self._in_flight is None and self.state is ConnectionState.ONLINE:
            self._answer_timer.stop()

    def _decrypted(self, tls: TLSSession, data: bytes) -> bytes:
        """What was said in this; register as soon as the handshake is done. Raises OSError."""
        is_handshake = not tls.established
        try:
            said = tls.receive(data)
        finally:
            self._socket.write(tls.outgoing())  # an alert, if the server is not to be trusted
        if is_handshake and tls.established:
            self._register()
        return said

    def _tls_failed(self, error: OSError) -> None:
        self._ended(self._trust.problem(error, self._target.address.without_tls) or str(error))

    def _handle(self, frame: braces.ReceivedFrame) -> None:
        match frame:
            case braces.Registered(name):
                self._registered(name)
            case braces.ClientList(names):
                self._listed(names)
            case braces.ReceivedMessage():
                self._handle_message(frame)
            case braces.ServerLine():
                self._handle_sentence(frame)

    def _registered(self, name: str) -> None:
        self.name, self._retry_pauses = name, None
        self._set_state(ConnectionState.ONLINE, f"Connected as {name}")
        self._send_next()

    def _listed(self, names: tuple[str, ...]) -> None:
        changed, self._names = names != self._names, names
        if changed:
            self._spellings = braces.spellings(names)
            self.people.emit(names)
        # A private message is not sent back to its sender. The list that was requested together with it shows that the
        # server has processed it. A changed list may have come unrequested, before that: then another one is requested.
        sent = self._in_flight
        if sent and sent.to != ALL:
            if changed:
                self._write(braces.request_users())
            else:
                self._settle(sent, self._refusal)

    def _handle_message(self, message: braces.ReceivedMessage) -> None:
        self.received.emit(message)
        sent, own = self._in_flight, not message.private and message.from_user == self.name
        if sent and sent.to == ALL and own:
            self._settle(sent)

    def _handle_sentence(self, line: braces.ServerLine) -> None:
        if self.state is ConnectionState.CONNECTING:
            self._login_refused(braces.without_hint(line.text))
        elif not self._in_flight or self._refusal or braces.is_presence(line.text):
            self.received.emit(line)
        elif self._in_flight.to == ALL:
            self._settle(self._in_flight, line.text)
        else:
            self._refusal = line.text  # the list is still to come, and must not count for the next message

    # Sending, one message after the other.

    def _send_next(self) -> None:
        if not self._queue or self._in_flight or self.state is not ConnectionState.ONLINE:
            return
        if self._slow_down_timer.isActive():
            return
        message = self._in_flight = self._queue.popleft()
        self._start(self._answer_timer, self._times.answer)
        if message.to == ALL:
            self._write(braces.say(message.text, self._is_user))
        else:
            told = braces.tell(message.to, message.text, self._is_user)
            self._write(told + braces.request_users())

    def _is_user(self, name: str) -> bool:
        return name in self._spellings

    def _settle(self, message: OutgoingMessage, refusal: str | None = None) -> None:
        """End the wait for the message in flight. `refusal` is the server's reason for not delivering it."""
        self._in_flight = self._refusal = None
        if refusal and braces.refusal_code(refusal) == SLOW_DOWN_CODE:
            self._queue.appendleft(message)
            self._start(self._slow_down_timer, self._times.slow_down)
        elif refusal:
            self.refused.emit(message, refusal)
        else:
            self.delivered.emit(message)
        self._send_next()

    # The end of a connection.

    def _login_refused(self, sentence: str) -> None:
        if self._retry_pauses:
            self._wait(sentence.rstrip("."), self._retry_pauses)
        else:
            self._drop()
            self._set_state(ConnectionState.OFFLINE, f"Refused: {sentence}")

    def _failed(self, error: QAbstractSocket.SocketError) -> None:
        if error != QAbstractSocket.SocketError.RemoteHostClosedError:  # `disconnected` follows that one
            self._ended(_REASONS.get(error) or self._socket.errorString().rstrip("."))

    def _disconnected(self) -> None:
        if self._tls and not self._tls.established:
            self._tls_failed(ConnectionResetError())
        else:
            self._ended("the server has closed the connection")

    def _answer_overdue(self) -> None:
        self._ended("the server does not answer")

    def _check(self) -> None:
        self._write(braces.request_users())
        self._start(self._answer_timer, self._times.answer)

    def _ended(self, reason: str) -> None:
        if self.state is ConnectionState.LEAVING:
            self._drop()
            self._set_state(ConnectionState.OFFLINE, "Disconnected")
        elif self.state is ConnectionState.ONLINE:
            self._retry_pauses = self._pauses()
            self._wait(f"Connection lost: {reason}", self._retry_pauses)
        elif self.state is ConnectionState.CONNECTING and self._retry_pauses:
            self._wait(f"Connection lost, and {self._address} cannot be reached: {reason}", self._retry_pauses)
        elif self.state is ConnectionState.CONNECTING:
            self._drop()
            self._set_state(ConnectionState.OFFLINE, f"Cannot reach {self._address}: {reason}.")

    def _wait(self, reason: str, pauses: Iterator[float]) -> None:
        self._drop()
        seconds = next(pauses)
        self._start(self._retry_timer, seconds)
        self._set_state(ConnectionState.WAITING, f"{reason}. Next attempt in {max(seconds, 1):.0f} s")

    def _drop(self) -> None:
        """Drop the connection, and return what is not known to have arrived."""
        for timer in (self._answer_timer, self._check_timer, self._retry_timer, self._slow_down_timer):
            timer.stop()
        self._socket.blockSignals(True)
        self._socket.abort()
        self._socket.blockSignals(False)
        unsent = [*filter(None, [self._in_flight]), *self._queue]
        self._in_flight = self._refusal = None
        self._queue.clear()
        if unsent:
            self.returned.emit(unsent)

    @property
    def _address(self) -> str:
        return str(self._target.address)

    def _set_state(self, state: ConnectionState, status: str) -> None:
        self.state, self.status = state, status
        self.changed.emit()

    def _timer(self, callback: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.timeout.connect(callback)
        return timer

    def _start(self, timer: QTimer, seconds: float) -> None:
        timer.start(int(seconds * 1000))
