"""Which requests are a WebSocket's opening handshake, and the answer to one."""

import pytest
from tornado.httputil import HTTPHeaders, RequestStartLine

from webchat.net.asgi.handshake import is_handshake, switching_protocols

GET = RequestStartLine("GET", "/", "HTTP/1.1")


@pytest.mark.parametrize(("upgrade", "connection", "expected"), [
    ("websocket", "Upgrade", True),
    ("WebSocket", "upgrade", True),
    ("websocket", "keep-alive, Upgrade", True),  # Firefox
    ("websocket", "Upgrade,keep-alive", True),
    ("h2c,\t websocket ,other", "a, Upgrade , b", True),
    ("websocket", "", False),
    ("websocket", "keep-alive", False),
    ("websocket", "no-upgrade", False),
    ("websocket", "Upgrade-Insecure-Requests", False),
    ("websocket", "Upgrade other", False),
    ("websockets", "Upgrade", False),
    ("a websocket", "Upgrade", False),
    ("", "Upgrade", False),
])
def test_both_headers_are_lists_of_words_in_any_case(upgrade, connection, expected):
    assert is_handshake(GET, HTTPHeaders({"Upgrade": upgrade, "Connection": connection})) is expected


@pytest.mark.parametrize("value", [b"1\r\nx-two: 2", b"1\n", b"1\r", b"1\0"])
def test_an_application_cannot_put_line_breaks_and_nulls_into_a_header(value):
    with pytest.raises(ValueError, match="a header contains a line break"):
        switching_protocols("key", {"headers": [(b"x-one", value)]})
