"""What the decoders of TCP connections have in common: lines are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.splits import byte_by_byte, cut, random_cuts, whole
from webchat.codecs.stream_input import LineSplitter


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
