"""Telnet negotiation is answered and stripped, wherever the segments break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.splits import byte_by_byte, cut, random_cuts, whole
from webchat.codecs.telnet import ARE_YOU_THERE_ANSWER, SUBNEGOTIATION_LIMIT, Telnet
from webchat.net.errors import ProtocolViolation

CORPUS = [
    ("plain text", b"hello\r\n", b"hello\r\n", b""),
    ("DO TIMING-MARK, what Ctrl-C sends", b"\xff\xf4\xff\xfd\x06", b"", b"\xff\xfc\x06"),
    ("DO of anything else", b"a\xff\xfd\x01b", b"ab", b"\xff\xfc\x01"),
    ("WILL of anything", b"\xff\xfb\x18", b"", b"\xff\xfe\x18"),
    ("DONT and WONT need no answer", b"\xff\xfe\x01\xff\xfc\x01", b"", b""),
    ("an option that is 0xFF", b"\xff\xfd\xffx", b"x", b"\xff\xfc\xff"),
    ("an option that is a newline", b"\xff\xfd\nx", b"x", b"\xff\xfc\n"),
    ("a subnegotiation", b"x\xff\xfa\x18\x00xterm\xff\xf0y", b"xy", b""),
    ("a subnegotiation with an escaped 0xFF", b"\xff\xfa\x1f\xff\xff\xf0\x01\xff\xf0y", b"y", b""),
    ("an escaped 0xFF", b"a\xff\xffb", b"a\xffb", b""),
    ("are you there?", b"\xff\xf6", b"", ARE_YOU_THERE_ANSWER),
    ("erase character and erase line", b"ab\xff\xf7c\xff\xf8d", b"ab\bc\x15d", b""),
    ("no operation, data mark, interrupt", b"\xff\xf1a\xff\xf2b\xff\xf4", b"ab", b""),
    ("a 0xFF that starts nothing", b"\xffhello", b"\xffhello", b""),
    ("a double quote for a subnegotiation end that is none", b"\xf0x", b"\xf0x", b""),
]


def run(segments):
    telnet = Telnet()
    parts = [telnet.receive(segment) for segment in segments]
    return b"".join(text for text, _ in parts), b"".join(answer for _, answer in parts)


@pytest.mark.parametrize("name, data, text, answer", CORPUS, ids=[case[0] for case in CORPUS])
def test_each_sequence_is_stripped_and_answered_whole_and_byte_by_byte(name, data, text, answer):
    assert run([data]) == (text, answer)
    assert run(byte_by_byte(data)) == (text, answer)


@given(cuts=random_cuts)
def test_the_corpus_means_the_same_in_any_split(cuts):
    data = b"".join(case[1] for case in CORPUS)
    assert run(cut(data, cuts)) == (b"".join(case[2] for case in CORPUS), b"".join(case[3] for case in CORPUS))


@given(data=st.binary(max_size=400), cuts=random_cuts)
def test_any_bytes_mean_the_same_in_any_split(data, cuts):
    assert run([data]) == run(cut(data, cuts))


def test_it_knows_a_telnet_client_from_one_that_merely_sends_0xff():
    telnet = Telnet()
    telnet.receive(b"\xff\xff\xffx")
    assert not telnet.seen
    telnet.receive(b"\xff\xfd\x06")
    assert telnet.seen


@pytest.mark.parametrize("split", [whole, byte_by_byte])
def test_a_subnegotiation_that_does_not_end_is_a_violation(split):
    longest = b"x" * SUBNEGOTIATION_LIMIT
    assert run(split(b"\xff\xfa" + longest + b"\xff\xf0text")) == (b"text", b"")
    with pytest.raises(ProtocolViolation):
        run(split(b"\xff\xfa" + longest + b"x"))


def test_each_subnegotiation_has_the_limit_to_itself():
    longest = b"\xff\xfa" + b"x" * SUBNEGOTIATION_LIMIT + b"\xff\xf0"
    assert run([longest * 3 + b"text"]) == (b"text", b"")


def test_text_and_answers_are_returned_once():
    telnet = Telnet()
    assert telnet.receive(b"one\xff\xfd\x06") == (b"one", b"\xff\xfc\x06")
    assert telnet.receive(b"two\xff\xfd\x01") == (b"two", b"\xff\xfc\x01")
