"""One conversation across all doors: everybody hears everybody, once, under the right name, whatever each came with."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from tests.page.browser import CHROMIUM, shared_chromium
from tests.program import Program
from tests.voices.page import Page
from tests.voices.sockets import Braces, SocketIO, WebSocket
from tests.voices.terminals import LineClient, SocketClient, Telnet
from tests.voices.voice import Heard, Voice

PROGRAMS = {"browser": CHROMIUM, "telnet": "telnet"}
NUMBERS = count(1)


def window(server: Program, chromium) -> Voice:
    from tests.voices.window import Window
    return Window(server, "Zoë")


KINDS = {
    "browser": lambda server, chromium: Page(server, "ada", chromium.page()),
    "telnet": lambda server, _: Telnet(server, "Hugo"),
    "terminal client over lines": lambda server, _: LineClient(server, "bob"),
    "terminal client over a WebSocket": lambda server, _: SocketClient(server, "Sue", "password"),
    "desktop window": window,
    "braces socket": lambda server, _: Braces(server, "guest 1"),
    "WebSocket library": lambda server, _: WebSocket(server, "Sandy", "password"),
    "Socket.IO client": lambda server, _: SocketIO(server, "Alex", "password"),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def missing(kind: str) -> str | None:
    """What this machine lacks for a kind of client, if so."""
    if kind == "desktop window" and importlib.util.find_spec("PyQt5") is None:
        return "PyQt5 is not installed"
    if kind in PROGRAMS and shutil.which(PROGRAMS[kind]) is None:
        return f"{PROGRAMS[kind]} is not installed"
    return None


class Crowd(dict[str, Voice]):
    """Everybody, by kind of client."""

    def voice(self, kind: str) -> Voice:
        if reason := missing(kind):
            pytest.skip(reason)
        return self[kind]

    def others(self, than: Voice | None) -> list[Voice]:
        return [voice for voice in self.values() if voice is not than]

    def settle(self, without: Voice | None = None) -> None:
        """Have one say something that all hear: what was said before has been heard by then."""
        present = self.others(without)
        text = f"That was number {next(NUMBERS)}."
        present[-1].say(text)
        for voice in present:
            voice.hears(text)


@pytest.fixture(scope="module")
def crowd(pytestconfig) -> Iterator[Crowd]:
    with ExitStack() as stack:
        server = stack.enter_context(Program("--message-rate", "0"))
        chromium = None if missing("browser") else stack.enter_context(shared_chromium(pytestconfig).in_use())
        crowd = Crowd()
        for kind, make in KINDS.items():
            if not missing(kind):
                crowd[kind] = make(server, chromium)
                stack.callback(crowd[kind].close)
                crowd[kind].arrive()
        for voice in crowd.values():
            for other in crowd.others(voice):
                voice.meets(other.name)
        yield crowd


@each_kind
def test_what_one_says_is_heard_by_each_other_once_and_shown_to_oneself_by_the_doors_own_rule(crowd, kind):
    speaker, text = crowd.voice(kind), f"Hello from the {kind}."
    speaker.say(text)
    if speaker.echoes:
        speaker.hears(text)
    for voice in crowd.others(speaker):
        voice.hears(text)
    crowd.settle()
    for voice in crowd.values():
        times = speaker.echoes if voice is speaker else 1
        assert voice.heard_as(text) == [Heard(speaker.name, text)] * times, voice.name


@each_kind
def test_what_one_tells_another_is_heard_by_that_one_alone(crowd, kind):
    speaker = crowd.voice(kind)
    texts = {to: f"From the {kind} to {to.name}." for to in crowd.others(speaker)}
    for to, text in texts.items():
        speaker.tell(to.name, text)
        if speaker.echoes_private:
            speaker.hears(text)
        to.hears(text)
    crowd.settle()
    for to, text in texts.items():
        for voice in crowd.values():
            times = speaker.echoes_private if voice is speaker else voice is to
            assert voice.heard_as(text) == [Heard(speaker.name, text, private=True)] * times, voice.name


@each_kind
def test_whoever_leaves_is_missed_by_all_once_and_may_come_back(crowd, kind):
    leaver = crowd.voice(kind)
    others = crowd.others(leaver)
    before = [voice.departures(leaver.name) for voice in others]
    leaver.leave()
    for voice in others:
        voice.misses(leaver.name)
    crowd.settle(without=leaver)
    assert [voice.departures(leaver.name) for voice in others] == [times + 1 for times in before]
    leaver.arrive()
    for voice in others:
        voice.meets(leaver.name)
    crowd.settle()
