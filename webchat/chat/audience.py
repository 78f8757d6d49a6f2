"""The connections that hear the same thing, and what the chat needs of each of them."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from webchat.chat.events import Event


class Outlet(Protocol):
    """Where a connection's frames go: a door's send queue.

    `send` neither blocks nor raises and keeps the order; what a frame is (bytes, a packet) is the affair of the door.
    `close` ends the connection after what was sent before has left; `reason` is a sentence for the person.
    """

    def send(self, frame: Any) -> None: ...

    def close(self, reason: str) -> None: ...


class Listener(Protocol):
    """A connection that can be told events.

    `encode` turns an event into this door's frame, or into None where the door does not show it; it is one and the same
    object for every connection of a door, because events are encoded once for each encoder.
    """

    encode: Callable[[Event], Any]
    outlet: Outlet

    def send(self, event: Event) -> None:
        """Tell this connection alone."""


class Audience:
    """The connections that hear one thing, grouped by encoder: an event is encoded once for each group.

    `send` is the inner loop of the whole server: one call for each listener, of the `send` that its outlet has just
    now.
    """

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[Callable[[Event], Any], dict[Listener, Outlet]] = {}

    def add(self, listener: Listener) -> None:
        self._groups.setdefault(listener.encode, {})[listener] = listener.outlet

    def discard(self, listener: Listener) -> None:
        group = self._groups.get(listener.encode, {})
        group.pop(listener, None)
        if not group:
            self._groups.pop(listener.encode, None)

    def send(self, event: Event, skip: Listener | None = None) -> None:
        """Tell everybody here, except `skip`."""
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
