"""The window over TLS: whom it trusts, and what it says if it does not."""

import pytest

from tests.certificates import Authority, needs_openssl
from tests.program import Program
from webchat.clients.trust import Trust

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    with Program(*authority.sign("IP:127.0.0.1", "DNS:chat.example").flags, tls=authority.context) as program:
        yield program


@pytest.fixture(scope="module")
def plain_server():
    with Program() as program:
        yield program


def opened(open_window, server: Program, name: str, authority: Authority | None, host: str = "127.0.0.1"):
    """A window that somebody has filled in and clicked Connect in."""
    user = open_window(server.braces_port, name, trust=Trust(authority and authority.file))
    user.window.host.setText(f"tls://{host}")
    user.clicks(user.window.connect_button)
    return user


def test_it_chats_with_a_server_whose_authority_is_trusted(open_window, server, authority):
    with server.say("ear of a window") as ear:
        hugo = opened(open_window, server, "Hugo", authority)
        hugo.reads_status("Connected as Hugo")
        hugo.says("x" * 4000)
        hugo.reads("x" * 4000)
        ear.hear(f"^Hugo: {'x' * 4000}$")
        ear.write("hello Hugo")
        hugo.reads("hello Hugo")
        hugo.clicks(hugo.window.disconnect_button)
        hugo.reads_status("Disconnected")
        ear.hear("-!- Hugo has left")


def test_an_unknown_authority_and_another_name_are_refused_in_words(open_window, server, authority):
    hugo = opened(open_window, server, "Hugo", None)
    hugo.reads_status("its certificate is from an authority that this system does not know")
    hugo = opened(open_window, server, "Hugo", authority, "localhost")
    hugo.reads_status("its certificate is for other names than this")


def test_a_server_without_tls_is_recognised(open_window, plain_server):
    user = opened(open_window, plain_server, "Hugo", None)
    user.reads_status(f"tcp://127.0.0.1:{plain_server.braces_port}")


def test_a_server_with_tls_tells_those_who_speak_none(open_window, server):
    hugo = open_window(server.braces_port, "Hugo")
    hugo.clicks(hugo.window.connect_button)
    hugo.reads_status("Refused: This port expects TLS.")


def test_a_lost_connection_is_opened_again_with_tls(open_window, authority, tmp_path):
    certificate = authority.sign("IP:127.0.0.1", file="again")
    with Program(*certificate.flags, tls=authority.context) as server:
        hugo = opened(open_window, server, "Hugo", authority)
        hugo.reads_status("Connected as Hugo")
        ports = [str(port) for port in (server.port, server.lines_port, server.braces_port)]
        server.stop()
        hugo.reads_status("Next attempt")
    flags = [word for pair in zip(("--port", "--lines-port", "--braces-port"), ports, strict=True) for word in pair]
    with Program(*certificate.flags, *flags, tls=authority.context):
        hugo.reads_status("Connected as Hugo")
