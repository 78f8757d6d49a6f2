"""Who is connected, who is in which room, and the broadcast: encoded once, then one call a recipient."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import socketio

from webchat.net.socketio.codec import EVENT

if TYPE_CHECKING:
    from webchat.net.socketio import Outlet


class Room(dict):
    """The members of a room: Socket.IO sid → Engine.IO sid.

    `outlets` is the same as a list to run along, made when it is needed and dropped when somebody comes or goes.
    """

    __slots__ = ("outlets",)

    def __init__(self) -> None:
        super().__init__()
        self.outlets: list[Outlet] | None = None


class Manager(socketio.AsyncManager):
    """Upstream's manager of one process, with costs that do not grow with the number of clients.

    `rooms[namespace][room]` is what it is upstream, but for the room that each client has to itself: that one is
    understood. It needs `webchat.net.socketio.AsyncServer` as its server, and works under upstream's managers for
    several processes: `class RedisManager(socketio.AsyncRedisManager, Manager)`.
    """

    def __init__(self) -> None:
        # Adds the indexes that spare the walks.
        super().__init__()
        self._sids: dict[str, dict[str, str]] = {}  # namespace → Engine.IO sid → Socket.IO sid
        self._joined: dict[str, set] = {}  # sid → rooms, of those who are in any

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Callable | None = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send an event. Replaces a task and a packet per recipient: this returns without having suspended."""
        outlets = self._outlets(namespace, to or room)
        if not outlets:
            return
        arguments = data if isinstance(data, tuple) else () if data is None else (data,)
        skipped = set(skip_sid) if isinstance(skip_sid, list) else {skip_sid}
        if callback is not None:
            for outlet in [outlet for outlet in outlets if outlet.sid not in skipped]:
                id = self._generate_ack_id(outlet.sid, callback)
                outlet.send(self.server.codec.encode(EVENT, namespace, [event, *arguments], id))
            return
        frame = self.server.frame(event, *arguments, namespace=namespace)
        if skipped == {None}:
            for outlet in outlets:
                outlet.send(frame)
        else:
            for outlet in outlets:
                if outlet.sid not in skipped:
                    outlet.send(frame)

    def _outlets(self, namespace: str, room: Any) -> "list[Outlet]":
        """The recipients. Clients whose connection is not confirmed yet hear what is sent to them, not to everyone."""
        rooms = self.rooms.get(namespace, {})
        if isinstance(room, (list, tuple, set)):
            return [self.server.outlet(sid) for sid, _ in self.get_participants(namespace, room)]
        members = rooms.get(room)
        if members is None:
            return [self.server.outlet(room)] if room in rooms.get(None, ()) else []
        if members.outlets is None:
            absent = self.pending_connect.get(namespace, ()) if room is None else ()
            members.outlets = [self.server.outlet(sid) for sid in members if sid not in absent]
        return members.outlets

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """The members of a room, or of several. Replaces access to the inside of two-way dictionaries."""
        rooms = self.rooms.get(namespace, {})
        everyone = rooms.get(None, {})
        members: dict[str, str] = {}
        for name in room if isinstance(room, (list, tuple, set)) else (room,):
            if name in rooms:
                members.update(rooms[name])
            elif name in everyone:
                members[name] = everyone[name]
        yield from members.items()

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Register a client that is not confirmed yet. Replaces a list that is searched for every packet."""
        if eio_sid in self._sids.get(namespace, ()):
            return None
        sid = self.server.eio.generate_id()
        self.basic_enter_room(sid, namespace, None, eio_sid=eio_sid)
        self.basic_enter_room(sid, namespace, sid, eio_sid=eio_sid)
        self.pending_connect.setdefault(namespace, set()).add(sid)
        return sid

    async def connect(self, sid: str, namespace: str) -> str:
        """Register a client as confirmed. Replaces the search in the same list."""
        if not self.is_pre_connected(sid, namespace):
            sid = await self.pre_connect(sid, namespace)
        _discard(self.pending_connect, namespace, sid)
        self.rooms[namespace][None].outlets = None
        return sid

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        """The other half of a two-way dictionary, which took four times the memory."""
        return self._sids.get(namespace, {}).get(eio_sid)

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        """Replaces an error where nobody is connected to an existing namespace."""
        return self.rooms.get(namespace, {}).get(None, {}).get(sid)

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        """Register a client that is about to go. Replaces a list."""
        self.pending_disconnect.setdefault(namespace, set()).add(sid)
        return self.eio_sid_from_sid(sid, namespace)

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        """Forget a client. Replaces a walk through all rooms of the namespace."""
        for room in [*self._joined.pop(sid, ()), None]:
            self.basic_leave_room(sid, namespace, room)
        self.callbacks.pop(sid, None)
        _discard(self.pending_connect, namespace, sid)
        _discard(self.pending_disconnect, namespace, sid)

    def basic_enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        """Add a client to a room. Replaces a two-way dictionary per room and one per client."""
        if eio_sid is None:
            if namespace not in self.rooms:
                raise ValueError("sid is not connected to requested namespace")
            eio_sid = self.rooms[namespace][None][sid]
        if room == sid:
            return
        if self.is_sid_room(namespace, room):
            raise ValueError("cannot enter a sid room")
        members = self.rooms.setdefault(namespace, {}).setdefault(room, Room())
        members[sid] = eio_sid
        members.outlets = None
        if room is None:
            self._sids.setdefault(namespace, {})[eio_sid] = sid
        else:
            self._joined.setdefault(sid, set()).add(room)

    def basic_leave_room(self, sid: str, namespace: str, room: Any) -> None:
        """Take a client out of a room; the last one closes it. Replaces the same two-way dictionaries."""
        rooms = self.rooms.get(namespace, {})
        if sid not in rooms.get(room, ()):
            return
        eio_sid = rooms[room].pop(sid)
        rooms[room].outlets = None
        if not rooms[room]:
            del rooms[room]
        if not rooms:
            del self.rooms[namespace]
        if room is not None:
            _discard(self._joined, sid, room)
        elif self._sids[namespace].pop(eio_sid) and not self._sids[namespace]:
            del self._sids[namespace]

    def get_rooms(self, sid: str, namespace: str) -> list:
        """The rooms that a client is in, its own first. Replaces a walk through all rooms."""
        if self.eio_sid_from_sid(sid, namespace) is None:
            return []
        return [sid, *self._joined.get(sid, ())]


def _discard(sets: dict[str, set], key: str, item: Any) -> None:
    """Take an item out of one of several sets; none of them stays empty."""
    if key in sets:
        sets[key].discard(item)
        if not sets[key]:
            del sets[key]
