"""Every door over TLS, with a certificate that is read again."""

import json
import signal
import socket
import ssl
import subprocess
import urllib.request
from contextlib import suppress

import pytest

from tests.certificates import Authority, needs_openssl
from tests.program import PATIENCE, Program
from webchat import listeners
from webchat.config import Config
from webchat.listeners import CannotStart

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.sign("IP:127.0.0.1")


@pytest.fixture(scope="module")
def server(authority, certificate):
    with Program(*certificate.flags, tls=authority.context) as program:
        yield program


def connect(port: int, authority: Authority) -> ssl.SSLSocket:
    """A connection on which the end of the input has to be announced: otherwise reading raises SSLEOFError."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return authority.context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)


def serial(port: int, authority: Authority) -> str:
    """The number of the certificate that a new connection gets."""
    with connect(port, authority) as client:
        return client.getpeercert()["serialNumber"]


class TestDoors:
    def test_each_is_announced_with_its_scheme(self, server):
        assert [line.split() for line in server.announced] == [
            ["Browser", f"https://127.0.0.1:{server.port}/chat/index.html"],
            ["Lines", f"tls://127.0.0.1:{server.lines_port}"],
            ["Braces", f"tls://127.0.0.1:{server.braces_port}"],
        ]

    def test_lines_braces_and_the_page_are_one_chat(self, server, authority):
        with server.say("ada") as ada, connect(server.braces_port, authority) as braces:
            braces.sendall(b"{REGISTER}Hugo\n{ALL}hello\n")
            ada.hear("^Hugo: hello$")
            with urllib.request.urlopen(f"https://127.0.0.1:{server.port}/healthz", context=authority.context) as page:
                assert json.load(page)["users"] == 2

    def test_a_client_that_leaves_gets_the_last_words_and_a_proper_end(self, server, authority):
        with connect(server.lines_port, authority) as client:
            client.sendall(b"leaver\n/quit\n" + 100 * b"too late\n")
            heard = b"".join(iter(lambda: client.recv(65536), b""))
        assert heard.endswith(b"-!- Goodbye.\n")

    def test_a_client_that_ends_its_input_without_close_notify_gets_its_answers(self, server, authority):
        """As many programs and libraries do."""
        for port, said, owed in ((server.lines_port, b"Hugo: hello\n", b"-!- You are Hugo."),
                                 (server.braces_port, b"{REGISTER}Olaf{ALL}hello", b"{ALL}Olaf: hello"),
                                 (server.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b'"users"')):
            with connect(port, authority) as client:
                client.sendall(said)
                socket.socket.shutdown(client, socket.SHUT_WR)  # an SSLSocket's own would stop decrypting, too
                assert owed in b"".join(iter(lambda: client.recv(65536), b""))

    def test_openssls_own_client_can_chat(self, server, authority):
        command = ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", str(authority.file), "-connect",
                   f"127.0.0.1:{server.lines_port}"]
        done = subprocess.run(command, input=b"hand\n/users\n/quit\n", capture_output=True, timeout=PATIENCE)
        assert b"-!- You are hand." in done.stdout and done.stdout.endswith(b"-!- Goodbye.\n")

    def test_stopping_the_server_says_goodbye(self, certificate, authority):
        with Program(*certificate.flags, tls=authority.context) as server, server.say("ada") as ada:
            server.process.send_signal(signal.SIGTERM)
            ada.hear("-!- The server is going down")
            with pytest.raises(AssertionError, match="was not heard"):
                ada.hear("more")  # close_notify, otherwise it would be an SSLEOFError
            ada.close()
            assert server.process.wait(PATIENCE) == 0

    def test_those_who_speak_no_tls_or_trust_nobody_do_no_harm_and_fill_no_log(self, certificate, authority):
        with Program(*certificate.flags, tls=authority.context) as server:
            for port in (server.port, server.lines_port, server.braces_port):
                for words in (b"", b"ada\n", b"\x16\x03\x01\x00\x05hello", b"GET / HTTP/1.1\r\n\r\n"):
                    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                        client.sendall(words)
                        with suppress(OSError):  # the server may have closed the connection already
                            client.shutdown(socket.SHUT_WR)
                            while client.recv(4096):
                                pass
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as client, \
                        pytest.raises(ssl.SSLCertVerificationError):
                    ssl.create_default_context().wrap_socket(client, server_hostname="127.0.0.1")
            server.say("ada").close()
            server.stop()
            assert server.process.stderr.read() == ""

    def test_version_1_1_is_refused(self, certificate):
        context = listeners.tls_context(Config(tls_cert=certificate.cert, tls_key=certificate.key))
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2

    def test_an_encrypted_key_is_refused_and_no_passphrase_asked_for(self, tmp_path, certificate):
        locked = tmp_path / "locked.pem"
        subprocess.run(["openssl", "pkey", "-in", certificate.key, "-aes128", "-passout", "pass:x", "-out", locked],
                       check=True, capture_output=True)
        with pytest.raises(CannotStart, match=f"^--tls-cert, --tls-key: The certificate {certificate.cert} with the "
                                              f"key {locked} cannot be used: its key is encrypted, and there is nobody "
                                              "to ask for the passphrase.$"):
            listeners.tls_context(Config(tls_cert=certificate.cert, tls_key=locked))


class TestReading:
    """The certificate is read again on SIGHUP."""

    def reload(self, server: Program, expected: str) -> None:
        server.process.send_signal(signal.SIGHUP)
        assert any(expected in line for line in server.process.stderr)

    def test_new_connections_get_the_new_one_at_every_door_and_the_others_stay(self, tmp_path, authority):
        old, new = (authority.sign("IP:127.0.0.1", file=name) for name in ("old", "new"))
        served = authority.sign("IP:127.0.0.1", file="served")
        with Program(*served.flags, tls=authority.context) as server, server.say("ada") as ada:
            ports = server.port, server.lines_port, server.braces_port
            first = {serial(port, authority) for port in ports}
            for source in (old, new):
                served.cert.write_bytes(source.cert.read_bytes())
                served.key.write_bytes(source.key.read_bytes())
                self.reload(server, "The certificate was read again.")
                seen = {serial(port, authority) for port in ports}
                assert len(first) == len(seen) == 1 and first != seen
                first = seen
            ada.write("/users")
            ada.hear("1 here: ada")

    @pytest.mark.parametrize("broken", ["no certificate", "another key", "no file"])
    def test_a_file_that_cannot_be_used_leaves_the_old_one_in_force_and_the_log_says_why(self, authority, broken):
        served, other = (authority.sign("IP:127.0.0.1", file=name) for name in ("kept", "other"))
        with Program(*served.flags, tls=authority.context) as server:
            before = serial(server.lines_port, authority)
            if broken == "no certificate":
                served.cert.write_text("half a certif")
            elif broken == "another key":
                served.cert.write_bytes(other.cert.read_bytes())
            else:
                served.key.unlink()
            self.reload(server, "The certificate stays as it was: --tls-cert, --tls-key: The certificate "
                                f"{served.cert} with the key {served.key} cannot be used")
            assert [serial(port, authority) for port in (server.port, server.lines_port, server.braces_port)] == \
                3 * [before]

    def test_one_with_another_kind_of_key_replaces_the_old_one_altogether(self, authority):
        served = authority.sign("IP:127.0.0.1", file="kind")
        with Program(*served.flags, tls=authority.context) as server:
            before = serial(server.lines_port, authority)
            new = authority.sign("IP:127.0.0.1", file="rsa", key=("-newkey", "rsa:2048", "-nodes"))
            served.cert.write_bytes(new.cert.read_bytes())
            served.key.write_bytes(new.key.read_bytes())
            self.reload(server, "The certificate was read again.")
            assert serial(server.lines_port, authority) != before  # clients prefer the old one's kind


