"""The first lines of other protocols are recognised and answered in their manner; people's names are left alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.memory import held_text
from tests.codecs.splits import byte_by_byte, cut, random_cuts, whole
from webchat.codecs.greetings import FIRST_LINE_LIMIT, Greeting

OTHERS = {
    "HTTP": [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /a HTTP/1.0\n\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
             b"CONNECT example.org:443 HTTP/1.1\r\n", b"GET /\r\n", b"GET /index.html\n", b"GET /a b HTTP/1.1\r\n",
             b"\r\nGET / HTTP/1.1\r\n", b"\n\n \tGET / HTTP/1.1\r\n"],
    "a relative of HTTP": [b"OPTIONS sip:nm SIP/2.0\r\n", b"DESCRIBE rtsp://x RTSP/1.0\r\n", b"HTTP/1.1 200 OK\r\n",
                           b"SIP/2.0 404 Not Found\r\n"],
    "IRC": [b"CAP LS 302\r\n", b"CAP LS\r\n", b"CAP REQ :sasl\r\n", b"CAP END\n", b"PASS s3cretpw\r\nNICK x\r\n",
            b"PASS :two words\r\n", b"\r\n\r\nPASS s3cretpw\r\n", b" PASS s3cretpw\r\n", b"AUTHENTICATE PLAIN\r\n",
            b"WEBIRC s3cretpw gateway host 192.0.2.1\r\n",
            b"NICK ada\r\n", b"NICK :ada\r\n", b"USER ada 0 * :Ada L.\r\n"],
    "FTP": [b"USER ada\r\nPASS s3cretpw\r\n"],
    "STOMP": [b"CONNECT\nlogin:ada\npasscode:s3cretpw\n\n\0", b"STOMP\r\naccept-version:1.2\r\n"],
    "SSH": [b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"SSH-1.99-x\n"],
    "SMTP": [b"EHLO laptop\r\n", b"ehlo [127.0.0.1]\r\n", b"HELO laptop\r\n", b"LHLO laptop\r\n"],
    "Redis": [b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n", b"AUTH s3cretpw\r\n",
              b"AUTH ada s3cretpw\r\n"],
    "PROXY": [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
              b"PROXY TCP6 ::1 ::1 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)],
    "TLS": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
}
EACH = [(name, data) for name, examples in OTHERS.items() for data in examples]

PEOPLE = [
    b"Hugo", b"Nick Cave", b"NICK Cave Jr", b"NICK", b"Pass auf", b"PASS", b"Cap", b"CAP", b"CAP TAIN", b"User",
    b"USER a b", b"USER a b c", b"Help", b"HELP", b"SSH", b"Ssh-2.0-x", b"helo world", b"EHLO", b"Ehlo-Team", b"*",
    b"*ada", b"* 1", b"*0", b"PROXY", b"Proxy Unknown", b"PROXY SERVER", b"GET", b"GET up", b"Get /", b"\x16\x02",
    b"get / HTTP/1.1", b"Connect", b"AUTH", b"Auth me", b"AUTH one two three", b"user ada", b"User 7", b"USER",
    b"pass auf", b"HTTP/1.1", b"  ", b"\n\nHugo", b" Hugo", b"\r\n\r\nNick Cave", b"GET / HTTP/one",
    b"{ALL}GET / HTTP/1.1", b"Hugo: GET / HTTP/1.1",
    b"x\x16\x03", b"", "Zoë".encode(), b"\r\n\r\n\0\r\nQUI", b"\0\r\nQUIT",
]


def found(segments):
    greeting = Greeting()
    return [each.name for segment in segments if (each := greeting.receive(segment))]


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize("name, data", EACH)
def test_another_protocol_is_found_once_whatever_follows(name, data, split):
    assert found([*split(data), b"GET / HTTP/1.1\r\n"]) == [name]


@given(data=st.sampled_from([data for _, data in EACH]), cuts=random_cuts)
def test_it_is_found_in_any_split(data, cuts):
    assert found(cut(data, cuts)) == found([data])


@pytest.mark.parametrize("split", [whole, byte_by_byte])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b""])
@pytest.mark.parametrize("data", PEOPLE)
def test_everything_else_belongs_to_the_chat(data, end, split):
    greeting = Greeting()
    assert [greeting.receive(segment) for segment in split(data + end)].count(None) == len(split(data + end))
    assert greeting.end() is None


@pytest.mark.parametrize("name, line", [
    (name, re.split(b"[\r\n]", data)[0]) for name, data in EACH if re.match(b"[^\r\n]", data) and name != "TLS"])
def test_it_is_found_too_when_its_first_line_ends_by_silence(name, line):
    greeting = Greeting()
    assert greeting.receive(line) is None
    assert greeting.end().name == name


def test_only_the_first_line_counts():
    assert found([b"Hugo\n", b"GET / HTTP/1.1\r\n"]) == []
    greeting = Greeting()
    greeting.receive(b"GET")
    assert greeting.end() is None
    assert greeting.receive(b" / HTTP/1.1\r\n") is None


def test_a_first_line_without_an_end_is_given_up_at_the_limit_and_forgotten():
    greeting = Greeting()
    greeting.receive(b"GET /" + b"x" * FIRST_LINE_LIMIT)
    assert held_text(greeting) == 0
    assert greeting.receive(b" HTTP/1.1\r\n") is None


@pytest.mark.parametrize("line", [b"/login Sue password\n", b"PASS secret\r\n", b"PASS secret"])
def test_a_first_line_is_forgotten_as_soon_as_it_is_complete(line):
    greeting = Greeting()
    answers = greeting.receive(line), greeting.end()
    assert held_text(greeting) == 0
    assert all(b"secret" not in each.answer("x") for each in answers if each)


SENTENCE = "This port is for lines of text."
ANSWERS = {
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 32\r\nConnection: close\r\n\r\n"
            b"This port is for lines of text.\n",
    "IRC": b"ERROR :This port is for lines of text.\r\n",
    "FTP": b"530 This port is for lines of text.\r\n",
    "STOMP": b"ERROR\nmessage:This port is for lines of text.\n\n\0",
    "SMTP": b"554 This port is for lines of text.\r\n",
    "Redis": b"-ERR This port is for lines of text.\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "PROXY": b"", "a relative of HTTP": b"",
}


def answer(name, sentence=SENTENCE):
    return Greeting().receive(OTHERS[name][0]).answer(sentence)


@pytest.mark.parametrize("name", ANSWERS)
def test_each_is_answered_in_its_own_manner(name):
    assert answer(name) == ANSWERS[name]


@pytest.mark.parametrize("length", range(40))
def test_ssh_gets_a_version_and_a_disconnection_in_a_packet_of_whole_blocks(length):
    version, _, packet = answer("SSH", "x" * length).partition(b"\r\n")
    assert version == b"SSH-2.0-webchat"
    size, padding = int.from_bytes(packet[:4]), packet[4]
    assert (size, len(packet) % 8, 4 <= padding < 12) == (len(packet) - 4, 0, True)
    payload = packet[5:-padding]
    assert payload == b"\x01\0\0\0\x0b" + length.to_bytes(4) + b"x" * length + b"\0\0\0\0"
