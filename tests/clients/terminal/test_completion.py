"""Completion with Tab."""

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from webchat.clients.link import ChatState
from webchat.clients.terminal.completion import ChatCompleter, WordCompleter

STATE = ChatState(name="Hugo", people={"Hugo", "ada", "Ada Love", "Sue*", "bob"},
                  groups=("Quite Interesting", "Taskmaster"), rooms=["Taskmaster"])


def after_tab(completer, text: str) -> list[str]:
    """The lines that Tab offers for a line, in their order."""
    offers = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
    return [text[: len(text) + offer.start_position] + offer.text for offer in offers]


@pytest.mark.parametrize(("typed", "offered"), [
    ("/us", ["/users"]),
    ("/m", ["/msg ", "/me "]),
    ("/join q", ["/join Quite Interesting"]),
    ("/join ", ["/join Quite Interesting", "/join Taskmaster"]),
    ("/part ", ["/part Taskmaster"]),
    ("/msg b", ["/msg bob "]),
    ("/msg a", ["/msg ada ", '/msg "Ada Love" ']),
    ('/msg "ada l', ['/msg "Ada Love" ']),
    ("s", ["Sue: "]),
    ("ask ad", ["ask ada", "ask Ada Love"]),
    ("ask Ada L", ["ask Ada Love"]),
    ("h", []),
    ("", []),
    ("hello ", []),
    ("/nothing ", []),
    ("//us", []),
    ("//hi b", ["//hi bob"]),
    ('/msg "Ada Love" b', []),
])
def test_tab_offers_commands_rooms_and_the_names_of_other_people(typed, offered):
    assert after_tab(ChatCompleter(STATE), typed) == offered


def test_every_command_says_what_it_is_for():
    offers = ChatCompleter(STATE).get_completions(Document("/"), CompleteEvent())
    assert all(offer.display_meta_text for offer in offers)


def test_a_question_with_few_answers_offers_them():
    assert after_tab(WordCompleter(lambda: STATE.groups), "task") == ["Taskmaster"]
    assert after_tab(WordCompleter(lambda: STATE.groups), "") == list(STATE.groups)
