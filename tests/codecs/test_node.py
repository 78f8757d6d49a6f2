"""What nodes tell each other: signed, numbered, of a fixed schema, never too large; anything else is junk."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webchat.chat.events import ChatMessage, Typing
from webchat.codecs import node
from webchat.codecs.node import (
    Heartbeat,
    HeldName,
    InvalidFrame,
    NodeCodec,
    NodeLeft,
    NodeMessage,
    NodeState,
    NodeTyping,
    Occupants,
    PresenceChange,
    StateRequest,
)

HERE, THERE = "0" * 16, "f" * 16
CHANNEL = "webchat:all"

MESSAGE = ChatMessage("01a1fdd8d82a0000fe665408", 1, "Sue*", True, "¿qué?\n🎉", room="Taskmaster")
ITEMS = [
    NodeMessage("room:Taskmaster", MESSAGE), NodeTyping("everyone", Typing("ada")), Heartbeat(0, True),
    StateRequest(), NodeLeft(), PresenceChange(1, (HeldName("ada", "ada", False),), ("bob",)),
    NodeState(3, 0, 1, (HeldName("Sue", "sue", True),)),
    Occupants("Taskmaster", ("Sue*",), (), True),
]


@pytest.fixture
def there():
    return NodeCodec(THERE, "secret")


@pytest.fixture
def here():
    return NodeCodec(HERE, "secret")


def signed(codec: NodeCodec, body: bytes, channel: str = CHANNEL) -> bytes:
    """A frame whose signature is right, whatever is in it."""
    return codec._sign(channel, body)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_what_is_said_arrives_as_it_was(here, there, item):
    (frame,) = there.encode(CHANNEL, [item])
    heard = here.decode(CHANNEL, frame)
    assert (heard.node, heard.items) == (THERE, (item,))


def test_many_items_share_a_frame_in_their_order(here, there):
    (frame,) = there.encode(CHANNEL, ITEMS)
    assert list(here.decode(CHANNEL, frame).items) == ITEMS


def test_what_is_too_large_for_one_frame_goes_in_several(here, there):
    items = [NodeMessage("everyone", ChatMessage(str(n), n, "ada", False, "x" * 4096)) for n in range(100)]
    frames = there.encode(CHANNEL, items)
    assert len(frames) > 1
    assert all(len(frame) <= node.MAX_NODE_FRAME for frame in frames)
    assert [item for frame in frames for item in here.decode(CHANNEL, frame).items] == items


def test_an_item_that_fits_nowhere_is_a_mistake_of_ours(there):
    with pytest.raises(ValueError, match="no frame"):
        there.encode(CHANNEL, [NodeMessage("everyone", ChatMessage("", 0, "ada", False, "x" * node.MAX_NODE_FRAME))])


@pytest.mark.parametrize(("junk", "why"), [
    (b"", "version"), (b"hello", "version"), (b"\x02" + bytes(40), "version"), (b"\x01" + bytes(40), "signed"),
    (b"\x01", "signed"), (b"\x01" * 300_000, "large"),
])
def test_what_is_not_of_ours_is_junk_and_says_why(here, junk, why):
    with pytest.raises(InvalidFrame, match=why):
        here.decode(CHANNEL, junk)


@pytest.mark.parametrize("body", [
    None, [], {}, [THERE], [THERE, 1, [["unknown"]]], [THERE, "1", []], [THERE, -1, []], ["too short", 1, []],
    [THERE, 1, [["beat", -1, False]]], [THERE, 1, [["beat", 1, "yes"]]], [THERE, 1, [["said", "everyone", {}]]],
    [THERE, 1, [["moved", 1, [["n" * 41, "n", False]], []]]], [THERE, 1, [["state", 1, 0, 0, []]]],
])
def test_even_a_signed_frame_has_to_keep_to_the_schema(here, there, body):
    with pytest.raises(InvalidFrame):
        here.decode(CHANNEL, signed(there, msgspec.msgpack.encode(body)))


def test_another_key_does_not_fit(here):
    (frame,) = NodeCodec(THERE, "another").encode(CHANNEL, [Heartbeat(1)])
    with pytest.raises(InvalidFrame, match="signed"):
        here.decode(CHANNEL, frame)


def test_every_bit_is_signed(here, there):
    (frame,) = there.encode(CHANNEL, [Heartbeat(1)])
    for bit in range(8 * len(frame)):
        forged = bytearray(frame)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidFrame):
            here.decode(CHANNEL, bytes(forged))


def test_a_frame_belongs_to_its_channel(here, there):
    (frame,) = there.encode(CHANNEL, [Heartbeat(1)])
    with pytest.raises(InvalidFrame, match="signed"):
        here.decode("webchat:{node:0000000000000000}", frame)


def test_a_frame_is_heard_once_and_none_after_a_later_one(here, there):
    (first,), (second,) = there.encode(CHANNEL, [Heartbeat(1)]), there.encode(CHANNEL, [Heartbeat(2)])
    here.decode(CHANNEL, second)
    for frame in (first, second):
        with pytest.raises(InvalidFrame, match="before"):
            here.decode(CHANNEL, frame)


def test_the_numbers_of_one_channel_do_not_bar_another(here, there):
    (first,), (second,) = there.encode("one", [Heartbeat(1)]), there.encode("two", [Heartbeat(2)])
    here.decode("two", second)
    here.decode("one", first)


def test_what_is_remembered_of_streams_is_bounded(here, monkeypatch):
    monkeypatch.setattr(node, "MAX_STREAMS", 10)
    for n in range(50):
        (frame,) = NodeCodec(f"{n:016x}", "secret").encode(CHANNEL, [Heartbeat(n)])
        here.decode(CHANNEL, frame)
    assert len(here._last) <= 10


def test_a_node_hears_its_own_frames_as_often_as_they_come(here):
    (frame,) = here.encode(CHANNEL, [Heartbeat(1)])
    assert here.decode(CHANNEL, frame) == here.decode(CHANNEL, frame)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_do_more_than_be_junk(data):
    with pytest.raises(InvalidFrame):
        NodeCodec(HERE, "secret").decode(CHANNEL, data)


ATOMS = st.none() | st.booleans() | st.integers(0, 2**60) | st.text() | st.sampled_from([THERE, "said"])


@given(st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)))
def test_no_signed_body_does_more_than_be_junk_or_a_frame(body):
    here, there = NodeCodec(HERE), NodeCodec(THERE)
    try:
        assert here.decode(CHANNEL, signed(there, msgspec.msgpack.encode(body))).node
    except InvalidFrame:
        pass


class TestKept:
    PLACE = "webchat:{room:Taskmaster}:history"

    def test_a_message_is_kept_as_it_was_and_by_its_id(self, here, there):
        kept = there.keep(self.PLACE, MESSAGE)
        assert kept.startswith(MESSAGE.id.encode())
        assert here.kept(self.PLACE, kept) == MESSAGE

    def test_it_is_the_same_from_whichever_node_so_that_it_is_kept_once(self, here, there):
        assert here.keep(self.PLACE, MESSAGE) == there.keep(self.PLACE, MESSAGE)

    def test_it_belongs_to_its_room_and_to_its_id(self, here, there):
        kept = there.keep(self.PLACE, MESSAGE)
        for place, data in (("elsewhere", kept), (self.PLACE, b"1" + kept[1:]), (self.PLACE, kept[:-1]),
                            (self.PLACE, b"junk"), (self.PLACE, b"")):
            with pytest.raises(InvalidFrame):
                here.kept(place, data)
