"""What the TCP doors share: how a connection is read, how it logs in, how it ends.

A TCP door is a subclass of `TCPDoor` with a subclass of `Connection`: see `webchat.gateways.lines` and
`webchat.gateways.braces`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Generic

from tornado.iostream import StreamClosedError
from tornado.tcpserver import TCPServer

from webchat.chat.errors import ChatError, ServerFull
from webchat.chat.events import Event
from webchat.chat.hub import Hub
from webchat.chat.limits import LOGIN_TIME, LOGIN_TRIES
from webchat.chat.session import Session
from webchat.codecs.greetings import OtherProtocol
from webchat.codecs.stream_input import ItemT, StreamDecoder
from webchat.net.accept import PatientAccept, Stream
from webchat.net.errors import ProtocolViolation
from webchat.net.half_open import HalfOpenStream, HalfOpenTLSStream
from webchat.net.outbox import Outbox, SendQueue
from webchat.net.timers import Timer
from webchat.net.tls import end_writing

log = logging.getLogger(__name__)

SEGMENT_SIZE = 32 * 1024
"""Bytes read at once."""

PEER_CLOSE_TIME = 1.0
"""Seconds that a peer has to receive the last words and to close its own side."""

ITEMS_PER_TURN = 16
"""Items of one segment that are handled before the other connections get their turn."""


CallLater = Callable[[float, Callable[[], None]], Timer]


class TCPDoor(PatientAccept, TCPServer):
    """One listening port of the chat; a `webchat.gateways.door.Door`.

    A connection is closed if nobody has logged in `login_time` seconds after it was accepted, and after `login_tries`
    refused logins. A peer has `close_time` seconds to close its own side after the last words.
    `call_later(seconds, callback)` is the running event loop's unless given.
    """

    connection: type[Connection[Any]]
    purpose: str
    """A sentence that says what this port is for, in ASCII."""

    stream, tls_stream = HalfOpenStream, HalfOpenTLSStream

    def __init__(self, hub: Hub, outbox: Outbox, *, login_time: float = LOGIN_TIME,
                 login_tries: int = LOGIN_TRIES, close_time: float = PEER_CLOSE_TIME,
                 call_later: CallLater | None = None):
        super().__init__(max_buffer_size=4 * SEGMENT_SIZE, read_chunk_size=SEGMENT_SIZE)
        self.hub = hub
        self.outbox = outbox
        self.login_time = login_time
        self.login_tries = login_tries
        self.close_time = close_time
        self._call_later = call_later
        self.connections: set[Connection[Any]] = set()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call something after this many seconds, unless it is cancelled."""
        return (self._call_later or asyncio.get_running_loop().call_later)(seconds, callback)

    async def handle_stream(self, stream: Stream,  # type: ignore[override]  # no other class arrives
                            address: tuple[Any, ...]) -> None:
        """Serve a connection that Tornado's server has accepted."""
        connection = self.connection(self, stream, str(address[0]) if address else "")
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)

    async def drain(self, reason: str) -> None:
        """Accept no more connections, tell every peer the reason, and return when all connections have ended.

        Peers that keep their side open are waited for no longer than twice the close time.
        """
        self.stop()
        for connection in list(self.connections):
            connection.close(reason)
        if tasks := [connection.task for connection in self.connections if connection.task]:
            await asyncio.wait(tasks, timeout=2 * self.close_time)


