"""WebSocket framing, by section of RFC 6455: whole, byte by byte, and in any split."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.frames import BINARY, CLOSE, CONTINUATION, KEY, PING, PONG, TEXT, masked
from webchat.net.errors import ProtocolViolation
from webchat.net.frames import Close, FrameReader, Ping, Pong, binary_frame, close_frame, text_frame


def read(*pieces, max_size=1 << 20):
    reader = FrameReader(max_size)
    return [message for piece in pieces for message in reader.receive(piece)]


class ReaderTest(unittest.TestCase):
    def violates(self, data, status=1002, max_size=1 << 20):
        with self.assertRaises(ProtocolViolation) as raised:
            read(data, max_size=max_size)
        self.assertEqual(raised.exception.status, status)


class BaseFramingTest(ReaderTest):
    """Section 5.2."""

    def test_each_form_of_the_length(self):
        for size in (0, 1, 125, 126, 65_535, 65_536, 200_000):
            with self.subTest(size=size):
                self.assertEqual(read(masked(TEXT, b"x" * size)), ["x" * size])

    def test_text_is_str_and_binary_is_bytes(self):
        self.assertEqual(read(masked(TEXT, "ä".encode()) + masked(BINARY, b"\xff")), ["ä", b"\xff"])

    def test_reserved_bits_are_a_violation(self):
        for bit in (0x40, 0x20, 0x10):
            self.violates(bytes([0x81 | bit]) + masked(TEXT)[1:])

    def test_unknown_opcodes_are_a_violation(self):
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            self.violates(masked(opcode))

    def test_a_violation_is_seen_before_the_payload_has_arrived(self):
        self.violates(b"\xff\xff")

    @given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(0, 2000)), st.integers(0, 2**32 - 1))
    def test_any_split_gives_the_same(self, payloads, cuts, key):
        key = key.to_bytes(4)
        data = b"".join(masked(BINARY, payload, key=key) for payload in payloads)
        bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        self.assertEqual(read(*(data[a:b] for a, b in zip(bounds, bounds[1:], strict=False))), payloads)

    def test_byte_by_byte(self):
        fragments = masked(TEXT, b"one", final=False), masked(PING, b"p"), masked(CONTINUATION, b"two" * 60)
        data = b"".join(fragments) + masked(CLOSE)
        expected = [Ping(b"p"), "one" + "two" * 60, Close(1005)]
        self.assertEqual(read(*(data[i : i + 1] for i in range(len(data)))), expected)

    @given(st.binary(max_size=400))
    def test_no_bytes_make_it_fail_otherwise(self, data):
        try:
            read(data)
        except ProtocolViolation:
            pass


class MaskingTest(ReaderTest):
    """Section 5.1: a client masks, a server does not."""

    def test_an_unmasked_frame_is_a_violation(self):
        self.violates(b"\x81\x00")

    def test_a_key_of_zeros_is_a_mask(self):
        self.assertEqual(read(masked(TEXT, b"plain", key=b"\0\0\0\0")), ["plain"])

    def test_what_we_send_is_not_masked(self):
        self.assertEqual(text_frame(b"ab"), b"\x81\x02ab")
        self.assertEqual(binary_frame(b"x" * 126)[:4], b"\x82\x7e\x00\x7e")
        self.assertEqual(binary_frame(b"x" * 65_536)[:10], b"\x82\x7f" + (65_536).to_bytes(8))


class FragmentationTest(ReaderTest):
    """Section 5.4."""

    def test_fragments_are_one_message(self):
        first, second = masked(TEXT, b"\xc3", final=False), masked(CONTINUATION, b"\xa4", final=False)
        self.assertEqual(read(first + second + masked(CONTINUATION, b"!")), ["ä!"])

    def test_control_frames_may_come_between_fragments(self):
        data = masked(TEXT, b"a", final=False) + masked(PONG, b"p") + masked(CONTINUATION, b"b")
        self.assertEqual(read(data), [Pong(b"p"), "ab"])

    def test_a_continuation_of_nothing_is_a_violation(self):
        self.violates(masked(CONTINUATION))

    def test_a_message_inside_another_is_a_violation(self):
        self.violates(masked(TEXT, final=False) + masked(TEXT))


class ControlFrameTest(ReaderTest):
    """Section 5.5."""

    def test_a_control_frame_has_at_most_125_bytes(self):
        self.assertEqual(read(masked(PING, b"x" * 125)), [Ping(b"x" * 125)])
        self.violates(masked(PING, b"x" * 126))

    def test_a_control_frame_is_not_fragmented(self):
        self.violates(masked(PING, final=False))

    def test_a_close_has_a_code_and_a_reason(self):
        self.assertEqual(read(masked(CLOSE, b"\x03\xe9bye")), [Close(1001, "bye")])

    def test_codes_that_may_travel(self):
        for code in (1000, 1003, 1007, 1014, 3000, 4999):
            self.assertEqual(read(masked(CLOSE, code.to_bytes(2))), [Close(code)])

    def test_codes_that_may_not_travel(self):
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
            self.violates(masked(CLOSE, code.to_bytes(2)))

    def test_half_a_code_is_a_violation(self):
        self.violates(masked(CLOSE, b"\x03"))

    def test_nothing_is_read_after_a_close(self):
        self.assertEqual(read(masked(CLOSE) + b"\xff\xff", b"\xff"), [Close(1005)])

    def test_our_reason_is_cut_to_what_fits(self):
        frame = close_frame(1008, "ä" * 100)
        self.assertEqual((len(frame), frame[4:].decode()), (2 + 2 + 122, "ä" * 61))

    def test_no_status_is_an_empty_close(self):
        self.assertEqual(close_frame(1005), b"\x88\x00")


class TextTest(ReaderTest):
    """Section 8.1."""

    def test_text_that_is_not_utf8_is_a_violation(self):
        self.violates(masked(TEXT, b"\xff"), 1007)
        self.violates(masked(CLOSE, b"\x03\xe8\xff"), 1007)


class SizeTest(ReaderTest):
    """Section 10.4: an implementation limits what it takes."""

    def test_a_message_at_the_limit_passes(self):
        self.assertEqual(read(masked(TEXT, b"x" * 10), max_size=10), ["x" * 10])

    def test_a_message_over_the_limit_is_refused_by_its_header(self):
        self.violates(masked(TEXT, b"x" * 11)[:2] + KEY, 1009, max_size=10)

    def test_fragments_count_together(self):
        self.violates(masked(TEXT, b"x" * 6, final=False) + masked(CONTINUATION, b"x" * 5), 1009, max_size=10)

    def test_messages_before_a_violation_are_not_lost(self):
        reader, seen = FrameReader(10), []
        with self.assertRaises(ProtocolViolation):
            for message in reader.receive(masked(TEXT, b"one") + masked(3)):
                seen.append(message)
        self.assertEqual((seen, list(reader.receive(masked(TEXT)))), (["one"], []))
