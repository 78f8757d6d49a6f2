"""The terminal client over TLS: whom it trusts, and what it says if it does not."""

import os
import subprocess
import sys

import pytest

from tests.certificates import Authority, needs_openssl
from tests.program import PATIENCE, ROOT, Program
from webchat.clients.trust import CA_VARIABLE

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


def chat(address: str, *flags: object, ca: object = "") -> subprocess.CompletedProcess:
    """Say one line through `webchat chat` as a pipe."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), CA_VARIABLE: str(ca)}
    return subprocess.run([sys.executable, "-m", "webchat", "chat", address, "--name", "bot", *map(str, flags)],
                          input="deploy done\n", capture_output=True, text=True, timeout=3 * PATIENCE, env=environment)


def addresses(server: Program, host: str = "127.0.0.1") -> dict[str, str]:
    return {"lines": f"tls://{host}:{server.lines_port}", "WebSocket": f"wss://{host}:{server.port}/ws",
            "page": f"https://{host}:{server.port}/chat/index.html"}

@pytest.mark.parametrize("kind", ["lines", "WebSocket", "page"])
def test_a_server_whose_authority_is_named_is_trusted(server, authority, kind):
    with server.say(f"ear of {kind}") as ear:
        done = chat(addresses(server)[kind], "--ca", authority.file)
        assert (done.returncode, done.stderr) == (0, "")
        ear.hear("^bot: deploy done$")


def test_the_authority_can_be_named_in_the_environment(server, authority):
    assert chat(addresses(server)["lines"], ca=authority.file).returncode == 0


@pytest.mark.parametrize("kind", ["lines", "WebSocket"])
def test_an_unknown_authority_is_one_sentence_that_says_what_to_do(server, tmp_path, kind):
    address = addresses(server)[kind]
    done = chat(address)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"Cannot reach {address}: its certificate is from an authority that this system does not know" in done.stderr
    assert "with --ca FILE" in done.stderr and "CERTIFICATE_VERIFY_FAILED" not in done.stderr
    other = Authority(tmp_path, "other").file
    assert f"neither this system nor {other} knows" in chat(address, "--ca", other).stderr


@pytest.mark.parametrize("kind", ["lines", "WebSocket"])
def test_a_certificate_for_other_names_is_refused_with_these_names(server, authority, kind):
    said = chat(addresses(server, "localhost")[kind], "--ca", authority.file).stderr
    assert "its certificate is for 127.0.0.1, chat.example, and not for this name" in said.replace(
        "chat.example, 127.0.0.1", "127.0.0.1, chat.example")


def test_an_expired_certificate_is_refused_as_such(authority):
    with Program(*authority.sign("IP:127.0.0.1", file="old", days=-1).flags) as server:
        assert "its certificate has expired" in chat(addresses(server)["lines"], "--ca", authority.file).stderr


@pytest.mark.parametrize("kind", ["lines", "WebSocket"])
def test_a_server_without_tls_is_recognised(plain_server, kind):
    said = chat(addresses(plain_server)[kind]).stderr
    port = {"lines": plain_server.lines_port, "WebSocket": plain_server.port}[kind]
    assert f"127.0.0.1:{port}" in said.partition(": ")[2] and ("no TLS is spoken there" in said
                                                                 or "if it speaks no TLS" in said)


def test_a_file_that_is_no_certificate_is_wrong_usage(tmp_path):
    (tmp_path / "junk").write_text("junk")
    done = chat("tls://127.0.0.1:1", "--ca", tmp_path / "junk")
    assert done.returncode == 2 and "contains no certificate (PEM)" in done.stderr
    assert chat("tls://127.0.0.1:1", "--ca", tmp_path / "missing").returncode == 2
