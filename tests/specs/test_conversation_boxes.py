"""The exercise "conversation boxes": a page whose conversations are boxes that tile, wrap, and are stored locally.

Each test is one requirement, tried in a real browser; details are in tests/page.
"""

import pytest
from playwright.sync_api import expect

from tests.page.browser import Visitor


@pytest.fixture
def ada(visit, guest) -> Visitor:
    return visit(guest("ada"))


@pytest.fixture
def bob(visit, guest) -> Visitor:
    return visit(guest("bob"))


def test_before_the_login_the_page_shows_only_a_logo_and_a_login_bar(visit):
    page = visit()
    expect(page.page.get_by_role("img", name="webchat")).to_be_visible()
    assert page.page.get_by_role("textbox").count() == 2 and page.page.get_by_role("button").count() == 1
    expect(page.regions).to_have_count(0)


def test_the_login_asks_for_a_name_and_a_password_which_guests_leave_blank(visit, ada):
    expect(visit("Sandy").status).to_have_text("Connected as Sandy*")
    expect(ada.status).to_have_text(f"Connected as {ada.name}")


def test_a_failed_login_says_why_and_can_be_corrected_in_place(visit):
    page = visit()
    page.login("Sandy", "wrong")
    expect(page.alert).not_to_be_empty()
    page.password.fill("password")
    page.password.press("Enter")
    expect(page.status).to_have_text("Connected as Sandy*")


def test_a_selection_box_lists_who_is_online_and_is_kept_current(visit, guest, ada):
    assert ada.users.evaluate("users => users.tagName") == "SELECT"
    bob = visit(guest("bob"))
    option = ada.users.get_by_role("option", name=bob.name)
    expect(option).to_have_count(1)
    bob.leave()
    expect(option).to_have_count(0)


def test_choosing_a_user_opens_a_conversation_box_with_that_user(ada, bob):
    ada.users.select_option(bob.name)
    expect(ada.region(bob.name)).to_be_visible()


def test_a_box_has_the_conversation_a_field_for_the_next_message_and_an_x_to_close_it(ada, bob):
    ada.open(bob.name)
    expect(ada.log(bob.name)).to_be_visible()
    expect(ada.message(bob.name)).to_be_editable()
    ada.region(bob.name).get_by_role("button", name="Close", exact=True).click()
    expect(ada.region(bob.name)).to_have_count(0)


def test_enter_sends_the_message_and_empties_the_field(ada, bob):
    ada.open(bob.name)
    ada.message(bob.name).fill("hello")
    ada.message(bob.name).press("Enter")
    bob.hears("hello", ada.name)
    expect(ada.message(bob.name)).to_have_value("")


def test_a_message_from_a_user_opens_the_box_with_that_user(ada, bob):
    ada.open(bob.name)
    ada.say("are you there?", bob.name)
    bob.hears("are you there?", ada.name)
    bob.say("I am", ada.name)
    ada.hears("I am", bob.name)


def test_one_box_is_for_everyone_and_a_blank_send_to_reaches_all(visit, guest, ada, bob):
    cleo = visit(guest("cleo"))
    ada.say("hello all", to="")
    for person in (ada, bob, cleo):
        person.hears("hello all")


def test_send_to_with_a_name_reaches_only_that_user(visit, guest, ada, bob):
    cleo = visit(guest("cleo"))
    ada.say("only you", to=bob.name)
    bob.hears("only you", ada.name)
    ada.say("over", to="")
    cleo.hears("over")
    expect(cleo.page.get_by_text("only you")).to_have_count(0)


def test_boxes_are_side_by_side_and_wrap_to_a_new_row_when_the_row_is_full(visit, guest, ada):
    others = [visit(guest("guest")) for _ in range(4)]
    tops = []
    for other in others:
        ada.open(other.name)
        tops = [round(region.bounding_box()["y"]) for region in ada.regions.all()]
        if len(tops) == 2:
            assert tops[0] == tops[1], "two boxes stand side by side"
    assert len(set(tops)) > 1, "five boxes need another row"


def test_the_newest_message_is_in_view_at_the_bottom_of_its_box(ada, bob):
    ada.say("\n".join(str(number) for number in range(100)))
    ada.say("the newest")
    expect(bob.log().get_by_text("the newest", exact=True)).to_be_in_viewport(ratio=1)


def test_conversations_are_stored_in_the_browser_and_restored_after_the_next_login(ada, bob):
    ada.open(bob.name)
    ada.say("remember this", bob.name)
    bob.hears("remember this", ada.name)
    for person, other in ((ada, bob), (bob, ada)):
        person.leave()
        person.page.reload()
        person.join(person.name)
        person.hears("remember this", other.name)
    expect(ada.message()).to_be_focused()


def test_stored_conversations_belong_to_the_pair_of_names(guest, ada, bob):
    ada.open(bob.name)
    ada.say("between us", bob.name)
    ada.hears("between us", bob.name)
    ada.leave()
    ada.join(guest("eve"))
    ada.open(bob.name)
    expect(ada.page.get_by_text("between us")).to_have_count(0)
