"""One conversation between clients of all protocols: everybody is shown every message once, under the right name."""

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from tests.page.browser import CHROMIUM, shared_chromium
from tests.participants.base import Participant, ShownMessage
from tests.participants.page import Page
from tests.participants.sockets import Braces, SocketIO, WebSocket
from tests.participants.terminals import LineClient, SocketClient, Telnet
from tests.program import Program

PROGRAMS = {"browser": CHROMIUM, "telnet": "telnet"}
NUMBERS = count(1)


def window(server: Program, chromium) -> Participant:
    from tests.participants.window import Window
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
    """What a kind of client needs and this machine does not have; None if it has everything."""
    if kind == "desktop window" and importlib.util.find_spec("PyQt5") is None:
        return "PyQt5 is not installed"
    if kind in PROGRAMS and shutil.which(PROGRAMS[kind]) is None:
        return f"{PROGRAMS[kind]} is not installed"
    return None


class Participants(dict[str, Participant]):
    """All participants, by their kind of client."""

    def of_kind(self, kind: str) -> Participant:
        if reason := missing(kind):
            pytest.skip(reason)
        return self[kind]

    def except_for(self, excluded: Participant | None) -> list[Participant]:
        return [participant for participant in self.values() if participant is not excluded]

    def settle(self, without: Participant | None = None) -> None:
        """Have one say something and wait until all are shown it; then everything before it has been shown, too."""
        present = self.except_for(without)
        text = f"That was number {next(NUMBERS)}."
        present[-1].say(text)
        for participant in present:
            participant.hears(text)


@pytest.fixture(scope="module")
def everyone(pytestconfig) -> Iterator[Participants]:
    with ExitStack() as stack:
        server = stack.enter_context(Program("--message-rate", "0"))
        chromium = None if missing("browser") else stack.enter_context(shared_chromium(pytestconfig).in_use())
        everyone = Participants()
        for kind, make in KINDS.items():
            if not missing(kind):
                everyone[kind] = make(server, chromium)
                stack.callback(everyone[kind].close)
                everyone[kind].join()
        for participant in everyone.values():
            for other in everyone.except_for(participant):
                participant.sees_arrival_of(other.name)
        yield everyone


@each_kind
def test_a_message_to_everyone_is_shown_once_to_each_and_to_its_sender_where_the_protocol_echoes_it(everyone, kind):
    speaker, text = everyone.of_kind(kind), f"Hello from the {kind}."
    speaker.say(text)
    if speaker.echoes:
        speaker.hears(text)
    for participant in everyone.except_for(speaker):
        participant.hears(text)
    everyone.settle()
    for participant in everyone.values():
        times = speaker.echoes if participant is speaker else 1
        assert participant.shown_with(text) == [ShownMessage(speaker.name, text)] * times, participant.name


@each_kind
def test_a_private_message_is_shown_to_its_recipient_alone(everyone, kind):
    speaker = everyone.of_kind(kind)
    texts = {to: f"From the {kind} to {to.name}." for to in everyone.except_for(speaker)}
    for to, text in texts.items():
        speaker.tell(to.name, text)
        if speaker.echoes_private:
            speaker.hears(text)
        to.hears(text)
    everyone.settle()
    for to, text in texts.items():
        for participant in everyone.values():
            times = speaker.echoes_private if participant is speaker else participant is to
            expected = [ShownMessage(speaker.name, text, private=True)] * times
            assert participant.shown_with(text) == expected, participant.name


@each_kind
def test_a_departure_is_shown_once_to_each_and_the_participant_may_come_back(everyone, kind):
    leaver = everyone.of_kind(kind)
    others = everyone.except_for(leaver)
    before = [participant.departures(leaver.name) for participant in others]
    leaver.leave()
    for participant in others:
        participant.sees_departure_of(leaver.name)
    everyone.settle(without=leaver)
    assert [participant.departures(leaver.name) for participant in others] == [times + 1 for times in before]
    leaver.join()
    for participant in others:
        participant.sees_arrival_of(leaver.name)
    everyone.settle()
