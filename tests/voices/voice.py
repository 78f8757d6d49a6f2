"""What all have in common."""

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from tests.program import PATIENCE, Program


class Heard(NamedTuple):
    """What a person has been shown of one message."""

    sender: str
    text: str
    private: bool = False


class Voice(ABC):
    """Somebody called `name`, as it is shown. `echoes` tells whether one's own words to all are shown to oneself,
    `echoes_private` whether those to one person are."""

    echoes = True
    echoes_private = True

    def __init__(self, server: Program, name: str, password: str = ""):
        self.server = server
        self.login = name
        self.password = password
        self.name = f"{name}*" if password else name

    @abstractmethod
    def arrive(self) -> None:
        """Log in, and be in the chat."""

    @abstractmethod
    def leave(self) -> None:
        """Go, as people here do."""

    @abstractmethod
    def say(self, text: str) -> None:
        """To everyone."""

    @abstractmethod
    def tell(self, name: str, text: str) -> None:
        """To one person."""

    @abstractmethod
    def listen(self, seconds: float) -> None:
        """Take in what comes, waiting at most so long for something."""

    @abstractmethod
    def heard(self) -> list[Heard]:
        """All messages so far."""

    @abstractmethod
    def people(self) -> set[str]:
        """Who else is here, as far as one has been told."""

    @abstractmethod
    def departures(self, name: str) -> int:
        """How often one has been told that this person left."""

    @abstractmethod
    def close(self) -> None:
        """The end of the tests, wherever they left off."""

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Listen until something is true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            rest = deadline - time.monotonic()
            assert rest > 0, f"{self.name} ({type(self).__name__}) has not noticed {what}, only {self.heard()}"
            self.listen(rest)

    def heard_as(self, text: str) -> list[Heard]:
        return [heard for heard in self.heard() if heard.text == text]

    def hears(self, text: str) -> None:
        self.until(lambda: self.heard_as(text), text)

    def meets(self, name: str) -> None:
        self.until(lambda: name in self.people(), f"that {name} came")

    def misses(self, name: str) -> None:
        self.until(lambda: name not in self.people(), f"that {name} left")


class Reader(Voice):
    """Whoever reads a stream of text. `SAID` finds messages in it, `MOVED` lists of people, and who came and went."""

    SAID: re.Pattern
    MOVED: re.Pattern
    text = ""

    def heard(self) -> list[Heard]:
        return [Heard(said["sender"], said["text"], bool(said["private"])) for said in self.SAID.finditer(self.text)]

    def people(self) -> set[str]:
        people = set()
        for moved in self.MOVED.finditer(self.text):
            if moved["names"]:
                people = set(re.split(r" ?\| ?", moved["names"]))
            people = people - {moved["went"]} | {moved["came"]}
        return people

    def departures(self, name: str) -> int:
        return sum(moved["went"] == name for moved in self.MOVED.finditer(self.text))
