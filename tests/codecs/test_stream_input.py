"""What the decoders of TCP connections have in common: other protocols are recognised, lines are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.memory import held_text
from tests.codecs.splits import byte_by_byte, cut, random_cuts, whole
from webchat.codecs.stream_input import REQUEST_LINE_LIMIT, LineSplitter, ProtocolCheck

OTHER_PROTOCOLS = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /a HTTP/1.0\n\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"OPTIONS sip:nm SIP/2.0\r\n", b"DESCRIBE rtsp://x RTSP/1.0\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]
CHAT = [
    b"GET / HTTP/1.1", b"get / HTTP/1.1\n", b"Hugo\nGET / HTTP/1.1\n", b"GET a b HTTP/1.1\n", b"GET / HTTP/one\n",
    b"{ALL}GET / HTTP/1.1\n", b"\x16\x02", b"x\x16\x03", b"", "Zoë\n".encode(),
]


def times_found(segments):
    check = ProtocolCheck()
    return [check.receive(segment) for segment in segments].count(True)


class TestProtocolCheck:
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("data", OTHER_PROTOCOLS)
    def test_http_and_tls_are_found_once_whatever_follows(self, data, split):
        assert times_found(split(data)) == 1
        assert times_found([*split(data), b"GET / HTTP/1.1\r\n"]) == 1

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("data", CHAT)
    def test_everything_else_belongs_to_the_chat(self, data, split):
        assert times_found(split(data)) == 0

    def test_nothing_is_found_after_the_connection_is_known_to_be_a_chat_clients(self):
        check = ProtocolCheck()
        check.receive(b"GET /")
        check.finish()
        assert not check.receive(b" HTTP/1.1\r\n")

    def test_a_first_line_without_an_end_is_given_up_at_the_limit_and_forgotten(self):
        check = ProtocolCheck()
        check.receive(b"GET /" + b"x" * REQUEST_LINE_LIMIT)
        assert held_text(check) == 0
        assert not check.receive(b" HTTP/1.1\r\n")

    def test_a_first_line_is_forgotten_as_soon_as_it_is_complete(self):
        check = ProtocolCheck()
        check.receive(b"/login Sue password\n")
        assert held_text(check) == 0


class TestLineSplitter:
    CASES = [
        (b"one\n", [b"one"]), (b"one\r\ntwo\n", [b"one", b"two"]), (b"\n\r\nx\n", [b"", b"", b"x"]),
        (b"a\rb\n", [b"a\rb"]), (b"a\r\r\n", [b"a\r"]), (b"unfinished", []), (b"", []),
    ]

    @pytest.mark.parametrize("trailing", [b"", b"trailing", b"\r"])
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("data, lines", CASES)
    def test_lines_end_with_lf_or_crlf(self, data, lines, split, trailing):
        splitter = LineSplitter()
        assert [line for segment in split(data + trailing) for line in splitter.receive(segment)] == lines

    @given(data=st.text(alphabet="ab\r\n", max_size=40), cuts=random_cuts)
    def test_the_lines_are_the_same_in_any_split(self, data, cuts):
        splitter = LineSplitter()
        segments = cut(data.encode(), cuts)
        assert ([line for segment in segments for line in splitter.receive(segment)]
                == LineSplitter().receive(data.encode()))
