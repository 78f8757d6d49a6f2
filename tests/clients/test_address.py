"""Addresses as people write them."""

import pytest

from webchat.clients.address import Address, parse


@pytest.mark.parametrize(("text", "address"), [
    ("localhost", Address("localhost", 7007)),
    ("chat.example", Address("chat.example", 7007)),
    ("10.0.0.7:7008", Address("10.0.0.7", 7008)),
    ("[::1]:7008", Address("::1", 7008)),
    ("[::1]", Address("::1", 7007)),
    ("::1", Address("::1", 7007)),
    ("tcp://127.0.0.1:7007", Address("127.0.0.1", 7007)),
    ("ws://localhost:8000/ws", Address("localhost", 8000, "ws://localhost:8000/ws")),
    ("ws://localhost:8000", Address("localhost", 8000, "ws://localhost:8000/ws")),
    ("wss://chat.example/ws", Address("chat.example", 443, "wss://chat.example/ws")),
    ("wss://chat.example/other/ws", Address("chat.example", 443, "wss://chat.example/other/ws")),
    ("ws://[::1]:8000/ws", Address("::1", 8000, "ws://[::1]:8000/ws")),
    ("http://10.0.0.7:8000/chat/index.html", Address("10.0.0.7", 8000, "ws://10.0.0.7:8000/ws")),
    ("TLS://chat.example", Address("chat.example", 7007, tls=True)),
    ("Ws://localhost:8000", Address("localhost", 8000, "ws://localhost:8000/ws")),
    ("HTTPS://chat.example/", Address("chat.example", 443, "wss://chat.example/ws")),
    ("https://chat.example/", Address("chat.example", 443, "wss://chat.example/ws")),
])
def test_an_address_is_understood(text, address):
    assert parse(text) == address


def test_an_address_without_a_port_gets_the_protocols_default_port():
    assert parse("localhost", 33002) == Address("localhost", 33002)
    assert parse("localhost:1", 33002) == Address("localhost", 1)


@pytest.mark.parametrize("text", [
    "", " ", "localhost:", "localhost:0", "localhost:65536", "localhost:seven", "[::1", ":7007", "ftp://localhost",
    "me@localhost", "two words", "ws://", "ws://localhost:99999/ws",
])
def test_a_text_that_is_no_address_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r".+ .+\."):
        parse(text)


@pytest.mark.parametrize(("text", "shown"), [
    ("localhost", "localhost:7007"), ("::1", "[::1]:7007"), ("ws://localhost:8000", "ws://localhost:8000/ws"),
])
def test_an_address_is_shown_in_a_form_that_can_be_typed_again(text, shown):
    assert str(parse(text)) == shown
