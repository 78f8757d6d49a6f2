"""What all participants have in common."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from tests.program import PATIENCE, Program


class ShownMessage(NamedTuple):
    """A message as a participant has been shown it."""

    sender: str
    text: str
    private: bool = False


class Participant(ABC):
    """Somebody in the chat. `login` is the name that they give, `name` the one that others are shown.

    `echoes` tells whether their client shows their own messages to everyone, `echoes_private` whether it shows their
    private ones.
    """

    echoes = True
    echoes_private = True

    def __init__(self, server: Program, name: str, password: str = ""):
        self.server = server
        self.login = name
        self.password = password
        self.name = f"{name}*" if password else name

    @abstractmethod
    def join(self) -> None:
        """Log in, and wait until the login has succeeded."""

    @abstractmethod
    def leave(self) -> None:
        """Leave the chat, in the usual way of this client."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Send a message to everyone."""

    @abstractmethod
    def tell(self, name: str, text: str) -> None:
        """Send a private message."""

    @abstractmethod
    def listen(self, seconds: float) -> None:
        """Receive what is there, or wait for something, for at most so many seconds."""

    @abstractmethod
    def shown(self) -> list[ShownMessage]:
        """All messages so far, in their order."""

    @abstractmethod
    def people(self) -> set[str]:
        """Who else is here, as far as the client shows it."""

    @abstractmethod
    def departures(self, name: str) -> int:
        """How often the client has shown that this person left."""

    @abstractmethod
    def close(self) -> None:
        """Release everything, in whatever state the tests have left it."""

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Receive until a condition is true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            rest = deadline - time.monotonic()
            assert rest > 0, f"{self.name} ({type(self).__name__}) has not noticed {what}, only {self.shown()}"
            self.listen(rest)

    def shown_with(self, text: str) -> list[ShownMessage]:
        return [message for message in self.shown() if message.text == text]

    def hears(self, text: str) -> None:
        self.until(lambda: self.shown_with(text), text)

    def sees_arrival_of(self, name: str) -> None:
        self.until(lambda: name in self.people(), f"that {name} came")

    def sees_departure_of(self, name: str) -> None:
        self.until(lambda: name not in self.people(), f"that {name} left")


class Reader(Participant):
    """A participant who reads a stream of text.

    `MESSAGE` finds messages in it, `PRESENCE` lists of people, and who came and went.
    """

    MESSAGE: re.Pattern
    PRESENCE: re.Pattern
    text = ""

    def shown(self) -> list[ShownMessage]:
        return [ShownMessage(match["sender"], match["text"], bool(match["private"]))
                for match in self.MESSAGE.finditer(self.text)]

    def people(self) -> set[str]:
        people = set()
        for match in self.PRESENCE.finditer(self.text):
            if match["names"]:
                people = set(re.split(r" ?\| ?", match["names"]))
            people = people - {match["went"]} | {match["came"]}
        return people

    def departures(self, name: str) -> int:
        return sum(match["went"] == name for match in self.PRESENCE.finditer(self.text))
