"""Every decoder's work is linear: a byte costs the same, however much has come before it.

Otherwise somebody who has not even logged in could keep the server busy with one byte now and then.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from tests.work import counting, work_per_segment
from webchat.codecs import braces, greetings, keys, lines, stream_input, telnet
from webchat.net import frames, request_head
from webchat.net.engineio import payload

MODULES: tuple[ModuleType, ...] = (braces, greetings, keys, lines, stream_input, telnet, frames, payload, request_head)

BYTES = 40
"""Single bytes whose work is counted."""


@dataclass
class Case:
    """A decoder that has received `start`, then `repeated` very often, and now receives `byte` several times."""

    make: Any
    start: bytes
    repeated: bytes
    byte: bytes = b"x"


def brace_decoder(**settings: Any) -> braces.BraceDecoder:
    return braces.BraceDecoder(lambda name: False, **settings)


class HeadReader:
    """What a server does with a request's head until it is complete."""

    def __init__(self) -> None:
        self._end = request_head.HeadEnd(1 << 20)
        self._received = bytearray()

    def receive(self, data: bytes) -> None:
        self._received += data
        assert self._end.search(self._received) is None


def frame_header(opcode: int, size: int, final: bool = True) -> bytes:
    """The header of a masked frame of 126 to 65,535 bytes."""
    return bytes((opcode | final << 7, 0x80 | 126)) + size.to_bytes(2) + bytes(4)


CASES = {
    "braces in a text": Case(brace_decoder, b"{ALL}", b"{B}"),
    "braces, an opening one": Case(brace_decoder, b"{ALL}", b"{B}", b"{"),
    "braces that are not closed": Case(brace_decoder, b"{ALL}", b"{{{"),
    "braces, a long word": Case(brace_decoder, b"{", b"yyy"),
    "braces from a client with newlines": Case(brace_decoder, b"{REGISTER}Hugo\n{ALL}", b"{B}"),
    "braces, blank lines": Case(brace_decoder, b"{REGISTER}Hugo{ALL}", b"\n\n\n", b"\n"),
    "braces, blanks": Case(brace_decoder, b"", b"   ", b" "),
    "braces, newlines alone": Case(brace_decoder, b"x{ALL}\n", b"\n\n\n", b"\n"),
    "braces of a message that is too long": Case(lambda: brace_decoder(limit=99), b"{ALL}", b"{B}"),
    "a line": Case(lines.LineDecoder, b"", b"yyy"),
    "carriage returns": Case(lines.LineDecoder, b"x\n", b"\r\r\r", b"\r"),
    "erasures": Case(lines.LineDecoder, b"x\n", b"\b\b\b", b"\b"),
    "keys": Case(lines.LineDecoder, b"x\n", b"\x1b[1", b"\x1b"),
    "a line that is too long": Case(lambda: lines.LineDecoder(limit=99), b"", b"yyy"),
    "a telnet subnegotiation": Case(telnet.Telnet, b"\xff\xfa", b"\xff\xff"),
    "a first line that may be HTTP": Case(greetings.Greeting, b"GET /", b"yyy"),
    "a request's head": Case(HeadReader, b"GET / HTTP/1.1\r\n", b"a:\r\n"),
    "blank lines before the first": Case(greetings.Greeting, b"\r\n\r\n\r\n", b"\n\n\n", b"\n"),
    "a line from the server": Case(stream_input.LineSplitter, b"x\n", b"yyy"),
    "lines, a client": Case(lines.ServerLineDecoder, b"-!- ", b"yyy"),
    "braces, a client": Case(braces.ServerFrameDecoder, b"{ALL}", b"{B}"),
    "a WebSocket message": Case(lambda: frames.FrameReader(1 << 16), frame_header(frames.TEXT, 60_000), b"yyy"),
    "a WebSocket message in fragments": Case(
        lambda: frames.FrameReader(1 << 16), frame_header(frames.TEXT, 126, final=False) + b"y" * 126,
        b"\x00\x81" + bytes(5), b"\x00\x81" + bytes(5)),
}


def read_all(decoder: Any, segment: bytes) -> None:
    """Let a decoder read a segment, and whatever its connection asks it after that."""
    list(decoder.receive(segment) or ())
    getattr(decoder, "idle_after", None)


@pytest.mark.parametrize("segment_size", [1, 1 << 16])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_byte_costs_the_same_however_much_has_come_before_it(case, segment_size):
    def work(repetitions: int) -> float:
        decoder, data = case.make(), case.start + case.repeated * repetitions
        for at in range(0, len(data), segment_size):
            read_all(decoder, data[at : at + segment_size])
        return work_per_segment(decoder, lambda byte: read_all(decoder, byte), [case.byte] * BYTES, MODULES)

    little, much = work(50), work(1000)
    assert much <= 2 * little + 10


REPEATED = {
    "messages": (brace_decoder, b"{ALL}x"), "messages with newlines": (brace_decoder, b"{ALL}x\n"),
    "words in braces": (brace_decoder, b"{x}"), "braces": (brace_decoder, b"{"), "lines": (lines.LineDecoder, b"x\r\n"),
    "erasures": (lines.LineDecoder, b"\b"), "erased words": (lines.LineDecoder, b"x \x17"),
    "keys": (lines.LineDecoder, b"\x1b[1;"), "carriage returns": (lines.LineDecoder, b"\r"),
    "lines from the server": (lines.ServerLineDecoder, b"a: b\n"),
    "messages from the server": (braces.ServerFrameDecoder, b"{ALL}x\n"),
    "pings": (lambda: frames.FrameReader(1 << 16), b"\x89\x80" + bytes(4)),
    "WebSocket messages": (lambda: frames.FrameReader(1 << 16), b"\x81\x81" + bytes(5)),
}


@pytest.mark.parametrize("make, unit", REPEATED.values(), ids=REPEATED)
def test_the_work_for_one_segment_grows_no_faster_than_the_segment(make, unit):
    def work(repetitions: int) -> int:
        decoder = make()
        with counting(MODULES) as counted:
            read_all(decoder, unit * repetitions)
        return counted.characters

    assert work(1000) <= 12 * work(100) + 100


def test_the_work_for_what_a_long_polling_client_posts_grows_no_faster_than_that():
    def work(packets: int) -> int:
        with counting(MODULES) as counted:
            assert len(list(payload.polling_packets(payload.SEPARATOR.join(["4x", "bAAAA"] * packets).encode()))) > 1
        return counted.characters

    assert 0 < work(1000) <= 12 * work(100)
