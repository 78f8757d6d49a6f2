"""A connection that speaks the JSON events over a WebSocket.

This client carries out the commands. It reads them with the same table as the server's port for lines, so they are the
same in both protocols.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from itertools import count
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from webchat.clients.address import Address
from webchat.clients.link import ANSWER_TIMEOUT, ChatState, ConnectionLost, Refused
from webchat.clients.terminal.connecting import failure
from webchat.clients.transcript import SystemMessage, TranscriptItem, UserMessage
from webchat.clients.trust import SYSTEM_TRUST, Trust
from webchat.codecs import commands, json_events, lines

MAX_SERVER_FRAME = 4 << 20
"""Bytes of a frame from the server. The largest is a welcome with the names of thousands of people."""

MISDIRECTED = 421
"""The status with which a server answers that it has other names (RFC 9110 section 15.5.20)."""

OTHER_NAME = "the server there has other names; its operator can add this one with --allow-host"


class WebSocketWire:
    """See `webchat.clients.link.Wire`. `answer_timeout` is in seconds."""

    def __init__(self, socket: ClientConnection, state: ChatState, show: Callable[[TranscriptItem], None],
                 answer_timeout: float = ANSWER_TIMEOUT):
        self._socket = socket
        self._state = state
        self._show = show
        self._answer_timeout = answer_timeout
        self._refs = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, address: Address, state: ChatState, show: Callable[[TranscriptItem], None],
                   trust: Trust = SYSTEM_TRUST) -> "WebSocketWire":
        """Connect to the URL of an address. Raises ConnectionLost."""
        # The environment's proxy leads out of this machine.
        proxy: Literal[True] | None = None if _is_this_machine(address.host) else True
        try:
            socket = await connect(str(address), max_size=MAX_SERVER_FRAME, open_timeout=ANSWER_TIMEOUT, proxy=proxy,
                                   ssl=trust.context if address.encrypted else None)
        except InvalidStatus as error:
            status = error.response.status_code
            reason = OTHER_NAME if status == MISDIRECTED else f"no chat there (HTTP {status})"
            raise ConnectionLost(f"Cannot reach {address}: {reason}") from error
        except (InvalidHandshake, InvalidURI) as error:
            hint = "" if address.encrypted else f"; with TLS the address is {address.with_tls}"
            raise ConnectionLost(f"Cannot reach {address}: no WebSocket there{hint}") from error
        except OSError as error:
            raise await failure(address, trust, error) from error
        return cls(socket, state, show)

    async def log_in(self, name: str, password: str) -> None:
        try:
            async with asyncio.timeout(self._answer_timeout):
                await self._request(json_events.Login(name, password, self._state.token))
                await self._welcomed
        except TimeoutError as error:
            raise ConnectionLost("Something answers there, but it is no webchat") from error

    async def join(self, room: str) -> None:
        await self._join(json_events.Join(room))

    async def send(self, line: str) -> None:
        try:
            command = commands.parse(line.rstrip(), self._state.room)
        except json_events.ChatError as error:
            raise Refused(str(error), error.code) from error
        match command:
            case json_events.Say():
                await self._request(command)
            case json_events.Tell():
                await self._tell(command)
            case json_events.Join():
                await self._join(command)
            case json_events.Part():
                await self._part(command)
            case commands.ListUsers():
                people = sorted(self._state.people, key=str.casefold)
                self._show(SystemMessage(lines.people_sentence(tuple(people))))
            case commands.ListRooms():
                groups = " | ".join(self._state.groups)
                self._show(SystemMessage(f"Your rooms: {groups}" if groups else "You are not a member of any room."))
            case commands.ShowHelp():
                self._show(SystemMessage(commands.usage()))
            case commands.Quit():
                await self._socket.close()
            case _:
                raise Refused("Over a WebSocket the name cannot be changed; /quit, and log in with the other name.")

    async def deliver(self, line: str) -> None:
        await self.send(line)  # the server acknowledges each request

    async def wait_closed(self) -> str:
        return await asyncio.shield(self._listener)

    async def close(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._listener])

    def abort(self) -> None:
        self._listener.cancel()
        self._socket.transport.abort()

    # Requests.

    async def _request(self, command: json_events.Command) -> dict[str, Any]:
        """Send a request. Returns its acknowledgement. Raises Refused, ConnectionLost."""
        ref = next(self._refs)
        future = self._answers[ref] = asyncio.get_running_loop().create_future()
        event, payload = json_events.request(command)
        with suppress(ConnectionClosed):  # the listener reports the reason
            await self._socket.send(json.dumps({"type": event, "ref": ref, **payload}))
        await asyncio.wait([future, self._listener], return_when=asyncio.FIRST_COMPLETED)
        del self._answers[ref]
        if not future.done():
            raise ConnectionLost(await self.wait_closed())
        answer: dict[str, Any] = future.result()
        if not answer.get("ok"):
            raise Refused(answer.get("message", "Refused."), answer.get("code"))
        return answer

    async def _tell(self, command: json_events.Tell) -> None:
        """Show a private message after it has been sent: the server does not send it back to this connection."""
        await self._request(command)
        if not self._state.is_own_name(command.to_user):
            self._show(UserMessage(self._state.name, command.text, private=True, to=command.to_user))

    async def _join(self, command: json_events.Join) -> None:
        answer = json_events.joined(await self._request(command))
        room = answer.room
        self._state.enter_room(room)
        self._show(SystemMessage(f"You are in #{room} with {' | '.join(answer.members)}."))
        unread = [message for message in answer.history if message.id > self._state.last_ids.get(room, "")]
        if unread:
            self._show(SystemMessage(f"What was said last in #{room}:"))
        for message in unread:
            self._handle_message(message)
        self._show(SystemMessage(f"What you type goes to #{room} now; /part leaves it, /all text goes to everyone."))

    async def _part(self, command: json_events.Part) -> None:
        was_talking_in_room = self._state.room is not None
        await self._request(command)
        self._state.leave_room(command.room.strip().removeprefix("#"))
        to_everyone = was_talking_in_room and self._state.room is None
        hint = " What you type goes to everyone again." if to_everyone else ""
        self._show(SystemMessage(f"You have left the room.{hint}"))

    # What the server sends.

    async def _listen(self) -> str:
        """Handle frames until the connection ends. Returns the reason."""
        try:
            async for frame in self._socket:
                self._handle(json.loads(frame))
        except ConnectionClosed:
            pass
        except (json_events.BadMessage, ValueError, TypeError, AttributeError, KeyError, ArithmeticError,
                RecursionError, asyncio.InvalidStateError):
            await self._socket.close(1002)
            return "The server said something that is not webchat's protocol"
        return self._socket.close_reason or "The server has closed the connection"

    def _handle(self, frame: dict[str, Any]) -> None:
        kind = frame.pop("type")
        if kind == "ack":
            if answer := self._answers.get(frame["ref"]):
                answer.set_result(frame)
        elif kind == "error":
            self._show(SystemMessage(frame["message"]))
        elif kind != "history":  # the acknowledgement of a join has the same content
            self._handle_event(json_events.event(kind, frame))

    def _handle_event(self, event: json_events.Event) -> None:
        match event:
            case json_events.Welcome():
                self._handle_welcome(event)
            case json_events.ChatMessage():
                self._handle_message(event)
            case json_events.Presence(joined, left, room):
                if not room:
                    self._state.people.difference_update(left)
                    self._state.people.update(joined)
                self._show_sentences(event)
            case json_events.Notice():
                self._show_sentences(event)
            # Typing is not shown: a hint that comes and goes would move the line that the user is typing.

    def _handle_welcome(self, event: json_events.Welcome) -> None:
        state = self._state
        state.name, state.people, state.groups, state.token = event.username, set(event.users), event.rooms, event.token
        state.leave_all_rooms()
        self._show(SystemMessage(f"You are {event.username}. {lines.people_sentence(event.users)}"))
        with suppress(asyncio.InvalidStateError):
            self._welcomed.set_result(None)

    def _handle_message(self, event: json_events.ChatMessage) -> None:
        state = self._state
        if event.room:
            state.last_ids[event.room] = event.id
        # The user's private messages from their other connections name the recipient; one to themselves needs none.
        is_own = state.is_own_name(event.from_user)
        to = event.to_user if is_own and event.to_user and not state.is_own_name(event.to_user) else None
        at = event.time / 1000
        self._show(UserMessage(event.from_user, event.text, event.room, bool(event.to_user), to, at))

    def _show_sentences(self, event: json_events.Presence | json_events.Notice) -> None:
        for line in lines.as_lines(event).splitlines():
            self._show(SystemMessage(lines.parse_line(line).text))


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
