"""Conversations: with everyone, with one person, in a room, and several at the same time."""

import re

from playwright.sync_api import expect

TASKMASTER = "#Taskmaster"


def test_the_list_of_users_has_a_prompt_and_the_others_and_is_kept_current(visit, guest):
    ada = visit(guest("ada"))
    options = ada.users.get_by_role("option")
    expect(options.first).to_have_attribute("value", "")
    expect(ada.users).to_have_value("")
    expect(options.filter(has_text=ada.name)).to_have_count(0)
    bob = visit(guest("bob"))
    expect(options.filter(has_text=bob.name)).to_have_count(1)
    bob.page.close()
    expect(options.filter(has_text=bob.name)).to_have_count(0)


def test_choosing_a_person_opens_a_conversation_or_focuses_the_open_one(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    expect(ada.message(bob.name)).to_be_focused()
    ada.message().focus()
    ada.users.select_option(bob.name)
    expect(ada.message(bob.name)).to_be_focused()
    expect(ada.regions).to_have_count(2)
    expect(ada.users).to_have_value("")


def test_a_message_to_everyone_is_shown_once_to_each_of_three_people(visit, guest):
    people = [visit(guest(name)) for name in ("ada", "bob", "cleo")]
    for person in people:
        person.say(f"hello from {person.name}")
    for listener in people:
        for speaker in people:
            listener.hears(f"hello from {speaker.name}")
        expect(listener.regions).to_have_count(1)


def test_messages_are_shown_in_the_order_in_which_they_were_written(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    for number in range(20):
        ada.say(f"line {number}")
    bob.hears("line 19")
    said = re.findall(r"line (\d+)", bob.log().inner_text())
    assert [int(number) for number in said] == list(range(20))


def test_enter_sends_and_shift_enter_starts_a_new_line(visit, guest):
    ada = visit(guest("ada"))
    ada.message().press_sequentially("one")
    ada.message().press("Shift+Enter")
    ada.message().press_sequentially("two")
    expect(ada.message()).to_have_value("one\ntwo")
    ada.message().press("Enter")
    expect(ada.message()).to_have_value("")
    assert "one\ntwo" in ada.log().get_by_text("one").inner_text()


def test_enter_that_ends_a_composition_does_not_send(visit, guest):
    ada = visit(guest("ada"))
    ada.message().fill("にほん")
    ada.message().dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    expect(ada.message()).to_have_value("にほん")


def test_blank_text_is_not_sent(visit, guest):
    ada = visit(guest("ada"))
    ada.say(" \n ")
    ada.say("something")
    ada.hears("something")
    expect(ada.message()).to_have_value("")
    expect(ada.alert).to_have_count(0)


def test_send_to_a_name_goes_into_the_conversation_with_that_person_only(visit, guest):
    ada, bob, cleo = (visit(guest(name)) for name in ("ada", "bob", "cleo"))
    ada.say("for bob alone", to=bob.name.upper())
    ada.hears("for bob alone", bob.name)
    bob.hears("for bob alone", ada.name)
    ada.say("for all", to="")
    cleo.hears("for all")
    for person in (ada, bob, cleo):
        person.hears("for bob alone", times=0)
    expect(cleo.regions).to_have_count(1)
    expect(ada.message()).to_be_focused()


def test_send_to_takes_an_account_with_and_without_its_asterisk(visit, guest):
    sue, ada = visit("Sue"), visit(guest("ada"))
    ada.say("with", to="Sue*")
    ada.say("without", to="sue")
    for text in ("with", "without"):
        sue.hears(text, ada.name)
        ada.hears(text, "Sue*")


def test_a_private_message_opens_its_box_and_does_not_move_the_focus(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    bob.message().fill("half a sent")
    ada.say("psst", to=bob.name)
    bob.hears("psst", ada.name)
    expect(bob.message()).to_be_focused()
    expect(bob.message()).to_have_value("half a sent")


def test_unread_messages_are_counted_in_the_title_and_at_their_box(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    ada.say("one", bob.name)
    ada.say("two", bob.name)
    expect(bob.page).to_have_title("(2) webchat")
    expect(bob.region(ada.name).get_by_title("2 unread")).to_be_visible()
    bob.message(ada.name).focus()
    expect(bob.page).to_have_title("webchat")
    ada.say("three", bob.name)
    bob.hears("three", ada.name)
    expect(bob.page).to_have_title("webchat")


def test_a_refused_message_returns_to_the_field_with_the_reason(visit, guest):
    ada = visit(guest("ada"))
    ada.say("are you there?", to="nobody of that name")
    expect(ada.region().get_by_role("alert")).not_to_be_empty()
    expect(ada.message()).to_have_value("are you there?")
    ada.say("x" * 4097, to="")
    expect(ada.region().get_by_role("alert")).to_contain_text("4,096")
    expect(ada.message()).to_have_value("x" * 4097)
    ada.say("fine")
    ada.hears("fine")
    expect(ada.alert).to_have_count(0)


def test_a_closed_conversation_is_as_it_was_when_it_is_opened_again(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    ada.say("remember", bob.name)
    ada.hears("remember", bob.name)
    ada.message(bob.name).fill("a draft")
    ada.close(bob.name)
    ada.open(bob.name)
    ada.hears("remember", bob.name)
    expect(ada.message(bob.name)).to_have_value("a draft")


def test_everyone_can_be_closed_and_opened_again_and_counts_messages_meanwhile(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.close("Everyone")
    bob.say("anybody?")
    ada.button("Everyone (1)").click()
    ada.hears("anybody?")
    expect(ada.message()).to_be_focused()
    expect(ada.button("Everyone")).to_have_count(0)


def test_closing_the_box_with_the_focus_moves_the_focus_to_another_box(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    ada.close(bob.name)
    expect(ada.message()).to_be_focused()


def test_only_members_of_groups_see_rooms(visit, guest):
    expect(visit(guest("ada")).rooms).to_have_count(0)
    expect(visit("Sue").rooms.get_by_role("option")).to_have_text(
        [re.compile("Rooms"), "#8 out of 10 cats", "#Quite Interesting", "#Taskmaster"],
    )


def test_members_meet_in_a_room_see_its_last_messages_and_leave_it_by_closing_its_box(visit, guest):
    sue, ada = visit("Sue"), visit(guest("ada"))
    word = guest("word")
    sue.rooms.select_option("Taskmaster")
    sue.say(word, TASKMASTER)
    sue.hears(word, TASKMASTER)
    sandy = visit("Sandy")
    sandy.rooms.select_option("Taskmaster")
    sandy.hears(word, TASKMASTER)
    expect(sue.region(TASKMASTER)).to_contain_text("Sandy*")
    sandy.close(TASKMASTER)
    expect(sue.region(TASKMASTER)).not_to_contain_text("Sandy*")
    sue.say(f"{word} again", TASKMASTER)
    sue.hears(f"{word} again", TASKMASTER)
    expect(sandy.region(TASKMASTER)).to_have_count(0)
    expect(ada.regions).to_have_count(1)


def test_a_hint_shows_who_is_typing_until_their_message_arrives(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.message().press_sequentially("he")
    expect(bob.region()).to_contain_text(f"{ada.name} is typing…")
    ada.message().press("Enter")
    bob.hears("he")
    expect(bob.region()).not_to_contain_text("is typing")


def test_a_note_says_who_came_and_who_left(visit, guest):
    ada = visit(guest("ada"))
    bob = visit(guest("bob"))
    expect(ada.log()).to_contain_text(f"{bob.name} joined")
    ada.say("hello")
    ada.hears("hello")
    bob.leave()
    expect(ada.log()).to_contain_text(f"{bob.name} left")


def test_a_box_says_whether_its_person_is_here(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    expect(ada.region(bob.name)).to_contain_text("online")
    bob.leave()
    expect(ada.region(bob.name)).to_contain_text("not here now")


def test_consecutive_messages_of_one_person_share_a_name_and_a_time(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    for text in ("one", "two", "three"):
        ada.say(text)
    bob.hears("three")
    expect(bob.log().get_by_text(ada.name, exact=True)).to_have_count(1)
    assert re.search(r"\b\d\d:\d\d\b", bob.log().inner_text())
