"""A request's head, as RFC 9112 understands it."""

import pytest
from tornado.httputil import HTTPHeaders, parse_request_start_line

from webchat.net.request_head import CHUNKED, HeadEnd, RequestRefused, check


def head(line: str, *headers: str):
    """Check a head; returns it and its headers."""
    parsed = HTTPHeaders.parse("".join(f"{header}\r\n" for header in headers))
    return check(parse_request_start_line(line), parsed), parsed


def refusal(line: str, *headers: str) -> int:
    with pytest.raises(RequestRefused) as caught:
        head(line, *headers)
    assert caught.value.body.decode().startswith(f"{caught.value.status} ") and caught.value.body.endswith(b".\n")
    return caught.value.status


@pytest.mark.parametrize("head_and_more", [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    b"\r\n\r\n", b"\n\n",
])
def test_a_head_ends_with_an_empty_line_however_it_arrives(head_and_more):
    for first in range(len(head_and_more)):
        for second in range(first, len(head_and_more)):
            end, received, found = HeadEnd(99), bytearray(), []
            for cut in (head_and_more[:first], head_and_more[first:second], head_and_more[second:] + b"body\n\n"):
                received += cut
                found.append(end.search(received))
            assert [match and match.end() for match in found] == [None, None, len(head_and_more)]


def test_a_head_is_given_up_beyond_the_limit():
    end = HeadEnd(5)
    assert end.search(bytearray(b"GET /")) is None
    assert end.search(bytearray(b"GET / HT")).end() == 8


GET = "GET / HTTP/1.1"
OLD = "GET / HTTP/1.0"
HOST = "Host: chat.example:8000"


def test_a_request_asks_for_a_path_of_a_host():
    checked, _ = head("GET /chat/?a=b HTTP/1.1", HOST)
    assert checked.start_line == ("GET", "/chat/?a=b", "HTTP/1.1")
    assert (checked.host, checked.body, checked.keeps_alive) == ("chat.example", 0, True)


@pytest.mark.parametrize("line", [GET, "GET / HTTP/1.2", "GET http://chat.example/ HTTP/1.1"])
@pytest.mark.parametrize("hosts", [(), (HOST, HOST), (HOST, "Host: other.example")])
def test_in_http_1_1_there_is_exactly_one_host(line, hosts):
    assert refusal(line, *hosts) == 400


@pytest.mark.parametrize("host", ["a,b", "a/b", "me@a", "[::1", "a:b"])
def test_a_malformed_host_is_a_bad_request_in_each_version(host):
    assert refusal(GET, f"Host: {host}") == refusal(OLD, f"Host: {host}") == 400
    assert refusal(f"GET http://{host.replace('/', '%')}x[/ HTTP/1.1", HOST) == 400


def test_in_http_1_0_the_host_may_be_missing():
    assert head(OLD)[0].host is None
    assert head(OLD, HOST)[0].host == "chat.example"
    assert refusal(OLD, HOST, HOST) == 400


@pytest.mark.parametrize(("target", "path", "host"), [
    ("http://other.example/a?b", "/a?b", "other.example"), ("HTTPS://Other.Example:99", "/", "other.example"),
    ("http://other.example?b", "/?b", "other.example"), ("http://[::1]:8000/x", "/x", "::1"),
])
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_the_host_of_an_absolute_target_replaces_the_header(target, path, host, version):
    checked, headers = head(f"GET {target} {version}", HOST)
    assert (checked.start_line.path, checked.host) == (path, host)
    assert headers.get_list("Host") == [target.partition("://")[2].removesuffix(path).removesuffix("?b")]


@pytest.mark.parametrize(("line", "path"), [
    ("OPTIONS * HTTP/1.1", "*"), ("OPTIONS http://chat.example HTTP/1.1", "*"), ("CONNECT a:80 HTTP/1.1", "a:80"),
])
def test_the_other_forms_of_a_target_belong_to_their_methods(line, path):
    assert head(line, HOST)[0].start_line.path == path


@pytest.mark.parametrize("target", ["healthz", "*", "a:80", "ftp://a/", "http:///a", "http://", "http:/a", "http://a#b"])
def test_any_other_target_is_a_bad_request(target):
    assert refusal(f"GET {target} HTTP/1.1", HOST) == 400


@pytest.mark.parametrize(("line", "connection", "keeps_alive"), [
    (GET, None, True), (GET, "close", False), (GET, "TE, Close", False), (GET, "close,TE", False),
    (GET, "closed", True), (GET, "keep-alive", True), (GET, "Upgrade", True), (GET, ", ,", True),
    ("GET / HTTP/1.9", None, True), (OLD, None, False), (OLD, "Keep-Alive", True), (OLD, "TE,\tkeep-alive ", True),
    (OLD, "keep-alive, close", False), (OLD, "TE", False),
])
def test_connection_is_a_list_of_words_in_any_case(line, connection, keeps_alive):
    assert head(line, HOST, *([f"Connection: {connection}"] if connection else []))[0].keeps_alive == keeps_alive


def test_an_upgrade_and_an_expectation_mean_nothing_in_http_1_0():
    fields = ("Upgrade: websocket", "Expect: 100-continue", "Connection: Upgrade")
    assert not {"Upgrade", "Expect"} & set(head(OLD, HOST, *fields)[1])
    assert {"Upgrade", "Expect"} <= set(head(GET, HOST, *fields)[1])


@pytest.mark.parametrize(("fields", "size"), [
    (["Content-Length: 12"], 12), (["Content-Length: 0"], 0), (["Content-Length: 12, 12"], 12),
    (["Content-Length: 12", "Content-Length: 12"], 12), (["Transfer-Encoding: Chunked"], CHUNKED),
])
def test_the_body_is_framed_by_its_size_or_by_chunks(fields, size):
    checked, headers = head("POST / HTTP/1.1", HOST, *fields)
    assert checked.body == size
    assert headers.get("Content-Length", str(size)) == str(size)


@pytest.mark.parametrize(("fields", "status"), [
    (["Content-Length: 1, 2"], 400), (["Content-Length: 1", "Content-Length: 2"], 400), (["Content-Length: -1"], 400),
    (["Content-Length: +1"], 400), (["Content-Length: 1_0"], 400), (["Content-Length: 0x1"], 400),
    (["Content-Length:"], 400), (["Content-Length: 1,"], 400), (["Content-Length: \xb2"], 400),
    (["Content-Length: " + "9" * 5000], 413), (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
    (["Transfer-Encoding: gzip"], 501), (["Transfer-Encoding: gzip, chunked"], 501),
    (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 501), (["Transfer-Encoding:"], 501),
])
def test_a_body_whose_end_is_unknown_is_refused(fields, status):
    assert refusal("POST / HTTP/1.1", HOST, *fields) == status


def test_chunks_in_http_1_0_are_refused():
    assert refusal("POST / HTTP/1.0", HOST, "Transfer-Encoding: chunked") == 400
