"""Audiences: the connections that receive the same events, and what the chat needs from each of them."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from webchat.chat.events import Event

Encoder = Callable[[Event], Any]
"""Turns an event into a frame, or into None where the gateway does not show that event.

What a frame is (bytes, a packet) only the gateway knows. Connections that get the same frames share one encoder object,
because an event is encoded once for each encoder.
"""


class Outlet(Protocol):
    """The send queue of a connection, which its gateway provides.

    `send` keeps the order of the frames; it never blocks and never raises. `close` ends the connection after the frames
    sent before have been written; `reason` is a sentence for the person, or empty.
    """

    def send(self, frame: Any) -> None: ...

    def close(self, reason: str) -> None: ...


class Listener(Protocol):
    """A connection that receives events; `webchat.chat.session.Session` is one."""

    encode: Encoder
    outlet: Outlet

    def send(self, event: Event) -> None:
        """Send an event to this connection alone."""


class Audience:
    """A set of connections, grouped by encoder: an event is encoded once for each group.

    `send` is the inner loop of the whole server: it makes one call for each listener, `outlet.send(frame)`.
    """

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Encoder, dict[Listener, Outlet]] = {}

    def add(self, listener: Listener) -> None:
        self._groups.setdefault(listener.encode, {})[listener] = listener.outlet

    def discard(self, listener: Listener) -> None:
        """Remove a listener if it is there."""
        group = self._groups.get(listener.encode, {})
        group.pop(listener, None)
        if not group:
            self._groups.pop(listener.encode, None)

    def send(self, event: Event, skip: Listener | None = None) -> None:
        """Send an event to every listener except `skip`."""
        for encode, outlets in self._groups.items():
            if (frame := encode(event)) is None:
                continue
            if skip in outlets:
                for listener, outlet in outlets.items():
                    if listener is not skip:
                        outlet.send(frame)
            else:
                for outlet in outlets.values():
                    outlet.send(frame)

    def __contains__(self, listener: Listener) -> bool:
        return listener in self._groups.get(listener.encode, ())

    def __iter__(self) -> Iterator[Listener]:
        for outlets in self._groups.values():
            yield from outlets

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))
