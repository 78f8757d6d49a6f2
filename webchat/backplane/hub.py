"""What a backplane needs of the hub that it is attached to."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from webchat.chat.events import ChatMessage, Event, Notice
from webchat.chat.names import Name
from webchat.chat.people import People
from webchat.chat.room import Room


class BackplaneHub(Protocol):
    """The part of `webchat.chat.hub.Hub` that a backplane uses. Nothing here blocks or raises."""

    @property
    def people(self) -> People:
        """Everyone in the chat, on all nodes."""

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms of this process, by name."""

    def remote_joined(self, node: str, name: Name, authenticated: bool) -> None:
        """Add a person who is connected to another node, or change the spelling of their name."""

    def remote_left(self, node: str, key: str) -> None:
        """Remove a person, by the key of their name, who is no longer connected to that node."""

    def remote_event(self, event: Event, channel: str) -> None:
        """Deliver an event of another node to the sessions here that listen to the channel."""

    def merge_history(self, room: Room, messages: Iterable[ChatMessage], deliver: bool) -> None:
        """Merge messages of other nodes into a room's history; with `deliver`, send the new ones to its members."""

    def evict(self, key: str, notice: Notice) -> None:
        """Send a notice to the connections here of this name, and close them."""
