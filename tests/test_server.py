"""The whole server, started as its user starts it."""

import json
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request

import pytest

from tests.program import PATIENCE, ROOT, LineClient, Program


def get(url: str, context: ssl.SSLContext | None = None) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
        return answer.read()


def test_one_line_for_each_door_with_an_address_that_accepts():
    with Program() as server:
        ports = [server.port, server.lines_port, server.braces_port]
        for line, port in zip(server.announced, ports, strict=True):
            assert f"127.0.0.1:{port}" in line
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()


def test_a_tcp_door_is_turned_off_with_port_0():
    with Program("--lines-port", "0", "--braces-port", "0", doors=1) as server:
        assert "/chat/index.html" in server.announced[0]
        server.stop()
        assert server.process.stdout.read() == ""


@pytest.mark.parametrize("flag", ["--port", "--lines-port", "--braces-port"])
def test_a_port_in_use_is_one_clear_sentence_and_exit_status_1_and_no_door_is_announced(flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with Program(flag, port, doors=0) as server:
            out, err = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 1
    assert out == ""
    assert err == f"Port {port} on 127.0.0.1 is in use already; choose another with {flag}.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_goodbye_and_status_0(number):
    with Program() as server, server.say("ada") as ada:
        server.process.send_signal(number)
        ada.hear("-!- The server is going down")
        assert server.process.wait(5) == 0
        assert server.process.stderr.read() == ""


def test_nothing_of_anybodys_is_on_disk(tmp_path):
    with Program(cwd=tmp_path) as server, server.say("ada", "a secret of mine") as ada, server.say("bob") as bob:
        ada.write("/msg bob another secret")
        bob.hear("another secret")
        held = {link.readlink() for link in (tmp_path / f"/proc/{server.process.pid}/fd").iterdir()}
        server.stop()
    assert list(tmp_path.iterdir()) == []
    assert not [path for path in held if path.is_file() and path.suffix != ".py"]


def test_health_says_how_many_are_here():
    with Program() as server, server.say("ada"):
        health = json.loads(get(f"http://127.0.0.1:{server.port}/healthz"))
    assert (health["status"], health["users"]) == ("ok", 1)


def test_with_a_certificate_the_page_is_served_over_https(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with Program("--tls-cert", str(cert), "--tls-key", str(key)) as server:
        assert f"https://127.0.0.1:{server.port}/" in server.announced[0]
        page = get(f"https://127.0.0.1:{server.port}/chat/index.html", ssl.create_default_context(cafile=str(cert)))
    assert b"Username" in page


def test_the_demo_accounts_need_a_flag_where_others_can_connect():
    for flags, answer in (((), "-!- You are"), (("--demo-accounts",), "-!- That name belongs to an account")):
        with Program("--host", "0.0.0.0", *flags) as server, LineClient(server.lines_port) as client:
            client.write("admin")
            client.hear(answer)
            server.stop()
            assert ("demo accounts are off" in server.process.stderr.read()) == (not flags)


def test_a_bad_accounts_file_is_one_sentence_with_the_line(tmp_path):
    bad = tmp_path / "accounts.toml"
    bad.write_text('[accounts.Alex]\nhash = "plain"\n')
    with Program("--accounts", str(bad), doors=0) as server:
        _, err = server.process.communicate(timeout=PATIENCE)
    assert server.process.returncode == 1
    assert err.count("\n") == 1
    assert "line " in err




def test_sighup_reads_the_accounts_again_without_dropping_anybody_and_a_bad_file_changes_nothing(tmp_path):
    file = tmp_path / "accounts.toml"

    def add(name):
        subprocess.run([sys.executable, "-m", "webchat.main", "accounts", "--file", str(file), "add", name,
                        "--password-stdin"], input="secret", text=True, check=True, capture_output=True, cwd=ROOT)

    def reload(expected):
        server.process.send_signal(signal.SIGHUP)
        assert any(expected in line for line in server.process.stderr)

    add("ada")
    with Program("--accounts", str(file)) as server, server.say("bob") as bob:
        add("cyd")
        reload("read again")
        with LineClient(server.lines_port) as cyd:
            cyd.write("/login cyd secret")
            cyd.hear(r"-!- You are cyd\*")
        file.write_text("[accounts")
        reload("stay as they were")
        bob.write("/users")
        bob.hear("here: ")
