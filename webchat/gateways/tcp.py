"""What the TCP doors share: how a connection is read, how it logs in, how it ends.

A door is a `TCPDoor` with a subclass of `Connection`; `webchat.gateways.lines.LineDoor` and
`webchat.gateways.braces.BraceDoor` are the two. Each is made with (hub, outbox) and has `add_sockets(sockets)`,
`stop()` (accept no more) and `async drain(reason)` (say why, end every connection, wait until all are gone).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpserver import TCPServer

from webchat.chat.errors import ChatError, ServerFull
from webchat.chat.events import Event
from webchat.chat.hub import Hub
from webchat.chat.limits import LOGIN_TRIES, TYPED_LOGIN_TIME
from webchat.chat.session import Session
from webchat.net.accept import PatientAccept
from webchat.net.errors import ProtocolViolation
from webchat.net.outbox import Outbox, SendQueue

log = logging.getLogger(__name__)

SEGMENT_SIZE = 32 * 1024
"""Bytes read at once, and thereby the most that one connection can make wait for the chat."""

PEER_CLOSE_TIME = 1.0
"""Seconds that a peer has to take in the last words and close its own side."""

ITEMS_PER_TURN = 16
"""Commands of one segment that are carried out before everybody else has a turn."""


class TCPDoor(PatientAccept, TCPServer):
    """One listening port of the chat. Times are in seconds."""

    connection: type[Connection]

    def __init__(self, hub: Hub, outbox: Outbox, *, login_time: float = TYPED_LOGIN_TIME,
                 login_tries: int = LOGIN_TRIES, linger: float = PEER_CLOSE_TIME):
        super().__init__(max_buffer_size=4 * SEGMENT_SIZE, read_chunk_size=SEGMENT_SIZE)
        self.hub = hub
        self.outbox = outbox
        self.login_time = login_time
        self.login_tries = login_tries
        self.linger = linger
        self.connections: set[Connection] = set()

    async def handle_stream(self, stream: IOStream, address: tuple) -> None:
        connection = self.connection(self, stream, str(address[0]) if address else "")
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)

    async def drain(self, reason: str) -> None:
        """Accept no more, tell everybody why, and return when all connections have ended."""
        self.stop()
        for connection in list(self.connections):
            connection.close(reason)
        if tasks := [connection.task for connection in self.connections if connection.task]:
            await asyncio.wait(tasks, timeout=2 * self.linger)


class Connection:
    """One connection, and its session's outlet.

    A subclass says how bytes become items (`decoder`), what an item does (`act`) and how the server speaks (`tell`).
    """

    encode: Callable[[Event], Any]
    echo = True

    def __init__(self, door: TCPDoor, stream: IOStream, address: str):
        self.door = door
        self.hub = door.hub
        self.stream = stream
        self.address = address
        self.queue = SendQueue(door.outbox, stream, self._too_slow)
        self.session: Session | None = None
        self.task: asyncio.Task | None = None
        self.leaving = False
        self._reading: asyncio.Future[bytes] | None = None
        self._refusals = 0
        self._timer: asyncio.TimerHandle | None = None

    # What a door adds.

    decoder: Any

    def greet(self) -> None:
        """The first words, if any."""

    async def act(self, item: Any) -> None:
        """Do what one decoded item asks for. Raises ChatError."""
        raise NotImplementedError

    def tell(self, sentence: str) -> None:
        """A sentence from the server to this connection alone."""
        raise NotImplementedError

    def send(self, frame: Any) -> None:
        """The session's frames; never blocks, never raises."""
        raise NotImplementedError

    def flush(self) -> None:
        """Hand everything to the socket or its stream."""
        self.queue.flush()

    # The life of a connection.

    async def serve(self) -> None:
        """From the first byte to the last. However it ends, nothing is left behind."""
        self.task = asyncio.current_task()
        try:
            self._open()
            while True:
                await self._carry_out(await self._receive())
        except StreamClosedError:
            pass
        except Exception:
            log.exception("A connection is dropped after an error")
        finally:
            self._end()

    def _open(self) -> None:
        try:
            self.session = self.hub.open(encode=type(self).encode, outlet=self, address=self.address, echo=self.echo)
        except ServerFull as error:
            self.close(str(error))
        else:
            self._expect_login()
            self.greet()

    async def _receive(self) -> list[Any]:
        """What the next segment, the next silence or the end of the input brings. Raises StreamClosedError."""
        try:
            if self._reading is None:
                self._reading = self.stream.read_bytes(SEGMENT_SIZE, partial=True)
            deadline = self.decoder.idle_after
            if self._reading.done():
                await asyncio.sleep(0)  # an await that has nothing to wait for would let nobody else run
            elif deadline is not None:
                await asyncio.wait([self._reading], timeout=deadline)
                if not self._reading.done():
                    return self.decoder.idle()
            data = await self._reading
        except StreamClosedError as error:
            if self.leaving or error.real_error or not (rest := self.decoder.end()):
                raise
            return rest  # the next read raises again
        self._reading = None
        try:
            return [] if self.leaving else self.decoder.receive(data)
        except ProtocolViolation as error:
            self.close(str(error))
            return []

    async def _carry_out(self, items: list[Any]) -> None:
        """One after the other, in the order of sending; the next segment is read when this one is done."""
        for count, item in enumerate(items, 1):
            if self.leaving:
                return
            try:
                await self.act(item)
            except ChatError as error:
                self._refuse(error)
            if self.session.person is None and not self.leaving:
                self._expect_login()
            if not count % ITEMS_PER_TURN:
                await asyncio.sleep(0)
        # Now, and not at the end of the turn: a peer that has closed its sending side is still to get its answers, and
        # the stream closes as soon as it sees that.
        self.queue.write()

    def _refuse(self, error: ChatError) -> None:
        self.tell(self.explain(error))
        if self.session.person is None:
            self._refusals += 1
            if self._refusals >= self.door.login_tries:
                self.close("That was too often.")

    def explain(self, error: ChatError) -> str:
        """The sentence for a refusal."""
        return str(error)

    def _expect_login(self) -> None:
        self._set_timer(self.door.login_time, self._login_overdue)

    def _login_overdue(self) -> None:
        if self.session.person is None:
            self.close("Nobody gave a name in time.")

    def _too_slow(self, reason: str) -> None:
        log.info("A connection from %s is closed: %s", self.address, reason)
        self.abort()

    def abort(self) -> None:
        """End at once, without a word."""
        self.leaving = True
        self._end()

    def close(self, reason: str = "") -> None:
        """End after what was sent before, and `reason`, if any, have left. The chat forgets the session at once."""
        if self.leaving:
            return
        self.leaving = True
        if self.session:
            self.hub.close(self.session)
        if reason:
            self.tell(reason)
        self.flush()
        self.queue.close()
        if not self.stream.closed():
            self._set_timer(self.door.linger, self.stream.close)
            self.stream.write(b"").add_done_callback(self._half_close)

    def _half_close(self, written: asyncio.Future) -> None:
        """Close our side only: closing both while bytes of the peer's are unread would reset it, last words and all."""
        if not written.cancelled() and not written.exception() and not self.stream.closed():
            with suppress(OSError):
                self.stream.socket.shutdown(socket.SHUT_WR)

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _end(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self.session:
            self.hub.close(self.session)
        self.queue.close()
        self.stream.close()
