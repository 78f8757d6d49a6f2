"""How messages are shown: as text, with links, and with the newest in view."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.page.browser import Visitor

HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "<script>document.title='owned'</script>",
    "<svg/onload=document.title='owned'>",
    "javascript:document.title='owned'",
    "\"><iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    "&lt;b&gt;&amp;#x3c;i&amp;#x3e;",
    "{{constructor.constructor('document.title=1')()}}",
]


@pytest.fixture
def two(visit, guest) -> tuple[Visitor, Visitor]:
    """Two people in the chat."""
    return visit(guest("ada")), visit(guest("bob"))


def distance_from_end(visitor: Visitor, name: str = "Everyone") -> float:
    return visitor.log(name).evaluate("log => log.scrollHeight - log.clientHeight - log.scrollTop")


def test_markup_and_scripts_are_shown_as_text(two):
    ada, bob = two
    for text in HOSTILE:
        ada.say(text)
        bob.hears(text)
        ada.say(text, to=bob.name)
        bob.hears(text, ada.name)
        ada.send_to().fill("")
    bob.open(ada.name)
    expect(bob.page).to_have_title(re.compile(r"^(\(\d+\) )?webchat$"))
    assert bob.page.locator("iframe, img:not([alt=webchat]), [onerror], [onload], main script, main a").count() == 0


def test_only_web_addresses_become_links(two):
    ada, bob = two
    ada.say("see https://example.org/a?b=1, or ftp://example.org and javascript:alert(1)")
    link = bob.log().get_by_role("link")
    expect(link).to_have_count(1)
    expect(link).to_have_text("https://example.org/a?b=1")
    expect(link).to_have_attribute("href", "https://example.org/a?b=1")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_attribute("target", "_blank")


def test_a_text_from_right_to_left_does_not_change_the_direction_of_name_and_time(two):
    ada, bob = two
    ada.say("\u0645\u0631\u062d\u0628\u0627 \U0001f44b")
    said = bob.log().get_by_text("\u0645\u0631\u062d\u0628\u0627")
    expect(said).to_have_css("direction", "rtl")
    expect(bob.log().get_by_text(ada.name, exact=True)).to_have_css("direction", "ltr")


def test_the_users_own_messages_are_on_the_other_side(two):
    ada, bob = two
    ada.say("mine")
    bob.hears("mine")
    own, other = (visitor.log().get_by_text("mine", exact=True).bounding_box() for visitor in two)
    assert own["x"] > other["x"]


def today(visitor: Visitor) -> Locator:
    date = "new Date().toLocaleDateString('en-GB', {weekday: 'long', day: 'numeric', month: 'long'})"
    return visitor.log().get_by_text(visitor.page.evaluate(date))


def test_the_date_is_shown_once(two):
    ada, _ = two
    ada.say("one")
    ada.say("two")
    ada.hears("two")
    expect(today(ada)).to_have_count(1)


def test_notes_about_people_do_not_show_the_date_again(visit, guest):
    ada, cleo = visit(guest("ada")), visit(guest("cleo"))
    bob = visit(guest("bob"))
    expect(ada.log().get_by_text(f"{cleo.name} and {bob.name} joined")).to_be_visible()
    expect(today(ada)).to_have_count(1)
    for person in (bob, cleo):
        person.leave()
    expect(ada.log().get_by_text("Whatever you say here")).to_be_visible()
    expect(today(ada)).to_have_count(0)
    ada.say("one")
    bob.join(bob.name)
    came = ada.log().get_by_text(f"{bob.name} joined")
    expect(came).to_be_visible()
    bob.leave()
    expect(came).to_have_count(0)
    ada.say("two")
    ada.hears("two")
    expect(today(ada)).to_have_count(1)


def test_the_newest_message_is_in_view_at_the_bottom(two):
    ada, bob = two
    for number in range(30):
        ada.say(f"line {number}")
    newest = bob.log().get_by_text("line 29", exact=True)
    expect(newest).to_be_in_viewport(ratio=1)
    assert distance_from_end(bob) < 2


def test_the_end_stays_in_view_when_boxes_change_size(two):
    ada, bob = two
    ada.say("a long story " * 200)
    bob.open(ada.name)
    bob.page.set_viewport_size({"width": 700, "height": 500})
    expect(bob.region(ada.name)).to_be_visible()
    at_the_end = "log => log.scrollHeight - log.clientHeight - log.scrollTop < 2"
    bob.page.wait_for_function(at_the_end, arg=bob.log().element_handle())


def test_a_reader_further_up_gets_a_button_that_leads_to_new_messages(two):
    ada, bob = two
    ada.say("\n".join(f"line {number}" for number in range(80)))
    expect(bob.log()).to_contain_text("line 79")
    bob.log().evaluate("log => { log.scrollTop = 0; return new Promise(requestAnimationFrame); }")
    ada.say("news")
    bob.button("New messages").click()
    expect(bob.log().get_by_text("news", exact=True)).to_be_in_viewport(ratio=1)
    expect(bob.button("New messages")).to_have_count(0)


def test_a_reader_further_up_keeps_their_place_when_a_message_arrives(two):
    ada, bob = two
    ada.say("\n".join(f"line {number}" for number in range(80)))
    expect(bob.log()).to_contain_text("line 79")
    bob.log().evaluate("log => { log.scrollTop = 30; return new Promise(requestAnimationFrame); }")
    ada.say("news")
    expect(bob.button("New messages")).to_be_visible()
    assert bob.log().evaluate("log => log.scrollTop") == 30


def test_a_very_long_word_does_not_widen_its_box(two):
    ada, bob = two
    ada.say("x" * 3000)
    ada.say("https://example.org/" + "y" * 1000)
    expect(bob.log().get_by_role("link")).to_be_visible()
    assert bob.log().evaluate("log => log.scrollWidth - log.clientWidth") == 0


def test_the_page_keeps_a_bounded_number_of_messages(two):
    ada, bob = two
    bob.page.evaluate("window.longest = 0")
    bob.log().evaluate(
        "log => new MutationObserver(() => { longest = Math.max(longest, log.querySelectorAll('*').length); })"
        ".observe(log, {childList: true, subtree: true})",
    )
    ada.say("first of many")
    bob.hears("first of many")
    ada.page.evaluate(
        """async (many) => {
            const {io} = await import(new URL("vendor/socket.io.esm.min.js", document.baseURI));
            const socket = io(location.origin, {forceNew: true, auth: {username: "flood " + Date.now()}});
            await new Promise((resolve) => socket.once("welcome", resolve));
            for (let i = 0; i < many; i++) socket.emit("message", {message: "flood " + i});
            await socket.emitWithAck("message", {message: "the last of many"});
            socket.disconnect();
        }""", 1500,
    )
    bob.hears("the last of many")
    bob.hears("first of many", times=0)
    assert bob.page.evaluate("longest") < 1000