class Connection(Generic[ItemT]):
    """One TCP connection; the outlet of its session.

    A subclass has a `decoder`, which turns bytes into items; it says what an item does (`handle_item`), and how events
    (`encode`, `send`) and sentences (`send_sentence`) are sent.
    """

    decoder: StreamDecoder[ItemT]
    encode: Callable[[Event], Any]
    send: Callable[[Any], None]
    """Sends a frame that `encode` has returned; never blocks, never raises."""
    echo = True

    def __init__(self, door: TCPDoor, stream: Stream, address: str):
        self.door = door
        self.hub = door.hub
        self.stream = stream
        self.address = address
        self.queue = SendQueue(door.outbox, stream, self._too_slow)
        self.task: asyncio.Task[Any] | None = None
        self.closing = False
        self._input_ended = self._output_ended = False
        self._session: Session | None = None
        self._reading: asyncio.Future[bytes] | None = None
        self._refused_logins = 0
        self._timer: Timer | None = None

    @property
    def session(self) -> Session:
        """This connection's session; there is one whenever an item is handled."""
        assert self._session is not None
        return self._session

    # What a door adds.

    def send_greeting(self) -> None:
        """Send what a new connection receives first; by default nothing."""

    async def handle_item(self, item: ItemT) -> None:
        """Do what an item asks for. Raises ChatError."""
        raise NotImplementedError

    def send_sentence(self, sentence: str) -> None:
        """Send a sentence of the server to this connection alone."""
        raise NotImplementedError

    def turn_away(self, found: OtherProtocol) -> None:
        """Tell a client of another protocol, in its own manner, what this port is for, and close the connection."""
        if answer := found.answer(self.door.purpose):
            self.queue.send(answer)
        self.close()

    def refusal_sentence(self, error: ChatError) -> str:
        """The sentence that tells this connection that something was refused."""
        return str(error)

    def flush(self) -> None:
        """Hand everything that was sent to the socket, or to its stream."""
        self.queue.flush()

    # The life of a connection.

    async def serve(self) -> None:
        """Serve the connection until it ends; never raises, and leaves nothing behind."""
        self.task = asyncio.current_task()
        try:
            self._open()
            while not self._input_ended:
                await self._handle_items(await self._next_items())
            await self._end()
        except StreamClosedError:
            pass
        except Exception:
            log.exception("A connection is dropped after an error")
        finally:
            self._clean_up()
            # They lead back here, which would keep this connection in memory until the garbage collector looks at it.
            self._session = self._reading = None

    def _open(self) -> None:
        try:
            self._session = self.hub.open(encode=self.encode, outlet=self, address=self.address, echo=self.echo)
        except ServerFull as error:
            self.close(str(error))
        else:
            self._set_timer(max(self.door.login_time - self.stream.looked_at, 0), self._login_overdue)
            self.send_greeting()

    async def _next_items(self) -> Iterable[ItemT]:
        """The items that the next segment, a silence or the end of the input completes. Raises StreamClosedError."""
        data = await self._read(self.decoder.idle_after)
        if data is None:
            return self.decoder.idle()
        if not data:
            self._input_ended = True
            return self.decoder.end()
        if self.closing:
            return []
        try:
            return self.decoder.receive(data)
        except ProtocolViolation as error:
            self.close(str(error))
            return []

    async def _read(self, timeout: float | None) -> bytes | None:
        """The next segment, b"" at the end of the input, or None if there is neither for so many seconds.

        Raises StreamClosedError.
        """
        if self._reading is None:
            self._reading = asyncio.ensure_future(self.stream.read_bytes(SEGMENT_SIZE, partial=True))
        if self._reading.done():
            await asyncio.sleep(0)  # awaiting a finished future would not let other connections run
        elif timeout is not None:
            await asyncio.wait([self._reading], timeout=timeout)
            if not self._reading.done():
                return None
        data = await self._reading
        self._reading = None
        return data

    async def _handle_items(self, items: Iterable[ItemT]) -> None:
        """Handle items one after the other. The next segment is read after that, so they stay in order."""
        for count, item in enumerate(items, 1):
            if self.closing:
                return
            try:
                await self.handle_item(item)
            except ChatError as error:
                self._refuse(error)
            if count % ITEMS_PER_TURN == 0:
                await asyncio.sleep(0)

    def _refuse(self, error: ChatError) -> None:
        self.send_sentence(self.refusal_sentence(error))
        if self.session.person is None:
            self._refused_logins += 1
            if self._refused_logins >= self.door.login_tries:
                self.close("There were too many refused logins.")

    def _login_overdue(self) -> None:
        if self.session.person is None:
            self.close("No name was given in time; connect again.")

    def _too_slow(self, reason: str) -> None:
        log.info("A connection from %s is closed: %s", self.address, reason)
        self.abort()

    # The end of a connection.

    async def _end(self) -> None:
        """The input has ended: write what the peer is still owed. Raises StreamClosedError."""
        self.flush()
        await self.queue.drain()
        await self.stream.write(b"")  # when that is done, so is everything before it
        self._end_output()

    def abort(self) -> None:
        """End the connection at once, without a reason."""
        self.closing = True
        self._clean_up()

    def close(self, reason: str = "") -> None:
        """End the connection after everything sent before, and the reason if there is one, have been written.

        The session is removed from the chat at once.
        """
        if self.closing:
            return
        self.closing = True
        if reason:
            self.send_sentence(reason)
        self.flush()
        self.queue.close()
        if self._session:
            self.hub.close(self._session)
        if not self.stream.closed():
            self._set_timer(self.door.close_time, self.stream.close)
            self.stream.write(b"").add_done_callback(self._written)

    def _written(self, writing: asyncio.Future[None]) -> None:
        if not writing.cancelled() and not writing.exception():
            self._end_output()

    def _end_output(self) -> None:
        """Tell the peer that nothing more follows; `serve` goes on reading until the peer ends its own side.

        If the socket were closed while bytes of the peer are unread, TCP would reset the connection, and the peer could
        lose the last words (RFC 1122 section 4.2.2.13).
        """
        if not self._output_ended and not self.stream.closed():
            self._output_ended = True
            with suppress(OSError):
                end_writing(self.stream.socket)

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.door.call_later(seconds, callback)

    def _clean_up(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._session:
            self.hub.close(self._session)
        self.queue.close()
        self.stream.close()
