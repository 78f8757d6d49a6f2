"""Accessibility: the rules of axe-core, live regions, the keyboard and the focus."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci`")
    return AXE.read_text("utf-8")


def violations(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("levels => axe.run({runOnly: levels})", LEVELS)["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_login_bar_passes_axe_before_and_after_a_refused_login(visit, axe, scheme):
    page = visit(color_scheme=scheme)
    assert violations(page.page, axe) == []
    page.login("Sue", "wrong")
    expect(page.alert).to_be_visible()
    assert violations(page.page, axe) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
def test_the_chat_passes_axe_while_it_shows_everything_that_it_can(visit, guest, axe, scheme, width):
    sue = visit("Sue", color_scheme=scheme, viewport={"width": width, "height": 720})
    bob = visit(guest("bob"))
    bob.say("see https://example.org")
    bob.say("psst", to="Sue")
    sue.hears("psst", bob.name)
    sue.say("and back", bob.name)
    sue.rooms.select_option("Taskmaster")
    sue.say("in the room", "#Taskmaster")
    sue.say("to nobody", to="nobody of that name")
    expect(sue.region().get_by_role("alert")).to_be_visible()
    sue.region(bob.name).get_by_label("More", exact=True).click()
    bob.say("unread", to="")
    expect(sue.page).to_have_title("(1) webchat")
    assert violations(sue.page, axe) == []


def test_everything_can_be_done_with_the_keyboard(visit, guest):
    bob = visit(guest("bob"))
    page = visit()
    page.name = guest("ada")
    press = page.page.keyboard.press
    expect(page.username).to_be_focused()
    page.page.keyboard.type(page.name)
    press("Tab")
    expect(page.password).to_be_focused()
    press("Tab")
    expect(page.join_button).to_be_focused()
    press("Enter")
    expect(page.message()).to_be_focused()
    page.page.keyboard.type("hello")
    press("Enter")
    bob.hears("hello")
    press("Shift+Tab")
    expect(page.send_to()).to_be_focused()
    page.page.keyboard.type(bob.name)
    press("Enter")
    expect(page.message()).to_be_focused()
    page.page.keyboard.type("psst")
    press("Enter")
    bob.hears("psst", page.name)
    for _ in range(2):
        press("Shift+Tab")
    expect(page.log()).to_be_focused()
    press("Shift+Tab")
    press("Enter")
    expect(page.region()).to_have_count(0)


def test_arrow_keys_open_the_list_of_users_and_do_not_choose_the_first_one(visit, guest, own_server):
    ada, _, cleo = (visit(at=own_server).join(guest(name)) for name in ("ada", "bob", "cleo"))
    expect(ada.users.get_by_role("option")).to_have_count(3)
    ada.users.focus()
    ada.page.keyboard.press("ArrowDown")
    expect(ada.regions).to_have_count(1)
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        ada.page.keyboard.press(key)
    expect(ada.message(cleo.name)).to_be_focused()


def test_screen_readers_announce_messages_but_not_notes(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.say("hello")
    bob.hears("hello")
    assert bob.log().get_by_text("hello", exact=True).evaluate("text => text.closest('[aria-live]')") is None
    note = ada.log().get_by_text(f"{bob.name} joined")
    expect(note).to_have_attribute("aria-live", "off")


def test_users_who_prefer_reduced_motion_get_none(visit, guest, own_server):
    ada = visit(at=own_server, reduced_motion="reduce").join(guest("ada"))
    own_server.kill()
    expect(ada.status).to_have_text("Reconnecting…")
    assert ada.page.evaluate("document.getAnimations().length") == 0
