"""A connection that speaks lines over TCP. Commands are the server's own; what is read out of its sentences is who is
here, which rooms there are and where one is talking."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from webchat.clients.address import Address
from webchat.clients.link import ANSWER_TIME, Here, Lost, Refused, unreachable
from webchat.clients.transcript import Item, Sentence, Spoken
from webchat.codecs import commands, json_events, lines

GOODBYE_TIME = 5.0
"""Seconds for the server to take in the last lines and close."""

ROOMS = lines.encode_typed("/rooms")
"""The question whose answer marks that everything before it has been dealt with; it is short, and costs nobody else."""

_KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 40_000}
"""When a peer that has vanished is given up: seconds, seconds, probes, and ms for what it has not acknowledged (Linux's
names; other systems keep their defaults)."""


class LineWire:
    """See `webchat.clients.link.Wire`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, here: Here,
                 hear: Callable[[Item], None]):
        self._reader = reader
        self._writer = writer
        self._here = here
        self._hear = hear
        self._listener = lines.ServerLineDecoder()
        self._unread: deque[lines.ReceivedLine] = deque()
        self._marks: deque[asyncio.Future[None]] = deque()
        self._refusals: list[str] | None = None
        self._leaving = False
        self._password = ""
        self._listening: asyncio.Task[str] | None = None

    @classmethod
    async def open(cls, address: Address, here: Here, hear: Callable[[Item], None]) -> "LineWire":
        """Connect. Raises Lost."""
        try:
            async with asyncio.timeout(ANSWER_TIME):
                reader, writer = await asyncio.open_connection(address.host, address.port)
        except OSError as error:
            raise unreachable(address, error) from error
        _watch(writer.get_extra_info("socket"))
        return cls(reader, writer, here, hear)

    async def enter(self, name: str, password: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIME):
                greeting = await self._next()
                if code := lines.refusal_code(greeting.text):
                    raise Refused(greeting.text, code)
                await self._write(lines.encode_login(name, password) if password else lines.encode_typed(name))
                answer = await self._next()
        except TimeoutError as error:
            raise Lost("Something answers there, but it is no webchat for lines") from error
        if lines.assigned_name(answer.text) is None:
            raise Refused(answer.text.removesuffix(lines.LOGIN_HINT).rstrip(), lines.refusal_code(answer.text))
        self._here.room, self._here.rooms, self._password = None, [], password
        self._take(answer)
        self._listening = asyncio.create_task(self._listen())
        await self._mark()

    async def join(self, room: str) -> None:
        await self.deliver(f'/join "{room}"')
        if (self._here.room or "").casefold() != room.casefold().removeprefix("#"):
            raise Refused("You are not a member of that room.", "not-a-member")

    async def send(self, line: str) -> None:
        for one in line.splitlines():
            if one.strip():
                await self._write(lines.encode_typed(one))
                self._echo(one)

    async def deliver(self, line: str) -> None:
        self._refusals = None if line.startswith("/") else []
        try:
            await self._write(lines.encode_typed(line))
            if refusals := await self._mark():
                raise Refused(refusals[0], lines.refusal_code(refusals[0]))
        finally:
            self._refusals = None

    async def ended(self) -> str:
        return await asyncio.shield(self._listening)

    async def leave(self) -> None:
        self._leaving = True
        try:
            async with asyncio.timeout(GOODBYE_TIME):
                await self._write(lines.encode_typed("/quit"))
                await self.ended()
        except (Lost, TimeoutError):
            pass
        self.abort()

    def abort(self) -> None:
        if self._listening:
            self._listening.cancel()
        self._writer.close()

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Lost("The connection is lost") from error

    async def _mark(self) -> list[str] | None:
        """Wait until the server has dealt with all that was sent; what it refused of that. Raises Lost."""
        mark = asyncio.get_running_loop().create_future()
        self._marks.append(mark)
        await self._write(ROOMS)
        await asyncio.wait([mark, self._listening], return_when=asyncio.FIRST_COMPLETED)
        if not mark.done():
            raise Lost(self._listening.result())
        return mark.result()

    async def _next(self) -> lines.ReceivedLine:
        while not self._unread:
            try:
                data = await self._reader.read(65536)
            except OSError as error:
                raise Lost("The connection is lost") from error
            if not data:
                raise Lost("The server has closed the connection")
            self._unread.extend(self._listener.receive(data))
        return self._unread.popleft()

    async def _listen(self) -> str:
        try:
            while True:
                self._take(await self._next())
        except Lost as lost:
            return str(lost)
        finally:
            self._writer.close()  # a server that is going down waits for that

    def _take(self, heard: lines.ReceivedLine) -> None:
        if heard.kind == "server":
            self._sentence(heard.text)
        else:
            self._hear(Spoken(heard.sender, heard.text, heard.room, heard.kind == "private"))

    def _sentence(self, text: str) -> None:
        if (groups := lines.listed_rooms(text)) is not None:
            self._here.groups = groups
            if self._marks:
                self._marks.popleft().set_result(self._refusals)
                self._refusals = None  # what the server says from here on is no answer
                return
        self._learn(text)
        if self._leaving:
            return
        if self._refusals is not None and not lines.is_presence(text):
            self._refusals.append(text)
        else:
            self._hear(Sentence(text))

    def _learn(self, text: str) -> None:
        """What a sentence says of who is here and where one is talking."""
        here = self._here
        if name := lines.assigned_name(text):
            here.name, here.password = name, self._password if name.endswith("*") else ""
        if people := lines.listed_people(text):
            here.people = set(people)
        if moved := lines.presence_change(text):
            name, came = moved
            (here.people.add if came else here.people.discard)(name)
        if talking := lines.current_target(text):
            if room := talking[0]:
                here.enter(room)
            elif here.room:
                here.leave(here.room)

    def _echo(self, line: str) -> None:
        """Show what one says oneself: the server does not send it back. A command that it knows answers for itself."""
        here = self._here
        try:
            request = commands.parse(commands.without_own_name(line, here.name), here.room)
        except json_events.ChatError:
            return
        match request:
            case json_events.Say(text, room):
                self._hear(Spoken(here.name, text, room))
            case json_events.Tell(to_user, text) if not here.is_me(to_user):
                self._hear(Spoken(here.name, text, private=True, to=to_user))
            case json_events.Part(room):
                here.leave(room)
            case json_events.Login(_, password):
                self._password = password


def _watch(sock: socket.socket) -> None:
    """Have the system notice when the other side has vanished without a word."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
