"""What a WebSocket server without extensions has to do with what clients send, as a table of cases (RFC 6455).

The categories are those of the Autobahn test suite. Each case says what is sent, which messages and pings the server
has to act on, and with which code it has to close the connection, if at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, fragmented, masked
from webchat.net.frames import Ping

CONTROL = {"close": CLOSE, "ping": PING, "pong": PONG}


@dataclass(frozen=True)
class Case:
    """`sent` are TCP segments. Of what they contain, the server acts on `received`: str, bytes, and pings to answer.

    `close` is the code that the server closes with: 1005 for an empty close frame, None if the connection stays open.
    """

    name: str
    sent: tuple[bytes, ...]
    received: tuple[str | bytes | Ping, ...] = ()
    close: int | None = None

    def __str__(self) -> str:
        return self.name


def case(name, sent, received=(), close=None):
    """A case of which everything is sent at once."""
    return Case(name, (b"".join(sent),), tuple(received), close)


def chopped(name, sent, received=(), close=None, size=1):
    """A case that is sent in segments of `size` bytes."""
    data = b"".join(sent)
    return Case(name, tuple(data[start:start + size] for start in range(0, len(data), size)), tuple(received), close)


def octets(data):
    return [data[index:index + 1] for index in range(len(data))]


def pieces(data, size):
    return [data[start:start + size] for start in range(0, len(data), size)]


def close_payload(code, reason=b""):
    return code.to_bytes(2) + reason


HELLO = masked(TEXT, b"hello")
GOODBYE = masked(CLOSE, close_payload(1000))


def framing() -> Iterator[Case]:
    """Section 5.2: text and binary messages at all borders of the three forms of the length."""
    for size in (0, 1, 124, 125, 126, 127, 128, 65_535, 65_536):
        yield case(f"1 text of {size} bytes", [masked(TEXT, b"*" * size)], ["*" * size])
        yield case(f"1 binary of {size} bytes", [masked(BINARY, b"\xfe" * size)], [b"\xfe" * size])
    for size in (125, 126, 65_535, 65_536):
        for chop in (997, 1024, 16_384):
            text = masked(TEXT, b"*" * size)
            yield chopped(f"1 text of {size} bytes in segments of {chop}", [text], ["*" * size], size=chop)
    for size in (0, 125, 126, 300):
        yield chopped(f"1 text of {size} bytes byte by byte", [masked(TEXT, b"*" * size)], ["*" * size])
        yield chopped(f"1 binary of {size} bytes byte by byte", [masked(BINARY, b"*" * size)], [b"*" * size])
    yield case("1 many messages in one segment", [HELLO, masked(BINARY, b"\0"), HELLO] * 20,
               ["hello", b"\0", "hello"] * 20)
    for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x80\x00\x00\x00"):
        yield case(f"1 masked with {key.hex()}", [masked(TEXT, b"hello", key=key)], ["hello"])
    # The example of section 5.7.
    yield case("1 the masked hello of the RFC", [bytes.fromhex("8185 37fa213d 7f9f4d5158")], ["Hello"])
    for opcode in (TEXT, BINARY):
        for size in (0, 1, 125):
            for width in (2, 8):
                yield case(f"1 opcode {opcode}, {size} bytes, needlessly with a length of {width} bytes",
                           [masked(opcode, b"*" * size, width=width)], close=1002)
        for size in (126, 65_535):
            yield case(f"1 opcode {opcode}, {size} bytes, needlessly with a length of 8 bytes",
                       [masked(opcode, b"*" * size, width=8)], close=1002)
        for length in (1 << 63, (1 << 64) - 1):
            yield case(f"1 opcode {opcode} with a length of {length:#x}",
                       [bytes([0x80 | opcode, 0xFF]) + length.to_bytes(8)], close=1002)
    yield case("1 text without a mask", [b"\x81\x05hello"], close=1002)
    yield case("1 ping without a mask", [b"\x89\x00"], close=1002)
    yield case("1 text, then text without a mask", [HELLO, b"\x81\x05hello"], ["hello"], 1002)


def pings() -> Iterator[Case]:
    """Sections 5.5.2 and 5.5.3."""
    for name, payload in {"nothing": b"", "text": b"hello", "bytes": b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
                          "124 bytes": b"\xfe" * 124, "125 bytes": b"\xfe" * 125}.items():
        yield case(f"2 ping with {name}", [masked(PING, payload)], [Ping(payload)])
        yield chopped(f"2 ping with {name} byte by byte", [masked(PING, payload)], [Ping(payload)])
        yield case(f"2 unsolicited pong with {name}", [masked(PONG, payload), HELLO], ["hello"])
    yield case("2 unsolicited pong, then ping", [masked(PONG, b"unsolicited"), masked(PING, b"p")], [Ping(b"p")])
    ten = [b"payload %d" % number for number in range(10)]
    for name, send in {"at once": case, "byte by byte": chopped}.items():
        yield send(f"2 ten pings {name}", [masked(PING, payload) for payload in ten], map(Ping, ten))
    for name, opcode in CONTROL.items():
        for size in (126, 200, 65_536):
            yield case(f"2 {name} of {size} bytes", [masked(opcode, b"*" * size)], close=1002)
        for width in (2, 8):
            yield case(f"2 {name} of 5 bytes, needlessly with a length of {width} bytes",
                       [masked(opcode, b"*" * 5, width=width)], close=1002)


def reserved_bits() -> Iterator[Case]:
    """Section 5.2: without extensions the reserved bits are 0."""
    for rsv in range(1, 8):
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG):
            for payload in (b"", b"hello"):
                bad = masked(opcode, payload, rsv=rsv)
                yield case(f"3 RSV {rsv}, opcode {opcode}, {len(payload)} bytes", [bad, HELLO], close=1002)
        bad = masked(TEXT, b"hello", rsv=rsv)
        yield case(f"3 text, then RSV {rsv}, then ping", [HELLO, bad, masked(PING)], ["hello"], 1002)
        yield chopped(f"3 text, then RSV {rsv} byte by byte", [HELLO, bad], ["hello"], 1002)
        yield case(f"3 RSV {rsv} in a continuation",
                   [masked(TEXT, b"a", final=False), masked(CONTINUATION, b"b", rsv=rsv)], close=1002)
        yield case(f"3 RSV {rsv} in a first fragment", [masked(TEXT, b"a", final=False, rsv=rsv)], close=1002)
        yield case(f"3 RSV {rsv} in a header without the rest", [bytes([0x81 | rsv << 4, 0x85])], close=1002)


def reserved_opcodes() -> Iterator[Case]:
    """Section 5.2: opcodes 3 to 7 and 11 to 15 mean nothing yet."""
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"hello"):
            bad = masked(opcode, payload)
            yield case(f"4 opcode {opcode}, {len(payload)} bytes", [bad], close=1002)
            yield case(f"4 text, then opcode {opcode}, {len(payload)} bytes, then ping",
                       [HELLO, bad, masked(PING)], ["hello"], 1002)
            yield chopped(f"4 text, then opcode {opcode}, {len(payload)} bytes, byte by byte",
                          [HELLO, bad], ["hello"], 1002)
        yield case(f"4 opcode {opcode} as a first fragment", [masked(opcode, b"a", final=False)], close=1002)
        yield case(f"4 opcode {opcode} between fragments",
                   [masked(TEXT, b"a", final=False), masked(opcode, b"b"), masked(CONTINUATION, b"c")], close=1002)


def fragmentation() -> Iterator[Case]:
    """Section 5.4."""
    first, middle, last = (masked(TEXT, b"one", final=False), masked(CONTINUATION, b"two", final=False),
                           masked(CONTINUATION, b"three"))
    ping = masked(PING, b"p")
    for send, how in ((case, "at once"), (chopped, "byte by byte")):
        yield send(f"5 two fragments of text {how}", [first, last], ["onethree"])
        yield send(f"5 three fragments of text {how}", [first, middle, last], ["onetwothree"])
        yield send(f"5 three fragments of bytes {how}", fragmented(BINARY, [b"\xff", b"\0", b"\xfe"]),
                   [b"\xff\0\xfe"])
        yield send(f"5 a ping between fragments {how}", [first, ping, last], [Ping(b"p"), "onethree"])
        yield send(f"5 a pong between fragments {how}", [first, masked(PONG, b"p"), last], ["onethree"])
        yield send(f"5 a ping after each of many fragments {how}", [first, ping, middle, ping, middle, ping, last],
                   [*[Ping(b"p")] * 3, "onetwotwothree"])
        yield send(f"5 text, fragments, text {how}", [HELLO, first, last, HELLO], ["hello", "onethree", "hello"])
        for name, opcode in CONTROL.items():
            yield send(f"5 {name} in two fragments {how}", [masked(opcode, b"one", final=False), last], close=1002)
        yield send(f"5 a fragmented ping between fragments {how}",
                   [first, masked(PING, b"p", final=False), last], close=1002)
        for final in (True, False):
            stray = masked(CONTINUATION, b"stray", final=final)
            which = "final" if final else "not final"
            yield send(f"5 a continuation of nothing, {which}, {how}", [stray, HELLO], close=1002)
            yield send(f"5 text, then a continuation, {which}, {how}", [HELLO, stray], ["hello"], 1002)
            yield send(f"5 a continuation, {which}, after a fragmented message {how}", [first, last, stray],
                       ["onethree"], 1002)
        for name, opcode in {"text": TEXT, "binary": BINARY}.items():
            for final in (True, False):
                other = masked(opcode, b"other", final=final)
                which = "message" if final else "first fragment"
                yield send(f"5 a {name} {which} between fragments {how}", [first, other, last], close=1002)
        yield send(f"5 a close between fragments {how}", [first, GOODBYE, last], close=1000)
    for opcode in (TEXT, BINARY):
        for parts in ([b"", b"", b""], [b"", b"a", b""], [b"a", b"", b"b"], [b"", b"", b"a"], [b""] * 500):
            whole = b"".join(parts)
            yield case(f"5 opcode {opcode}, {len(parts)} fragments, sizes {[len(part) for part in parts[:3]]}",
                       fragmented(opcode, parts), [whole.decode() if opcode == TEXT else whole])


VALID_TEXTS = {
    "ASCII": b"Hello",
    "Greek": "κόσμε".encode(),
    "accents": "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    "four bytes each": "\U0001f600\U0001f4a9".encode(),
    "combining characters": "e\u0301\u200d".encode(),
    **{f"U+{code:04X}": chr(code).encode() for code in (
        0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFFFD, 0x10000, 0x3FFFF,
        0x40000, 0xFFFFF, 0x100000, 0x10FFFD,
    )},
    **{f"noncharacter U+{code:04X}": chr(code).encode() for code in (
        0xFDD0, 0xFDEF, *(plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)),
    )},
}

INVALID_TEXTS = {
    "a continuation byte alone": ["80", "bf", "80bf", "80bf80", "80bf80bf80bf80"],
    "a first byte and a space": ["c220", "df20", "e120", "ef20", "f120", "f420"],
    "truncated": ["c2", "df", "e1", "e180", "ef", "efbf", "f1", "f180", "f18080", "f48f", "f48fbf", "c2e180f18080"],
    "a sequence cut short by the next": ["e180c3a4", "f18080c3a4", "f18041"],
    "a byte that is never used": ["c0", "c1", "f5", "f6", "f7", "f8", "fb", "fc", "fd", "fe", "ff", "fefeffff"],
    "overlong": ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af", "c1bf", "e09fbf", "f08fbfbf",
                 "f887bfbfbf", "fc83bfbfbfbf", "c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
    "a surrogate": ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf", "eda080edb080",
                    "edafbfedbfbf"],
    "above U+10FFFF": ["f4908080", "f7bfbfbf", "f888808080", "fbbfbfbfbf", "fc8480808080", "fdbfbfbfbfbf"],
}


def utf8() -> Iterator[Case]:
    """Sections 5.6 and 8.1."""
    for name, data in VALID_TEXTS.items():
        text = data.decode()
        yield case(f"6 {name}", [masked(TEXT, data)], [text])
        yield case(f"6 {name} in fragments of one byte", fragmented(TEXT, octets(data)), [text])
        yield chopped(f"6 {name} byte by byte", [masked(TEXT, data)], [text])
    for cut in range(1, len("κ€😀".encode())):
        data = "κ€😀".encode()
        yield case(f"6 fragments split after {cut} bytes", fragmented(TEXT, [data[:cut], data[cut:]]), ["κ€😀"])
        yield chopped(f"6 a ping between fragments split after {cut} bytes",
                      [masked(TEXT, data[:cut], final=False), masked(PING), masked(CONTINUATION, data[cut:])],
                      [Ping(b""), "κ€😀"])
    for name, sequences in INVALID_TEXTS.items():
        for sequence in sequences:
            bad = bytes.fromhex(sequence)
            data = "κόσμε".encode() + bad
            yield case(f"6 {name}: {sequence}", [masked(TEXT, bad)], close=1007)
            yield case(f"6 {name}: {sequence} between text", [masked(TEXT, data + b"edited")], close=1007)
            yield case(f"6 {name}: {sequence} in fragments of one byte", fragmented(TEXT, octets(data)), close=1007)
            yield chopped(f"6 {name}: {sequence} byte by byte", [masked(TEXT, bad)], close=1007)
            yield case(f"6 {name}: {sequence} as bytes", [masked(BINARY, bad)], [bad])
    start = masked(TEXT, "κόσμε".encode(), final=False)
    for sequence in ("ff", "eda080", "f4908080", "c0", "80"):
        bad = masked(CONTINUATION, bytes.fromhex(sequence), final=False)
        yield case(f"6 {sequence} in a fragment that is not the last", [start, bad], close=1007)
    yield case("6 invalid text after valid text", [HELLO, masked(TEXT, b"\xff"), HELLO], ["hello"], 1007)
    yield case("6 a sequence does not continue in the next message", [masked(TEXT, b"\xce"), masked(TEXT, b"\xba")],
               close=1007)


VALID_CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


def closing() -> Iterator[Case]:
    """Sections 5.5.1 and 7."""
    yield case("7 text, then close", [HELLO, GOODBYE], ["hello"], 1000)
    yield case("7 an empty close", [masked(CLOSE)], close=1005)
    yield case("7 two closes", [GOODBYE, masked(CLOSE, close_payload(1001))], close=1000)
    yield case("7 ping after close", [GOODBYE, masked(PING, b"p")], close=1000)
    yield case("7 text after close", [GOODBYE, HELLO], close=1000)
    yield case("7 a violation after close", [GOODBYE, b"\xff\xff"], close=1000)
    yield case("7 text before and after close, byte by byte", octets(HELLO + GOODBYE + HELLO), ["hello"], 1000)
    large = b"*" * 60_000
    yield case("7 a large text, then close, then ping", [masked(TEXT, large), GOODBYE, masked(PING)],
               [large.decode()], 1000)
    for send, how in ((case, "at once"), (chopped, "byte by byte")):
        yield send(f"7 a close of one byte {how}", [masked(CLOSE, b"\x03")], close=1002)
        for name, reason in {"a reason": b"bye", "a reason of 123 bytes": b"*" * 123,
                             "a reason of 122 bytes in UTF-8": "ä".encode() * 61}.items():
            yield send(f"7 a close with {name} {how}", [masked(CLOSE, close_payload(1000, reason))], close=1000)
        yield send(f"7 a close with a reason of 124 bytes {how}", [masked(CLOSE, close_payload(1000, b"*" * 124))],
                   close=1002)
        for bad in (b"\xff", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xc2", b"\xc0\xaf"):
            yield send(f"7 a close with the invalid reason {bad.hex()} {how}",
                       [masked(CLOSE, close_payload(1000, bad))], close=1007)
    for code in VALID_CODES:
        yield case(f"7 a close with {code}", [masked(CLOSE, close_payload(code))], close=code)
        yield case(f"7 a close with {code} and a reason", [masked(CLOSE, close_payload(code, b"bye"))], close=code)
    for code in INVALID_CODES:
        yield case(f"7 a close with {code}, which is invalid", [masked(CLOSE, close_payload(code))], close=1002)
        yield case(f"7 a close with {code}, which is invalid, and a reason",
                   [masked(CLOSE, close_payload(code, b"bye"))], close=1002)


def sizes(limit) -> Iterator[Case]:
    """Section 10.4: messages up to the server's limit in bytes, and over it. Categories 9 and 10."""
    key = bytes(4)
    for size in (limit // 16, limit // 4, limit - 1, limit):
        yield case(f"9 text of {size} bytes", [masked(TEXT, b"*" * size, key=key)], ["*" * size])
        yield case(f"9 binary of {size} bytes", [masked(BINARY, b"\xfe" * size, key=key)], [b"\xfe" * size])
    text = "*" * limit
    for size in (64, 256, 1000, 4096, 16_384, limit // 2, limit):
        yield case(f"9 text in fragments of {size} bytes", fragmented(TEXT, pieces(text.encode(), size), key), [text])
        yield case(f"9 bytes in fragments of {size} bytes", fragmented(BINARY, pieces(text.encode(), size), key),
                   [text.encode()])
    for size in (1024, 4096, 65_536):
        yield chopped(f"9 text in segments of {size} bytes", [masked(TEXT, text.encode(), key=key)], [text], size=size)
    wide = "€" * (limit // 3)
    yield case("9 text of three bytes each in fragments of 1000 bytes",
               fragmented(TEXT, pieces(wide.encode(), 1000), key), [wide])
    yield case("10 65,536 bytes in fragments of 1300", fragmented(TEXT, pieces(b"*" * 65_536, 1300)), ["*" * 65_536])
    yield case("9 text of a byte more than the limit", [masked(TEXT, b"*" * (limit + 1), key=key)], close=1009)
    yield case("9 the header of a frame over the limit",
               [masked(TEXT, b"*" * (limit + 1), key=key)[:10]], close=1009)
    yield case("9 a length of 63 bits", [b"\x82\xff" + ((1 << 63) - 1).to_bytes(8)], close=1009)
    yield case("9 a fragment that takes the message over the limit",
               [*fragmented(TEXT, [b"*" * limit, b"", b"*"], key)], close=1009)
    yield case("9 the header of such a fragment, in the middle of a message",
               [masked(BINARY, b"*" * limit, final=False, key=key), masked(CONTINUATION, b"*", final=False)[:2]],
               close=1009)
    yield case("9 pings do not count as a part of the message",
               [masked(BINARY, b"*" * limit, final=False, key=key), masked(PING, b"p" * 125), masked(CONTINUATION)],
               [Ping(b"p" * 125), b"*" * limit])
    yield case("9 the limit is one message's", [masked(BINARY, b"*" * (limit // 2 + 1), key=key)] * 2,
               [b"*" * (limit // 2 + 1)] * 2)


def cases(limit) -> list[Case]:
    """All cases for a server that takes messages of up to `limit` bytes, which must be at least 65,536."""
    return [*framing(), *pings(), *reserved_bits(), *reserved_opcodes(), *fragmentation(), *utf8(), *closing(),
            *sizes(limit)]
