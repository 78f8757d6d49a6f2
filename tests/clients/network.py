"""A network without sockets: connections that a test can refuse, hold back and end."""

import asyncio
from collections.abc import Callable
from itertools import repeat

from webchat.clients.link import ChatState, ConnectionLost, Link, Refused
from webchat.clients.transcript import TranscriptItem


class FakeWire:
    """A `Wire` that ends when the test says so. `sent` are the lines that have arrived."""

    def __init__(self, network: "Network", show: Callable[[TranscriptItem], None]):
        self._network = network
        self.show = show
        self.end = asyncio.get_running_loop().create_future()
        self.name = self.password = ""
        self.sent: list[str] = []
        self.closed = self.aborted = False

    async def log_in(self, name: str, password: str) -> None:
        self.name, self.password = name, password
        if self._network.refused_logins:
            raise self._network.refused_logins.pop(0)
        self._network.state.leave_all_rooms()
        self._network.state.groups = self._network.groups

    async def join(self, room: str) -> None:
        if room in self._network.closed_rooms:
            raise Refused("No.")
        self._network.state.enter_room(room)

    async def send(self, line: str) -> None:
        if self.end.done():
            raise ConnectionLost("The connection is lost")
        if self._network.refused_lines.get(line):
            raise self._network.refused_lines[line].pop(0)
        self.sent.append(line)
        if line == "/part" and self._network.state.room:
            self._network.state.leave_room(self._network.state.room)

    async def deliver(self, line: str) -> None:
        await self.send(line)

    async def wait_closed(self) -> str:
        return await asyncio.shield(self.end)

    async def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class Network:
    """A link, the connections that it has opened, and what it has reported.

    `down` is the number of attempts to connect that fail from now on, `refused_logins` are raised by the next logins,
    `refused_lines` by the next attempts to send a line: Refused, or ConnectionLost.
    """

    def __init__(self, state: ChatState, show: Callable[[TranscriptItem], None] = lambda item: None,
                 report: Callable[[str], None] = lambda sentence: None,
                 changed: Callable[[bool, str], None] = lambda online, status: None):
        self.state = state
        self.wires: list[FakeWire] = []
        self.down = 0
        self.refused_logins: list[Refused] = []
        self.refused_lines: dict[str, list[Exception]] = {}
        self.groups: tuple[str, ...] = ()
        self.closed_rooms: set[str] = set()
        self.reports: list[str] = []
        self.statuses: list[tuple[bool, str]] = []
        self._callbacks = report, changed
        self.link = Link(self._open, state, show, self._report, self._changed, lambda: repeat(0))

    @property
    def sent(self) -> list[str]:
        """The lines that have arrived, over all connections."""
        return [line for wire in self.wires for line in wire.sent]

    async def _open(self, show: Callable[[TranscriptItem], None]) -> FakeWire:
        if self.down:
            self.down -= 1
            raise ConnectionLost("Cannot reach it")
        self.wires.append(FakeWire(self, show))
        return self.wires[-1]

    def _changed(self, online: bool, status: str) -> None:
        assert (self.link.online, self.link.status) == (online, status)
        self.statuses.append((online, status))
        self._callbacks[1](online, status)

    def _report(self, sentence: str) -> None:
        self.reports.append(sentence)
        self._callbacks[0](sentence)

    async def lose(self) -> None:
        """End the connection, and wait for the next one."""
        self.wires[-1].end.set_result("The server has closed the connection")
        while self.link.online:
            await asyncio.sleep(0)
        await self.link.wait_online()
