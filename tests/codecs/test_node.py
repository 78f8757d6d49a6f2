"""What nodes send each other: signed, numbered, of a fixed schema, never too large; everything else is invalid."""

import hmac

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
    NodePresence,
    NodeState,
    NodeTyping,
    Occupants,
    StateRequest,
)

HERE, THERE = "0" * 16, "f" * 16
CHANNEL = "webchat:all"

MESSAGE = ChatMessage("01a1fdd8d82a0000fe665408", 1, "Sue*", True, "¿qué?\n🎉", room="Taskmaster")
ITEMS = [
    NodeMessage("room:Taskmaster", MESSAGE), NodeTyping("everyone", Typing("ada")), Heartbeat(0, True),
    StateRequest(), NodeLeft(), NodePresence(1, (HeldName("ada", "ada", False),), ("bob",)),
    NodeState(3, 0, 1, (HeldName("Sue", "sue", True),)),
    Occupants("Taskmaster", ("Sue*",), (), True),
]


@pytest.fixture
def there():
    return NodeCodec(THERE, "secret")


@pytest.fixture
def here():
    return NodeCodec(HERE, "secret")


def signed(body: bytes, key: bytes = b"secret", channel: bytes = CHANNEL.encode()) -> bytes:
    """A frame with a right signature, whatever its body is."""
    digest = hmac.digest(key, b"\x01" + b"%d:" % len(channel) + channel + body, "sha256")
    return b"\x01" + digest[:node.MAC_SIZE] + body


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_an_item_arrives_unchanged(here, there, item):
    (frame,) = there.encode(CHANNEL, [item])
    received = here.decode(CHANNEL, frame)
    assert (received.node, received.items) == (THERE, (item,))


def test_several_items_share_a_frame_in_their_order(here, there):
    (frame,) = there.encode(CHANNEL, ITEMS)
    assert list(here.decode(CHANNEL, frame).items) == ITEMS


def test_items_too_large_for_one_frame_are_sent_in_several(here, there):
    items = [NodeMessage("everyone", ChatMessage(str(n), n, "ada", False, "x" * 4096)) for n in range(100)]
    frames = there.encode(CHANNEL, items)
    assert len(frames) > 1
    assert all(len(frame) <= node.MAX_NODE_FRAME for frame in frames)
    assert [item for frame in frames for item in here.decode(CHANNEL, frame).items] == items


def test_an_item_too_large_for_any_frame_is_a_value_error(there):
    with pytest.raises(ValueError, match="no frame"):
        there.encode(CHANNEL, [NodeMessage("everyone", ChatMessage("", 0, "ada", False, "x" * node.MAX_NODE_FRAME))])


@pytest.mark.parametrize(("data", "why"), [
    (b"", "version"), (b"hello", "version"), (b"\x02" + bytes(40), "version"), (b"\x01" + bytes(40), "signed"),
    (b"\x01", "signed"), (b"\x01" * 300_000, "large"),
])
def test_bytes_of_strangers_are_refused_with_the_reason(here, data, why):
    with pytest.raises(InvalidFrame, match=why):
        here.decode(CHANNEL, data)


TOO_MANY = [["beat", n, False] for n in range(node.MAX_ITEMS_PER_FRAME + 1)]


@pytest.mark.parametrize("body", [
    None, [], {}, [THERE], [THERE, "1", []], [THERE, -1, []], ["too short", 1, []], [THERE, 1, TOO_MANY],
])
def test_a_signed_frame_has_to_keep_to_the_schema(here, body):
    with pytest.raises(InvalidFrame):
        here.decode(CHANNEL, signed(msgspec.msgpack.encode(body)))


@pytest.mark.parametrize("body", [
    b"\x93\xb0" + b"\xff" * 16 + b"\x01\x90", b"\x91" * 100_000,
    b"\x93\xb0" + THERE.encode() + b"\x01" + b"\x91" * 9999,
])
def test_a_signed_frame_that_is_not_utf8_or_nested_too_deeply_is_invalid(here, body):
    with pytest.raises(InvalidFrame):
        here.decode(CHANNEL, signed(body))


MANY = [["n", "n", False]] * (node.NAMES_PER_ITEM + 1)


@pytest.mark.parametrize("junk", [
    ["unknown"], ["beat", -1, False], ["beat", 1, "yes"], ["said", "everyone", {}], ["state", 1, 0, 0, []],
    ["moved", 1, [["n" * 41, "n", False]], []], ["moved", 1, MANY, []], ["moved", 1, [], ["n"] * len(MANY)],
    ["state", 1, 0, 1, MANY], ["state", 1, 0, node.MAX_PARTS + 1, []], ["room", "x", ["n"] * len(MANY), [], False],
    ["room", "x", [], ["n"] * len(MANY), False], None, "beat", msgspec.Raw(b"\x91\xa4be\xfft"),
    msgspec.Raw(b"\x93\xa4said\xa8everyone\x81\xa4text\xa2\xff\xff"), msgspec.Raw(b"\x91" * 900 + b"\xc0"),
])
def test_an_item_that_breaks_the_schema_does_not_cost_the_others(here, junk):
    items = [["beat", 1, False], junk, ["bye"]]
    frame = here.decode(CHANNEL, signed(msgspec.msgpack.encode([THERE, 1, items])))
    assert (frame.items, len(frame.junk)) == ((Heartbeat(1), NodeLeft()), 1)


