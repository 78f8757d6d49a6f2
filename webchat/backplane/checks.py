"""What comes from other nodes is checked like what comes from clients: it may be forged, damaged or of another version.

A signature does not replace these checks. It says that a node wrote something, not that the node is sound.

An asterisk is believed: the other node has checked the password, and its accounts may have been read again before
ours. Whoever can publish without a key can therefore claim an account's name, but only in the form of a name.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable

from webchat.backplane.redis_client import RedisClient, printable
from webchat.chat import names, texts
from webchat.chat.errors import ChatError
from webchat.chat.events import ChatMessage, Typing
from webchat.chat.hub import EVERYONE, room_channel, user_channel
from webchat.chat.names import Name
from webchat.chat.people import People
from webchat.codecs.node import HeldName, InvalidFrame

MESSAGE_ID = re.compile("[0-7][0-9a-f]{23}")
"""An id, up to the year 6429: so the ids that are made here after it keep their length."""

LAST_TIME = 2**47
"""Milliseconds since the Unix epoch; a date that every client can show."""


class Checks:
    """Checks what other nodes and Redis say of the people and their messages. `counts` gets the `junk`."""

    def __init__(self, people: People, client: RedisClient, counts: Counter[str]):
        self._people = people
        self._client = client
        self._counts = counts

    def drop(self, where: str, why: str | Exception) -> None:
        """Count something that is not sound, on a channel or in a key, and note it in the log."""
        self._counts["junk"] += 1
        self._client.log_rarely(logging.WARNING, "Junk in %s was dropped: %s.", where, printable(str(why)))

    def check_message(self, message: ChatMessage, channel: str) -> None:
        """Check a message for a channel of the hub. Raises InvalidFrame."""
        if not MESSAGE_ID.fullmatch(message.id) or not 0 <= message.time < LAST_TIME:
            raise InvalidFrame("its id or its time is none")
        if message.authenticated != message.from_user.endswith("*"):
            raise InvalidFrame("its sender is an account without an asterisk, or a guest with one")
        if _cleaned(message.text) != message.text:
            raise InvalidFrame("its text has characters that no client can send")
        self._check_place(message, channel)

    def check_typing(self, typing: Typing, channel: str) -> None:
        """Check a hint for a channel of the hub. Raises InvalidFrame."""
        self._check_place(typing, channel)

    def sound_people(self, where: str, people: Iterable[HeldName]) -> tuple[HeldName, ...]:
        """The people among these whose names are sound; the others are dropped."""
        return tuple(held for held in people if self._is_sound(where, held.text, held.key))

    def sound_names(self, where: str, shown: Iterable[str]) -> tuple[str, ...]:
        """The shown names among these that are sound; the others are dropped."""
        return tuple(each for each in shown if self._is_known(each) or self._is_sound(where, each.removesuffix("*")))

    def _is_known(self, shown: str) -> bool:
        """Whether somebody in the chat has this shown name, so that it need not be parsed for each message."""
        return self._people.is_shown(shown)

    def _is_sound(self, where: str, text: str, key: str | None = None) -> bool:
        try:
            _check_name(text, key)
        except InvalidFrame as error:
            self.drop(where, error)
            return False
        return True

    def _check_place(self, event: ChatMessage | Typing, channel: str) -> None:
        """Check the names in an event, and that it is on the channel where its recipients listen.

        A room's name needs no check: only the names of rooms that exist here have listeners.
        """
        if not _reaches_recipients(event, channel):
            raise InvalidFrame("its channel is not that of its recipients")
        for shown in (event.from_user, event.to_user):
            if shown is not None and not self._is_known(shown):
                _check_name(shown.removesuffix("*"))


def _reaches_recipients(event: ChatMessage | Typing, channel: str) -> bool:
    """Whether the recipients that an event names are those who listen to the channel, as far as their kind goes."""
    match event.room, event.to_user:
        case None, None:
            return channel == EVERYONE
        case str(room), None:
            return channel == room_channel(room)
        case None, str():
            return channel.startswith(user_channel(""))
    return False


def _check_name(text: str, key: str | None = None) -> None:
    """Check that a name is in the form in which `names.parse` returns it. Raises InvalidFrame."""
    try:
        name = names.parse(text)
    except ChatError as error:
        raise InvalidFrame(str(error)) from error
    if name != Name(text, name.key if key is None else key):
        raise InvalidFrame("a name in it is not in its normal form")


def _cleaned(text: str) -> str | None:
    try:
        return texts.clean(text)
    except ChatError:
        return None
