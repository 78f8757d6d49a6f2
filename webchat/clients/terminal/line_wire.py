"""A connection that speaks lines over TCP.

The server carries out the commands. From its sentences this client learns who is here, which rooms the user may join,
and where typed text goes.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from webchat.clients.address import Address
from webchat.clients.link import ANSWER_TIMEOUT, NOT_A_MEMBER_CODE, ChatState, ConnectionLost, Refused
from webchat.clients.terminal.connecting import failure
from webchat.clients.transcript import SystemMessage, TranscriptItem, UserMessage
from webchat.clients.trust import SYSTEM_TRUST, Trust
from webchat.codecs import commands, json_events, lines

CLOSE_TIMEOUT = 5.0
"""Seconds that the server may take to process the last lines and close."""

_SYNC_REQUEST = lines.encode_typed("/rooms")
"""The server answers in order, so the answer to this shows that it has processed everything sent before. It is short,
and only this client gets it."""

_KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 40_000}
"""When a silent peer counts as gone: seconds idle, seconds between probes, probes, and ms for unacknowledged data.
These are Linux's names; systems without them keep their defaults."""


_TLS_HINT = "; with TLS the address begins with tls://"


class LineWire:
    """See `webchat.clients.link.Wire`. The timeouts are in seconds."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, state: ChatState,
                 show: Callable[[TranscriptItem], None], answer_timeout: float = ANSWER_TIMEOUT,
                 close_timeout: float = CLOSE_TIMEOUT):
        self._reader = reader
        self._writer = writer
        self._state = state
        self._show = show
        self._answer_timeout = answer_timeout
        self._close_timeout = close_timeout
        self._decoder = lines.ServerLineDecoder()
        self._unread: deque[lines.ReceivedLine] = deque()
        self._closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._listener: asyncio.Task[None] | None = None
        self._syncs: deque[asyncio.Future[list[str]]] = deque()
        self._refusals: list[str] | None = None  # a list while a text is being delivered
        self._closing = False
        self._password = ""

    @classmethod
    async def open(cls, address: Address, state: ChatState, show: Callable[[TranscriptItem], None],
                   trust: Trust = SYSTEM_TRUST) -> "LineWire":
        """Connect, with TLS if the address says so. Raises ConnectionLost."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                tls = trust.context if address.tls else None
                reader, writer = await asyncio.open_connection(address.host, address.port, ssl=tls)
        except OSError as error:
            raise await failure(address, trust, error) from error
        _enable_keepalive(writer.get_extra_info("socket"))
        return cls(reader, writer, state, show)

    async def log_in(self, name: str, password: str) -> None:
        try:
            async with asyncio.timeout(self._answer_timeout):
                greeting = await self._read_line()
                if lines.expects_tls(greeting.text):
                    raise ConnectionLost(f"That port expects TLS{_TLS_HINT}")
                if code := lines.refusal_code(greeting.text):
                    raise Refused(greeting.text, code)
                await self._write(lines.encode_login(name, password) if password else lines.encode_typed(name))
                answer = await self._read_line()
        except TimeoutError as error:
            hint = "" if self._writer.get_extra_info("ssl_object") else _TLS_HINT
            raise ConnectionLost(f"Something answers there, but it is no webchat for lines{hint}") from error
        if lines.assigned_name(answer.text) is None:
            raise Refused(lines.without_hint(answer.text), lines.refusal_code(answer.text))
        self._state.leave_all_rooms()
        self._password = password
        self._handle(answer)
        self._listener = asyncio.create_task(self._listen())
        await self._sync()

    async def join(self, room: str) -> None:
        await self.deliver(f'/join "{room}"')
        if (self._state.room or "").casefold() != room.casefold().removeprefix("#"):
            raise Refused("You are not a member of that room.", NOT_A_MEMBER_CODE)

    async def send(self, line: str) -> None:
        for each in line.splitlines():
            if each.strip():
                await self._write(lines.encode_typed(each))
                self._show_own(each)

    async def deliver(self, line: str) -> None:
        self._refusals = None if line.startswith("/") else []
        try:
            await self._write(lines.encode_typed(line))
            if refusals := await self._sync():
                raise Refused(refusals[0], lines.refusal_code(refusals[0]))
        finally:
            self._refusals = None

    async def wait_closed(self) -> str:
        return await asyncio.shield(self._closed)

    async def close(self) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._write(lines.encode_typed("/quit"))
                await self.wait_closed()
        except (ConnectionLost, TimeoutError):
            pass
        self.abort()

    def abort(self) -> None:
        if self._listener:
            self._listener.cancel()
        if not self._closed.done():
            self._closed.set_result("The connection is closed")
        self._writer.close()

    # Requests.

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost("The connection is lost") from error

    async def _sync(self) -> list[str]:
        """Wait until the server has processed all that was sent. Returns what it refused. Raises ConnectionLost."""
        sync: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._syncs.append(sync)
        await self._write(_SYNC_REQUEST)
        either: list[asyncio.Future[Any]] = [sync, self._closed]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not sync.done():
            raise ConnectionLost(await self.wait_closed())
        return sync.result()

    def _show_own(self, line: str) -> None:
        """Show what the user says, because the server does not send it back, and note what a command changes.

        Nothing else is shown: the server answers the other commands, and those that it does not know.
        """
        state = self._state
        try:
            request = commands.parse(commands.without_own_name(line, state.name), state.room)
        except json_events.ChatError:
            return
        match request:
            case json_events.Say(text, room):
                self._show(UserMessage(state.name, text, room))
            case json_events.Tell(to_user, text) if not state.is_own_name(to_user):
                self._show(UserMessage(state.name, text, private=True, to=to_user))
            case json_events.Part(room):
                state.leave_room(room)
            case json_events.Login(_, password):
                self._password = password

    # What the server sends.

    async def _listen(self) -> None:
        try:
            while True:
                self._handle(await self._read_line())
        except ConnectionLost as lost:
            self._closed.set_result(str(lost))
        finally:
            self._writer.close()  # a server that is shutting down waits for that

    async def _read_line(self) -> lines.ReceivedLine:
        while not self._unread:
            try:
                data = await self._reader.read(65536)
            except OSError as error:
                raise ConnectionLost("The connection is lost") from error
            if not data:
                raise ConnectionLost("The server has closed the connection")
            self._unread.extend(self._decoder.receive(data))
        return self._unread.popleft()

    def _handle(self, line: lines.ReceivedLine) -> None:
        if line.sender is None:
            self._handle_sentence(line.text)
        else:
            self._show(UserMessage(line.sender, line.text, line.room, line.kind == "private"))

    def _handle_sentence(self, text: str) -> None:
        if (groups := lines.listed_rooms(text)) is not None:
            self._state.groups = groups
            if self._syncs:
                self._syncs.popleft().set_result(self._refusals or [])
                self._refusals = None  # what follows does not answer the text that was being delivered
                return
        self._update_state(text)
        if self._closing:
            return
        if self._refusals is not None and not lines.is_presence(text):
            self._refusals.append(text)
        else:
            self._show(SystemMessage(text))

    def _update_state(self, text: str) -> None:
        """Learn from a sentence who is here and where typed text goes."""
        state = self._state
        if name := lines.assigned_name(text):
            state.name, state.password = name, self._password if name.endswith("*") else ""
        if people := lines.listed_people(text):
            state.people = set(people)
        if change := lines.presence_change(text):
            name, came = change
            (state.people.add if came else state.people.discard)(name)
        if target := lines.current_target(text):
            if room := target[0]:
                state.enter_room(room)
            elif state.room:
                state.leave_room(state.room)


def _enable_keepalive(sock: socket.socket) -> None:
    """Make the system report a peer that has disappeared without closing the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
