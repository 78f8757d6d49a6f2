"""Packets in frames: what is encoded comes out again, and what clients send is checked before anything else."""

import base64

import pytest
import socketio.packet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webchat.net.engineio.payload import engine_frame, engine_packets, polling_packets, polling_payload
from webchat.net.errors import ProtocolViolation
from webchat.net.socketio.codec import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    EVENT,
    MAX_DEPTH,
    RESERVED,
    PacketCodec,
    fill,
)

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CODEC = PacketCodec(socketio.packet.Packet, max_attachments=10_000)

text = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | text


def trees(leaves):
    keys = text.filter(lambda key: key != "_placeholder")
    return st.recursive(leaves, lambda trees: st.lists(trees) | st.dictionaries(keys, trees), max_leaves=8)


json = trees(scalars)
data = trees(scalars | st.binary())
names = text.filter(lambda name: name not in RESERVED)
namespaces = st.just("/") | st.from_regex(r"/[a-z0-9-]{1,20}", fullmatch=True)
ids = st.none() | st.integers(0, 10**16 - 1)


@quick
@given(names, st.lists(data, max_size=2), namespaces, ids)
def test_an_event_comes_out_as_it_went_in(name, arguments, namespace, id):
    first, *attachments = engine_packets(CODEC.encode(EVENT, namespace, [name, *arguments], id))
    packet = CODEC.decode(first[1:])
    assert packet.type == (BINARY_EVENT if attachments else EVENT)
    assert (packet.namespace, packet.id, packet.attachments) == (namespace, id, len(attachments))
    assert fill(packet.data, attachments) == [name, *arguments]


@quick
@given(st.lists(data, max_size=2), st.integers(0, 10**16 - 1))
def test_an_acknowledgement_comes_out_as_it_went_in(values, id):
    first, *attachments = engine_packets(CODEC.encode(ACK, "/", values, id))
    packet = CODEC.decode(first[1:])
    assert packet.type == (BINARY_ACK if attachments else ACK)
    assert (fill(packet.data, attachments), packet.id) == (values, id)


@quick
@given(names, st.lists(json, max_size=2), namespaces, ids)
def test_upstreams_encoding_is_understood(name, arguments, namespace, id):
    encoded = socketio.packet.Packet(EVENT, [name, *arguments], namespace, id).encode()
    assert CODEC.decode(encoded)[:4] == (EVENT, namespace, id, [name, *arguments])


@quick
@given(st.text() | st.from_regex(r"[0-9]{1,3}-?/?[a-z]{0,2},?[0-9]{0,3}[\[{\"].*"))
def test_whatever_a_client_sends_is_a_packet_or_a_violation(sent):
    try:
        packet = CODEC.decode(sent)
    except ProtocolViolation:
        return
    assert packet.type == CONNECT or isinstance(packet.data, list | None)


@quick
@given(st.binary())
def test_whatever_a_client_posts_is_packets_or_a_violation(body):
    try:
        packets = list(polling_packets(body))
    except ProtocolViolation:
        return
    assert all(isinstance(packet, str | bytes) for packet in packets)


@quick
@given(st.lists(text.filter(lambda packet: "\x1e" not in packet and packet[:1] != "b") | st.binary(), min_size=1))
def test_polling_and_frames_carry_the_same_packets(packets):
    frames = b"".join(map(engine_frame, packets))
    assert list(engine_packets(frames)) == packets
    assert list(polling_packets(polling_payload(frames).encode())) == packets


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 200_000])
def test_packets_of_every_length_come_out_of_their_frames(size):
    frames = engine_frame("x" * size) + engine_frame(b"y" * size)
    assert list(engine_packets(frames)) == ["x" * size, b"y" * size]
    assert polling_payload(frames) == "x" * size + "\x1eb" + base64.b64encode(b"y" * size).decode()


@pytest.mark.parametrize(("levels", "accepted"), [(MAX_DEPTH - 2, True), (MAX_DEPTH, False), (1_000_000, False)])
def test_nesting_has_a_limit(levels, accepted):
    packet = '2["m",' + "[" * levels + "]" * levels + "]"
    if accepted:
        assert CODEC.decode(packet).type == EVENT
    else:
        with pytest.raises(ProtocolViolation):
            CODEC.decode(packet)


def test_many_brackets_are_not_many_levels():
    assert len(CODEC.decode('2["m"' + ",[]" * 1000 + ',"[[["]').data) == 1002


def test_what_json_cannot_say_is_said_by_the_standard_librarys_rules():
    class Name(str):
        pass

    assert list(engine_packets(CODEC.encode(EVENT, "/", [Name("m"), "\ud800"]))) == [r'42["m","\ud800"]']


def test_a_payload_that_cannot_be_encoded_is_the_applications_mistake():
    with pytest.raises(TypeError):
        CODEC.encode(EVENT, "/", ["m", object()])
