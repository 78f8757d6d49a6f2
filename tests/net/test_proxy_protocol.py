"""The PROXY protocol: what its headers tell, what is no header, and what is a bad one."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webchat.net.errors import ProtocolViolation
from webchat.net.proxy_protocol import V1_LIMIT, V2_LIMIT, V2_START, ProxyHeader, Verdict, parse_header


def v2(version_command=0x21, family_transport=0x11, addresses=b"", extensions=b"", length=None):
    """A header of version 2."""
    rest = addresses + extensions
    return V2_START + struct.pack("!BBH", version_command, family_transport,
                                  len(rest) if length is None else length) + rest


def inet(source="203.0.113.7", port=4711):
    return socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 7007)


def inet6(source="2001:db8::7", port=4711):
    return (socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
            + struct.pack("!HH", port, 7007))


HEADERS = {
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007\r\n": ("203.0.113.7", 4711),
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": ("255.255.255.255", 65535),
    b"PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n": ("203.0.113.7", 0),
    b"PROXY TCP6 2001:DB8::7 2001:db8::1 4711 7007\r\n": ("2001:db8::7", 4711),
    b"PROXY TCP6 " + b" ".join([b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] * 2) + b" 65535 65535\r\n":
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN " + b" ".join([b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] * 2) + b" 65535 65535\r\n": None,
    b"PROXY UNKNOWN anything else\r\n": None,
    v2(addresses=inet()): ("203.0.113.7", 4711),
    v2(family_transport=0x21, addresses=inet6()): ("2001:db8::7", 4711),
    v2(addresses=inet(), extensions=b"\x03\0\x04abcd\x04\0\x02\0\0"): ("203.0.113.7", 4711),
    v2(addresses=inet(), extensions=bytes(V2_LIMIT - 16 - 12)): ("203.0.113.7", 4711),
    v2(family_transport=0x31, addresses=bytes(216)): None,
    v2(family_transport=0x12, addresses=inet()): None,  # a datagram is nobody's connection
    v2(family_transport=0x00): None,
    v2(family_transport=0x00, extensions=b"\x04\0\x01\0"): None,
    v2(family_transport=0x10, addresses=inet()): None,
    v2(family_transport=0x01, addresses=inet()): None,
    v2(0x20, 0x00): None,
    v2(0x20, 0x11, inet()): None,
    v2(0x20, 0xff, b"whatever"): None,
}
"""Each kind of header, and the client that it names."""

each_header = pytest.mark.parametrize(("header", "source"), HEADERS.items(), ids=lambda value: repr(value)[:40])


@each_header
def test_a_header_names_the_client_if_there_is_one(header, source):
    assert parse_header(header) == ProxyHeader(len(header), source)


@each_header
@pytest.mark.parametrize("rest", [b"Hugo\n", b"\r\n", b"\x16\x03\x01", b"PROXY UNKNOWN\r\n", bytes(5000)])
def test_what_follows_a_header_does_not_belong_to_it(header, source, rest):
    assert parse_header(header + rest) == ProxyHeader(len(header), source)


@each_header
def test_a_header_that_comes_byte_by_byte_is_complete_with_its_last(header, source):
    certain = 12 if header.startswith(V2_START) else 6
    for size in range(len(header)):
        expected = Verdict.POSSIBLE if size < certain else Verdict.INCOMPLETE
        assert parse_header(header[:size]) is expected, size


@pytest.mark.parametrize("data", [
    b"Hugo\n", b"\n", b"\r\nHugo", b"{REGISTER}Hugo", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"PUT /",
    b"PROXYHugo\n", b"PROXY\n", b"PROXY: hello\n", b"proxy TCP4", b"\x16\x03\x01", b"\r\n\r\n\0\r\nQUIT\r",
    b" PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007\r\n", bytes(12), b"\xff\xfb\x1f",
])
def test_anything_else_is_no_header(data):
    assert parse_header(data) is Verdict.NONE


@pytest.mark.parametrize("line", [
    b"PROXY \r\n", b"PROXY hello\r\n", b"PROXY TCP4\r\n", b"PROXY UNKNOWN\n", b"PROXY unknown\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY  TCP4 203.0.113.7 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007 \r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007 8000\r\n",
    b"PROXY TCP4\t203.0.113.7 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP4 203.0.113.07 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP4 203.0.113.256 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP4 203.0.113 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP4 203.0.113.7 localhost 4711 7007\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 7007\r\n",
    b"PROXY TCP6 203.0.113.7 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 7007\r\n",
    b"PROXY TCP6 2001:db8::7 :: 65536 7007\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 04711 7007\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 -1\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 +4711 7007\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 \xd9\xa7\r\n",
    b"PROXY TCP4 \xff03.0.113.7 192.0.2.1 4711 7007\r\n",
    b"PROXY TCP4 203.0.113.7\r 192.0.2.1 4711 7007\r\n",
    b"PROXY UNKNOWN " + b"x" * (V1_LIMIT - 14 - 1) + b"\r\n",
    b"PROXY UNKNOWN " + b"x" * V1_LIMIT,
])
def test_a_bad_line_is_a_violation(line):
    with pytest.raises(ProtocolViolation):
        parse_header(line)


def test_a_line_may_be_as_long_as_the_longest_that_the_protocol_knows():
    line = b"PROXY UNKNOWN ".ljust(V1_LIMIT - 2, b"x") + b"\r\n"
    assert parse_header(line) == ProxyHeader(V1_LIMIT, None)


@pytest.mark.parametrize("header", [
    v2(0x11, addresses=inet()), v2(0x31, addresses=inet()), v2(0x01, addresses=inet()),  # versions 1, 3, 0
    v2(0x22, addresses=inet()), v2(0x2f, addresses=inet()),  # unknown commands
    v2(family_transport=0x41, addresses=inet()), v2(family_transport=0xf1, addresses=inet()),
    v2(family_transport=0x13, addresses=inet()), v2(family_transport=0x03),
    v2(addresses=inet()[:-1]), v2(), v2(family_transport=0x21, addresses=inet6()[:-1]),
    v2(family_transport=0x21, addresses=inet()), v2(family_transport=0x31, addresses=bytes(215)),
    v2(length=V2_LIMIT - 15), v2(0x20, 0x00, length=0xffff),
])
def test_a_bad_binary_header_is_a_violation_before_its_addresses_arrive(header):
    for size in (16, len(header)):
        with pytest.raises(ProtocolViolation):
            parse_header(header[:size])


PORTS = st.integers(0, 65535)


@given(st.one_of(st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
                 st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))), PORTS, PORTS, st.binary(max_size=50))
def test_any_client_is_named_by_both_versions_whatever_follows(addresses, source_port, destination_port, rest):
    source, destination = addresses
    line = f"PROXY TCP{source.version} {source} {destination} {source_port} {destination_port}\r\n".encode()
    binary = v2(family_transport=0x11 if source.version == 4 else 0x21,
                addresses=source.packed + destination.packed + struct.pack("!HH", source_port, destination_port))
    for header in (line, binary):
        assert parse_header(header + rest) == ProxyHeader(len(header), (str(source), source_port))


@given(st.one_of(st.binary(), st.sampled_from([b"PROXY ", b"PROXY TCP4 ", V2_START]).flatmap(
    lambda start: st.binary().map(lambda rest: start + rest))))
@example(b"")
def test_no_bytes_do_anything_but_make_a_header_or_a_verdict_or_a_violation(data):
    try:
        found = parse_header(data)
    except ProtocolViolation:
        return
    if isinstance(found, ProxyHeader):
        assert 0 < found.size <= min(len(data), V2_LIMIT)
        assert found.source is None or type(found.source[0]) is str and 0 <= found.source[1] <= 65535


@given(st.binary(max_size=40), st.integers(0, 40))
def test_a_verdict_on_the_first_bytes_is_not_withdrawn(data, size):
    """What is no header, or a bad one, stays so whatever follows; what could be one is told from the rest by it."""
    def verdict(part):
        try:
            return parse_header(part)
        except ProtocolViolation:
            return "violation"

    data = b"PROXY UNKNOWN\r\n"[:size] + data
    early, late = verdict(data[:size]), verdict(data)
    assert early in (Verdict.POSSIBLE, Verdict.INCOMPLETE) or late == early


def test_addresses_are_written_as_python_writes_them():
    found = parse_header(b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0007 ::1 1 1\r\n")
    assert found.source == (str(IPv6Address("2001:db8::7")), 1)
    assert parse_header(v2(addresses=inet("0.0.0.0"))).source == (str(IPv4Address(0)), 4711)