def test_the_largest_frame_is_read_and_one_byte_more_is_not(here):
    largest = node.MAX_NODE_FRAME - len(signed(b""))
    for size, why in ((largest, "^(?!.*large)"), (largest + 1, "large")):
        with pytest.raises(InvalidFrame, match=why):
            here.decode(CHANNEL, signed(bytes(size)))


def test_the_signature_covers_version_channel_and_body_as_documented(there):
    (frame,) = there.encode(CHANNEL, [Heartbeat(1)])
    assert frame == signed(frame[1 + node.MAC_SIZE:])


def test_a_frame_signed_with_another_key_is_refused(here):
    (frame,) = NodeCodec(THERE, "another").encode(CHANNEL, [Heartbeat(1)])
    with pytest.raises(InvalidFrame, match="signed"):
        here.decode(CHANNEL, frame)


def test_a_frame_with_any_bit_changed_is_refused(here, there):
    (frame,) = there.encode(CHANNEL, [Heartbeat(1)])
    for bit in range(8 * len(frame)):
        forged = bytearray(frame)
        forged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidFrame):
            here.decode(CHANNEL, bytes(forged))


def test_a_frame_moved_to_another_channel_is_refused(here, there):
    (frame,) = there.encode(CHANNEL, [Heartbeat(1)])
    with pytest.raises(InvalidFrame, match="signed"):
        here.decode("webchat:{node:0000000000000000}", frame)


def test_a_repeated_frame_and_one_older_than_the_last_are_refused(here, there):
    (first,), (second,) = there.encode(CHANNEL, [Heartbeat(1)]), there.encode(CHANNEL, [Heartbeat(2)])
    here.decode(CHANNEL, second)
    for frame in (first, second):
        with pytest.raises(InvalidFrame, match="before"):
            here.decode(CHANNEL, frame)


def test_numbers_are_compared_within_one_channel_only(here, there):
    (first,), (second,) = there.encode("one", [Heartbeat(1)]), there.encode("two", [Heartbeat(2)])
    here.decode("two", second)
    here.decode("one", first)


def test_only_the_streams_received_last_are_remembered():
    here = NodeCodec(HERE, "secret", max_streams=2)
    one, two, three = (NodeCodec(digit * 16, "secret") for digit in "123")
    (first,), (second,), (again,), (third,) = (
        codec.encode(CHANNEL, [Heartbeat(1)]) for codec in (one, two, one, three))
    for frame in (first, second, again, third):
        here.decode(CHANNEL, frame)
    for remembered in (again, third):
        with pytest.raises(InvalidFrame, match="before"):
            here.decode(CHANNEL, remembered)
    here.decode(CHANNEL, second)


def test_the_numbers_of_a_nodes_own_frames_are_not_checked(here):
    (frame,) = here.encode(CHANNEL, [Heartbeat(1)])
    assert here.decode(CHANNEL, frame) == here.decode(CHANNEL, frame)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_invalid(data):
    with pytest.raises(InvalidFrame):
        NodeCodec(HERE, "secret").decode(CHANNEL, data)


ATOMS = st.none() | st.booleans() | st.integers(0, 2**60) | st.text() | st.sampled_from([THERE, "said"])


@given(st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3)))
def test_any_signed_body_is_a_frame_or_refused_as_invalid(body):
    try:
        assert NodeCodec(HERE).decode(CHANNEL, signed(msgspec.msgpack.encode(body), key=b"")).node
    except InvalidFrame:
        pass


class TestKept:
    PLACE = "webchat:{room:Taskmaster}:history"

    def test_a_message_is_kept_unchanged_and_begins_with_its_id(self, here, there):
        kept = there.keep(self.PLACE, MESSAGE)
        assert kept.startswith(MESSAGE.id.encode())
        assert here.kept(self.PLACE, kept) == MESSAGE

    def test_every_node_keeps_a_message_as_the_same_bytes_so_that_redis_keeps_it_once(self, here, there):
        assert here.keep(self.PLACE, MESSAGE) == there.keep(self.PLACE, MESSAGE)

    def test_a_kept_message_moved_to_another_place_or_id_is_refused(self, here, there):
        kept = there.keep(self.PLACE, MESSAGE)
        for place, data in (("elsewhere", kept), (self.PLACE, b"1" + kept[1:]), (self.PLACE, kept[:-1]),
                            (self.PLACE, b"junk"), (self.PLACE, b""),
                            (self.PLACE, b"1 " + signed(b"\x97\xa1\xff", channel=self.PLACE.encode()))):
            with pytest.raises(InvalidFrame):
                here.kept(place, data)
