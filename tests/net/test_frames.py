"""WebSocket framing without a socket: every case of `tests.net.rfc6455`, in any split, and what a buffer may cost."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, fragmented, masked
from tests.net.rfc6455 import HELLO, cases, octets, pieces
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import Close, FrameReader, Ping, Pong, binary_frame, close_frame, frame, text_frame

LIMIT = 1 << 16
MIB = 1 << 20


def read(segments, limit=LIMIT):
    """What these segments contain: (messages and control frames, status of the violation at their end or None)."""
    reader, received = FrameReader(limit), []
    try:
        for segment in segments:
            for message in reader.receive(segment):
                received.append(message)
    except ProtocolViolation as violation:
        return received, violation.status
    return received, None


def outcome(segments):
    """(messages and pings, code of the close frame or of the violation that ends them), as a case has them."""
    received, status = read(segments)
    for message in received:
        if isinstance(message, Close):
            status = message.code
    return tuple(message for message in received if not isinstance(message, (Pong, Close))), status


@pytest.mark.parametrize("case", cases(LIMIT), ids=str)
def test_a_reader_gives_the_same_for_a_case_whole_byte_by_byte_and_with_trailing_bytes(case):
    whole = b"".join(case.sent)
    expected = case.received, case.close
    assert outcome([whole]) == expected
    assert outcome(octets(whole) if len(whole) < 2000 else pieces(whole, 997)) == expected
    if case.close is None:
        expected = (*case.received, "hello"), None
    assert outcome([whole + HELLO]) == expected
    assert outcome([whole, HELLO]) == expected


def test_a_reader_gives_control_frames_as_they_were_sent():
    sent = masked(PING, b"\x00\xff") + masked(PONG, b"\xfe") + masked(CLOSE, b"\x03\xe9" + "schön".encode())
    for segments in ([sent], octets(sent)):
        assert read(segments) == ([Ping(b"\x00\xff"), Pong(b"\xfe"), Close(1001, "schön")], None)


def test_an_empty_close_frame_has_the_code_that_stands_for_none():
    assert read([masked(CLOSE)]) == ([Close(1005, "")], None)


@pytest.mark.parametrize(("header", "status"), [
    (b"\xc1", None), (b"\xc1\x85", 1002), (b"\x83\x85", 1002), (b"\x81\x05", 1002), (b"\x09\x80", 1002),
    (b"\x89\xfe", 1002), (b"\x80\x85", 1002), (b"\x81\xfe\x00", None), (b"\x81\xfe\x00\x7d", 1002),
    (b"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002), (b"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1002),
    (b"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01", 1009),
], ids=lambda value: value.hex() if isinstance(value, bytes) else str(value))
def test_a_violation_is_found_with_the_bytes_of_the_header_that_contain_it(header, status):
    assert read([header]) == ([], status)
    assert read(octets(header)) == ([], status)


def test_messages_in_front_of_a_violation_are_given_and_nothing_is_read_after_it():
    reader, received = FrameReader(LIMIT), []
    with pytest.raises(ProtocolViolation):
        for message in reader.receive(HELLO + masked(3) + HELLO):
            received.append(message)
    assert received == ["hello"]
    assert reader.closed
    assert list(reader.receive(HELLO)) == []


def test_nothing_is_read_after_a_close_frame():
    reader = FrameReader(LIMIT)
    assert list(reader.receive(masked(CLOSE) + HELLO)) == [Close(1005)]
    assert reader.closed
    assert list(reader.receive(b"\xff\xff")) == []


def test_frames_are_parsed_only_as_the_caller_asks_for_them():
    messages = FrameReader(LIMIT).receive(HELLO + b"\xff\xff")
    assert next(messages) == "hello"
    with pytest.raises(ProtocolViolation):
        next(messages)


def test_the_reason_of_a_violation_fits_a_close_frame():
    for case in cases(LIMIT):
        try:
            list(FrameReader(LIMIT).receive(b"".join(case.sent)))
        except ProtocolViolation as violation:
            assert 0 < len(str(violation)) <= 123


# What we send.


@pytest.mark.parametrize(("size", "header"), [
    (0, "00"), (1, "01"), (125, "7d"), (126, "7e007e"), (65_535, "7effff"), (65_536, "7f0000000000010000"),
])
def test_what_we_send_is_final_and_not_masked_with_the_shortest_length(size, header):
    payload = b"x" * size
    assert text_frame(payload) == b"\x81" + bytes.fromhex(header) + payload
    assert binary_frame(payload) == b"\x82" + bytes.fromhex(header) + payload
    assert frame(PONG, payload) == b"\x8a" + bytes.fromhex(header) + payload


@pytest.mark.parametrize(("reason", "sent"), [
    ("", b""), ("bye", b"bye"), ("x" * 123, b"x" * 123), ("x" * 124, b"x" * 123),
    ("ä" * 100, "ä".encode() * 61), ("x" * 121 + "\U0001f600", b"x" * 121),
])
def test_the_reason_we_close_with_is_cut_to_whole_characters_that_fit(reason, sent):
    assert close_frame(1008, reason) == bytes((0x88, 2 + len(sent))) + b"\x03\xf0" + sent


def test_we_close_without_a_status_by_an_empty_frame():
    assert close_frame(1005) == b"\x88\x00"
    assert close_frame(1005, "unsaid") == b"\x88\x00"


# What it costs.


def peak(reader, segments):
    """The most memory in bytes that was in use at once while these segments were read, beyond what was before."""
    tracemalloc.start()
    try:
        for segment in segments:
            assert list(reader.receive(segment)) == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_frame_that_arrives_in_many_segments_is_not_copied_with_each():
    """A copy would be in use beside the original: twice the size."""
    segments = pieces(masked(BINARY, bytes(10 * MIB), key=bytes(4)), 16_384)
    reader = FrameReader(10 * MIB)
    assert peak(reader, segments[:-1]) < 13 * MIB
    assert list(reader.receive(segments[-1])) == [bytes(10 * MIB)]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_are_joined_without_copying_the_message_with_each(opcode):
    frames = fragmented(opcode, [b"x" * 1000] * 4000)
    reader = FrameReader(4 * MIB)
    assert peak(reader, frames[:-1]) < 1.5 * 4000 * 1000
    [message] = reader.receive(frames[-1])
    assert len(message) == 4_000_000


class Segment(bytes):
    """Counts the bytes that are copied out of it."""

    copied = 0

    def __getitem__(self, key):
        part = super().__getitem__(key)
        if isinstance(key, slice):
            self.copied += len(part)
        return part


@pytest.mark.parametrize("end", [b"", HELLO[:-1]], ids=["whole", "incomplete"])
def test_many_small_frames_in_one_segment_are_each_copied_once(end):
    segment = Segment(masked(TEXT, b"hi") * 2000 + end)
    assert list(FrameReader(LIMIT).receive(segment)) == ["hi"] * 2000
    assert segment.copied <= len(segment)


@pytest.mark.parametrize("last", [masked(CLOSE), masked(3)], ids=["close", "violation"])
def test_a_reader_that_has_ended_keeps_nothing_of_what_it_had_buffered(last):
    fragment = masked(BINARY, bytes(MIB), final=False, key=bytes(4))
    reader = FrameReader(2 * MIB)
    tracemalloc.start()
    try:
        for segment in (fragment[:-1], fragment[-1:] + last):
            try:
                list(reader.receive(segment))
            except ProtocolViolation:
                pass
        assert tracemalloc.get_traced_memory()[0] < MIB // 2
    finally:
        tracemalloc.stop()


# Any input.

FRAMES = st.one_of(
    st.tuples(st.just(BINARY), st.lists(st.binary(max_size=150), min_size=1, max_size=3)),
    st.tuples(st.just(TEXT), st.text(max_size=60).flatmap(lambda text: st.lists(
        st.integers(0, len(text.encode())), max_size=4).map(lambda cuts: split(text.encode(), cuts)))),
    st.tuples(st.sampled_from((PING, PONG)), st.lists(st.binary(max_size=125), min_size=1, max_size=1)),
)
KEYS = st.binary(min_size=4, max_size=4)
CUTS = st.lists(st.integers(0, 1000), max_size=20)


def split(data, cuts):
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]


def meant(opcode, parts):
    data = b"".join(parts)
    if opcode == TEXT:
        return data.decode()
    return {BINARY: bytes, PING: Ping, PONG: Pong}[opcode](data)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=4), KEYS, CUTS)
def test_any_split_of_valid_frames_gives_the_messages_that_were_sent(messages, key, cuts):
    data = b"".join(part for opcode, parts in messages for part in fragmented(opcode, parts, key))
    assert read(split(data, cuts)) == ([meant(*message) for message in messages], None)


@settings(deadline=None)
@given(st.binary(max_size=400), CUTS)
def test_no_bytes_raise_anything_but_a_violation_and_no_split_changes_it(data, cuts):
    assert read(split(data, cuts)) == read([data])


ANY_FRAMES = st.lists(st.builds(masked, st.sampled_from((CONTINUATION, TEXT, BINARY, CLOSE, PING)),
                                st.binary(max_size=40), st.booleans(), KEYS), max_size=6)


@settings(deadline=None)
@given(ANY_FRAMES, CUTS)
def test_no_order_of_frames_raises_anything_but_a_violation_and_no_split_changes_it(frames, cuts):
    data = b"".join(frames)
    assert read(split(data, cuts)) == read([data])
