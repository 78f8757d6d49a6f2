"""The server stops and starts again: the page says so, reconnects, and loses nothing."""

import re

import pytest
from playwright.sync_api import expect

from tests.page.browser import Server, Visitor

BACK_MS = 20_000


@pytest.fixture
def two(visit, own_server, guest) -> tuple[Visitor, Visitor]:
    """Two people in the chat of a server that the test can kill."""
    return tuple(visit(at=own_server, fresh=True).join(guest(name)) for name in ("ada", "bob"))


def back(*visitors: Visitor) -> None:
    for visitor in visitors:
        expect(visitor.status).to_have_text(f"Connected as {visitor.name}", timeout=BACK_MS)


def restart(server: Server, *visitors: Visitor) -> None:
    server.kill()
    for visitor in visitors:
        expect(visitor.status).to_have_text("Reconnecting…")
    server.start()
    back(*visitors)


def test_clients_reconnect_by_themselves_and_show_each_message_once(two, own_server):
    ada, bob = two
    ada.say("before")
    bob.hears("before")
    restart(own_server, ada, bob)
    expect(bob.users.get_by_role("option", name=ada.name)).to_have_count(1)
    ada.say("after")
    for person in two:
        person.hears("before")
        person.hears("after")
    expect(bob.log()).to_contain_text("lost connection")


def test_conversations_and_drafts_are_kept(two, own_server):
    ada, bob = two
    ada.open(bob.name)
    ada.say("psst", bob.name)
    ada.hears("psst", bob.name)
    ada.message(bob.name).fill("half a sentence")
    restart(own_server, ada, bob)
    ada.hears("psst", bob.name)
    expect(ada.message(bob.name)).to_have_value("half a sentence")
    expect(ada.message(bob.name)).to_be_focused()


def test_a_message_written_while_disconnected_returns_to_the_field_and_is_not_sent_later(two, own_server):
    ada, bob = two
    own_server.kill()
    expect(ada.status).to_have_text("Reconnecting…")
    ada.say("into the void")
    expect(ada.region().get_by_role("alert")).to_contain_text("Not connected")
    expect(ada.message()).to_have_value("into the void")
    own_server.start()
    back(ada, bob)
    ada.say("a second line")
    bob.hears("a second line")
    bob.hears("into the void", times=0)


def test_rooms_are_entered_again_and_keep_their_messages(visit, own_server):
    sue, sandy = (visit(at=own_server).join(name) for name in ("Sue", "Sandy"))
    for member in (sue, sandy):
        member.rooms.select_option("Taskmaster")
    sue.say("before", "#Taskmaster")
    sandy.hears("before", "#Taskmaster")
    restart(own_server, sue, sandy)
    expect(sue.region("#Taskmaster")).to_contain_text("Sandy*")
    sue.say("after", "#Taskmaster")
    sandy.hears("after", "#Taskmaster")


def test_clients_also_reconnect_after_an_orderly_stop(two, own_server):
    ada, bob = two
    own_server.close()
    expect(ada.status).to_have_text("Reconnecting…")
    own_server.start()
    back(ada, bob)


def test_leaving_while_disconnected_ends_the_attempts_to_reconnect(two, own_server):
    ada, bob = two
    own_server.kill()
    expect(ada.status).to_have_text("Reconnecting…")
    ada.leave()
    own_server.start()
    back(bob)
    expect(bob.users.get_by_role("option", name=re.compile("^ada"))).to_have_count(0)
    expect(ada.join_button).to_be_visible()


def test_if_the_name_is_taken_meanwhile_the_page_says_so_and_offers_to_try_again(two, own_server, visit):
    ada, bob = two
    ada.message().fill("a draft")
    ada.page.context.set_offline(True)
    own_server.kill()
    own_server.start()
    thief = visit(at=own_server).join(ada.name)
    ada.page.context.set_offline(False)
    expect(ada.status).to_have_text("Disconnected", timeout=BACK_MS)
    expect(ada.alert).not_to_be_empty()
    expect(ada.message()).to_have_value("a draft")
    thief.leave()
    ada.button("Try again").click()
    back(ada)
    expect(ada.alert).to_have_count(0)
