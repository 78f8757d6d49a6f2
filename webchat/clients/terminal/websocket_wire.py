"""A connection that speaks the JSON vocabulary over a WebSocket. Here the commands are the client's: it reads them from
the table that the door for lines has, and so they are the same in both."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from webchat.clients.address import Address
from webchat.clients.link import ANSWER_TIME, Here, Lost, Refused, unreachable
from webchat.clients.transcript import Item, Sentence, Spoken
from webchat.codecs import commands, json_events, lines

MAX_FRAME = 4 << 20
"""Bytes of a frame from the server; the largest tells somebody who has just come the names of thousands."""


class WebSocketWire:
    """See `webchat.clients.link.Wire`."""

    def __init__(self, socket: ClientConnection, here: Here, hear: Callable[[Item], None]):
        self._socket = socket
        self._here = here
        self._hear = hear
        self._refs = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def open(cls, address: Address, here: Here, hear: Callable[[Item], None]) -> "WebSocketWire":
        """Connect. Raises Lost."""
        # A proxy of the environment is for the network outside.
        proxy = None if _is_this_machine(address.host) else True
        try:
            socket = await connect(address.url, max_size=MAX_FRAME, open_timeout=ANSWER_TIME, proxy=proxy)
        except InvalidStatus as error:
            raise Lost(f"Cannot reach {address}: no chat there (HTTP {error.response.status_code})") from error
        except (InvalidHandshake, InvalidURI) as error:
            raise Lost(f"Cannot reach {address}: no WebSocket there") from error
        except OSError as error:
            raise unreachable(address, error) from error
        return cls(socket, here, hear)

    async def enter(self, name: str, password: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIME):
                await self._request(json_events.Login(name, password, self._here.token))
                await self._welcome
        except TimeoutError as error:
            raise Lost("Something answers there, but it is no webchat") from error

    async def join(self, room: str) -> None:
        await self._join(json_events.Join(room))

    async def send(self, line: str) -> None:
        try:
            request = commands.parse(line.rstrip(), self._here.room)
        except json_events.ChatError as error:
            raise Refused(str(error), error.code) from error
        await self._ACTIONS[type(request)](self, request)

    deliver = send

    async def ended(self) -> str:
        return await asyncio.shield(self._listening)

    async def leave(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._listening])

    def abort(self) -> None:
        self._listening.cancel()
        self._socket.transport.abort()

    # What one asks for.

    async def _request(self, command: json_events.Command) -> dict[str, Any]:
        """Returns the answer. Raises Refused, Lost."""
        ref = next(self._refs)
        answer = self._answers[ref] = asyncio.get_running_loop().create_future()
        event, payload = json_events.request(command)
        try:
            await self._socket.send(json.dumps({"type": event, "ref": ref, **payload}))
        except ConnectionClosed:
            pass  # the listener knows why
        await asyncio.wait([answer, self._listening], return_when=asyncio.FIRST_COMPLETED)
        del self._answers[ref]
        if not answer.done():
            raise Lost(await self.ended())
        if not answer.result().get("ok"):
            raise Refused(answer.result().get("message", "Refused."), answer.result().get("code"))
        return answer.result()

    async def _say(self, command: json_events.Say) -> None:
        await self._request(command)

    async def _tell(self, command: json_events.Tell) -> None:
        await self._request(command)
        if not self._here.is_me(command.to_user):
            self._hear(Spoken(self._here.name, command.text, private=True, to=command.to_user))

    async def _join(self, command: json_events.Join) -> None:
        answer = json_events.joined(await self._request(command))
        room, here = answer.room, self._here
        here.enter(room)
        self._hear(Sentence(f"You are in #{room} with {' | '.join(answer.members)}."))
        fresh = [message for message in answer.history if message.id > here.heard.get(room, "")]
        if fresh:
            self._hear(Sentence(f"What was said last in #{room}:"))
        for message in fresh:
            self._message(message)
        self._hear(Sentence(f"What you type goes to #{room} now; /part leaves it, /all text goes to everyone."))

    async def _part(self, command: json_events.Part) -> None:
        here, before = self._here, self._here.room
        await self._request(command)
        here.leave(command.room.strip().removeprefix("#"))
        everyone = before and not here.room
        self._hear(Sentence("You have left the room." + (" What you type goes to everyone again." if everyone else "")))

    async def _users(self, _: commands.ListUsers) -> None:
        self._hear(Sentence(lines.people_sentence(tuple(sorted(self._here.people, key=str.casefold)))))

    async def _rooms(self, _: commands.ListRooms) -> None:
        groups = self._here.groups
        self._hear(Sentence(f"Your rooms: {' | '.join(groups)}" if groups else "You are not a member of any room."))

    async def _help(self, _: commands.ShowHelp) -> None:
        self._hear(Sentence(commands.usage()))

    async def _rename(self, _: commands.Rename | json_events.Login) -> None:
        raise Refused("Over a WebSocket a name is for the whole stay; /quit, and come back with the other one.")

    async def _quit(self, _: commands.Quit) -> None:
        await self._socket.close()

    _ACTIONS = {
        json_events.Say: _say, json_events.Tell: _tell, json_events.Join: _join, json_events.Part: _part,
        commands.Rename: _rename, json_events.Login: _rename, commands.ListUsers: _users, commands.ListRooms: _rooms,
        commands.ShowHelp: _help, commands.Quit: _quit,
    }

    # What one hears.

    async def _listen(self) -> str:
        try:
            async for frame in self._socket:
                self._take(json.loads(frame))
        except ConnectionClosed:
            pass
        except (json_events.BadMessage, ValueError, TypeError, AttributeError, KeyError):
            await self._socket.close(1002)
            return "The server said something that is not webchat's protocol"
        return self._socket.close_reason or "The server has closed the connection"

    def _take(self, frame: dict[str, Any]) -> None:
        kind = frame.pop("type")
        if kind == "ack":
            if answer := self._answers.get(frame["ref"]):
                answer.set_result(frame)
        elif kind == "error":
            self._hear(Sentence(frame["message"]))
        elif kind != "history":  # what a join's own answer holds, too
            event = json_events.event(kind, frame)
            self._EVENTS[type(event)](self, event)

    def _welcomed(self, event: json_events.Welcome) -> None:
        here = self._here
        here.name, here.people, here.groups, here.token = event.username, set(event.users), event.rooms, event.token
        here.room, here.rooms = None, []
        self._hear(Sentence(f"You are {event.username}. {lines.people_sentence(event.users)}"))
        with suppress(asyncio.InvalidStateError):
            self._welcome.set_result(None)

    def _message(self, event: json_events.ChatMessage) -> None:
        here = self._here
        if event.room:
            here.heard[event.room] = event.id
        own_private = event.to_user if event.to_user and here.is_me(event.from_user) else None
        to = None if own_private and here.is_me(own_private) else own_private
        self._hear(Spoken(event.from_user, event.text, event.room, bool(event.to_user), to, event.time / 1000))

    def _presence(self, event: json_events.Presence) -> None:
        if not event.room:
            self._here.people.difference_update(event.left)
            self._here.people.update(event.joined)
        self._sentences(event)

    def _sentences(self, event: json_events.Presence | json_events.Notice) -> None:
        for line in lines.as_lines(event).splitlines():
            self._hear(Sentence(lines.parse_line(line).text))

    def _typing(self, _: json_events.Typing) -> None:
        """Nothing: a hint that comes and goes would move the line that one is typing."""

    _EVENTS = {
        json_events.Welcome: _welcomed, json_events.ChatMessage: _message, json_events.Presence: _presence,
        json_events.Notice: _sentences, json_events.Typing: _typing,
    }


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
