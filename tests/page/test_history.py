"""Private conversations are stored in this browser, by the two names, and nowhere else."""

import json

import pytest
from playwright.sync_api import expect

from tests.page.browser import Visitor


@pytest.fixture
def two(visit, guest) -> tuple[Visitor, Visitor]:
    """Two people who have exchanged private messages."""
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    ada.say("how are you?", bob.name)
    bob.hears("how are you?", ada.name)
    bob.say("well!", ada.name)
    ada.hears("well!", bob.name)
    return ada, bob


def choose(visitor: Visitor, name: str, choice: str) -> None:
    """Choose from the menu of a conversation."""
    visitor.region(name).get_by_label("More", exact=True).click()
    visitor.region(name).get_by_role("button", name=choice, exact=True).click()


def test_a_conversation_is_restored_in_a_new_page_of_the_same_browser(two, visit):
    ada, bob = two
    ada.page.close()
    again = visit(of=ada).join(ada.name)
    for text in ("how are you?", "well!"):
        again.hears(text, bob.name)


def test_the_boxes_are_restored_in_the_order_in_which_they_were_opened(two, visit, guest):
    ada, bob = two
    cleo = visit(guest("cleo"))
    ada.open(cleo.name)
    ada.leave()
    ada.join(ada.name)
    expect(ada.regions).to_have_count(3)
    assert [region.get_attribute("aria-label") for region in ada.regions.all()] == ["Everyone", bob.name, cleo.name]


def test_a_name_in_another_case_has_the_same_conversations(two):
    ada, bob = two
    ada.leave()
    ada.join(ada.name.upper())
    ada.hears("well!", bob.name)


def test_another_browser_sees_nothing_of_it(two, visit):
    ada, bob = two
    ada.page.close()
    again = visit().join(ada.name)
    again.open(bob.name)
    expect(again.log(bob.name)).not_to_contain_text("well!")


def test_messages_to_everyone_are_not_kept(two):
    ada, _ = two
    ada.say("to all")
    ada.hears("to all")
    ada.leave()
    ada.join(ada.name)
    ada.hears("to all", times=0)


def test_a_closed_conversation_stays_closed_and_is_listed_under_past_conversations(two):
    ada, bob = two
    ada.close(bob.name)
    ada.leave()
    ada.join(ada.name)
    bob.leave()
    expect(ada.past.get_by_role("option", name=bob.name)).to_have_count(1)
    expect(ada.regions).to_have_count(1)
    ada.past.select_option(bob.name)
    ada.hears("well!", bob.name)
    expect(ada.past).to_have_count(0)


def test_two_pages_of_one_person_show_and_keep_each_message_once(visit, guest):
    first, bob = visit("Sue"), visit(guest("bob"))
    second = visit(of=first).join("Sue")
    first.open(bob.name)
    first.say("from the first", bob.name)
    second.hears("from the first", bob.name)
    bob.hears("from the first", "Sue*")
    bob.say("to both", "Sue*")
    for page in (first, second):
        page.hears("to both", bob.name)
        page.hears("from the first", bob.name)
    second.leave()
    second.join("Sue")
    for text in ("from the first", "to both"):
        second.hears(text, bob.name)


def test_a_conversation_can_be_exported(two):
    ada, bob = two
    with ada.page.expect_download() as download:
        choose(ada, bob.name, "Export as JSON")
    assert download.value.suggested_filename == f"webchat with {bob.name}.json"
    kept = json.loads(download.value.path().read_text("utf-8"))
    assert (kept["me"], kept["with"]) == (ada.name, bob.name)
    assert [(message["from"], message["text"]) for message in kept["messages"]] == [
        (ada.name, "how are you?"), (bob.name, "well!"),
    ]


def test_a_conversation_can_be_deleted(two):
    ada, bob = two
    choose(ada, bob.name, "Delete history…")
    ada.button("Delete for good").click()
    ada.hears("well!", bob.name, times=0)
    ada.leave()
    ada.join(ada.name)
    ada.open(bob.name)
    ada.hears("well!", bob.name, times=0)


def test_deleting_asks_first_and_keep_or_escape_changes_nothing(two):
    ada, bob = two
    choose(ada, bob.name, "Delete history…")
    expect(ada.button("Keep")).to_be_focused()
    ada.button("Keep").click()
    choose(ada, bob.name, "Delete history…")
    ada.page.keyboard.press("Escape")
    expect(ada.button("Delete for good")).to_have_count(0)
    ada.hears("well!", bob.name)


def test_a_long_history_is_loaded_page_by_page(visit, guest):
    ada, bob = visit(guest("ada")), visit(guest("bob"))
    ada.open(bob.name)
    ada.page.evaluate(
        """([me, them]) => new Promise((resolve) => {
            indexedDB.open("webchat").onsuccess = ({target: {result: db}}) => {
                const store = db.transaction("messages", "readwrite").objectStore("messages");
                for (let i = 0; i < 150; i++) {
                    const id = String(i).padStart(24, "0");
                    store.put({me, them, id, time: Date.UTC(2026, 0, 1) + i * 1000, from: them, text: `old ${i}`});
                }
                store.transaction.oncomplete = resolve;
            };
        })""", [ada.name, bob.name],
    )
    ada.leave()
    ada.join(ada.name)
    ada.hears("old 149", bob.name)
    ada.hears("old 49", bob.name, times=0)
    ada.region(bob.name).get_by_role("button", name="Earlier messages").click()
    ada.hears("old 49", bob.name)
    ada.hears("old 0", bob.name)
    expect(ada.button("Earlier messages")).to_have_count(0)


def test_the_chat_works_in_a_browser_that_forbids_storage(visit, guest):
    bob = visit(guest("bob"))
    ada = visit(fresh=True)
    ada.page.add_init_script(
        "Object.defineProperty(window, 'indexedDB', {get() { throw new DOMException('no', 'SecurityError'); }})",
    )
    ada.page.reload()
    ada.join(guest("ada"))
    ada.open(bob.name)
    ada.say("still here", bob.name)
    ada.hears("still here", bob.name)
    bob.hears("still here", ada.name)
