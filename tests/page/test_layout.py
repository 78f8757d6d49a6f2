"""The layout: boxes side by side that wrap to new rows; one box per row on a phone."""

import pytest
from playwright.sync_api import expect

from tests.page.browser import Visitor

PHONE = {"width": 375, "height": 700}


def boxes(visitor: Visitor) -> list[dict]:
    """The rectangles of the regions in px, in order."""
    return [region.bounding_box() for region in visitor.regions.all()]


def rows(rectangles: list[dict]) -> list[int]:
    """The number of rectangles in each row, from the top."""
    tops = [round(rectangle["y"]) for rectangle in rectangles]
    return [tops.count(top) for top in sorted(set(tops))]


def overlapping(rectangles: list[dict]) -> bool:
    return any(
        one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"] and other["y"] < one["y"] + one["height"]
        for index, one in enumerate(rectangles) for other in rectangles[:index]
    )


@pytest.fixture
def with_others(visit, guest):
    """Somebody whose page has `count` private conversations next to Everyone."""
    def with_others(count: int, **options) -> Visitor:
        visitor = visit(guest("ada"), **options)
        names = [guest("guest") for _ in range(count)]
        # The other people are connections from the same page, which is cheaper than a page for each.
        visitor.page.evaluate(
            """async (names) => {
                const {io} = await import(new URL("vendor/socket.io.esm.min.js", document.baseURI));
                const options = {forceNew: true, transports: ["websocket"]};
                await Promise.all(names.map((username) => new Promise((resolve) => {
                    io(location.origin, {...options, auth: {username}}).once("welcome", resolve);
                })));
            }""", names,
        )
        for name in names:
            visitor.open(name)
        expect(visitor.regions).to_have_count(count + 1)
        return visitor

    return with_others


def test_many_conversations_wrap_to_new_rows_and_never_overlap(with_others):
    rectangles = boxes(with_others(6))
    assert len(rows(rectangles)) == 3 and rows(rectangles)[0] == 3
    assert not overlapping(rectangles)
    assert len({round(rectangle["width"]) for rectangle in rectangles}) == 1


def test_when_one_box_closes_the_others_use_its_space(with_others):
    ada = with_others(2)
    before = boxes(ada)
    ada.regions.nth(1).get_by_role("button", name="Close", exact=True).click()
    expect(ada.regions).to_have_count(2)
    after = boxes(ada)
    assert rows(after) == [2] and after[1]["width"] > before[1]["width"]


def test_a_single_conversation_is_centred_and_not_too_wide_to_read(with_others):
    (box,) = boxes(with_others(0))
    assert box["width"] <= 900
    assert abs(box["x"] + box["width"] / 2 - 640) < 10


def test_a_phone_shows_one_conversation_per_row(with_others):
    ada = with_others(2, viewport=PHONE)
    assert rows(boxes(ada)) == [1, 1, 1]


@pytest.mark.parametrize("viewport", [PHONE, {"width": 320, "height": 600}, {"width": 1280, "height": 720}], ids=str)
def test_nothing_is_wider_than_the_window(visit, viewport):
    sue = visit(viewport=viewport)
    assert sue.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    sue.join("Sue")
    sue.rooms.select_option("Quite Interesting")
    expect(sue.region("#Quite Interesting")).to_be_visible()
    assert sue.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert sue.page.get_by_role("main").evaluate("main => main.scrollWidth <= main.clientWidth")


def test_every_box_on_a_phone_can_be_used_and_closed(with_others):
    ada = with_others(1, viewport=PHONE)
    for region in ada.regions.all():
        box = region.get_by_role("textbox", name="Message", exact=True)
        box.scroll_into_view_if_needed()
        expect(box).to_be_in_viewport(ratio=1)
        region.get_by_role("button", name="Close", exact=True).scroll_into_view_if_needed()
        expect(region.get_by_role("button", name="Close", exact=True)).to_be_in_viewport(ratio=1)


def test_one_tap_leads_to_an_unread_conversation_outside_the_view(visit, guest):
    ada, bob = visit(guest("ada"), viewport=PHONE), visit(guest("bob"))
    bob.say("over here", to=ada.name)
    ada.button(f"1 new · {bob.name}").click()
    expect(ada.message(bob.name)).to_be_focused()
    expect(ada.region(bob.name).get_by_text("over here", exact=True)).to_be_in_viewport()
    expect(ada.page).to_have_title("webchat")
