"""The whole server, started as an operator starts it."""

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import suppress

import pytest
import socketio
import websockets

import webchat
from tests.program import PATIENCE, ROOT, LineClient, Program, free_ports
from webchat.config import Config
from webchat.server import GOING_DOWN, Server


def get(url: str, context: ssl.SSLContext | None = None) -> bytes:
    with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
        return answer.read()


def refusal(*flags: str, status: int = 1) -> str:
    """The sentence of a server that does not start; status 2 is for settings that cannot be used."""
    with Program(*flags, doors=0) as server:
        out, err = server.process.communicate(timeout=PATIENCE)
    assert (server.process.returncode, out, err.count("\n")) == (status, "", 1)
    return err


def test_one_line_announces_each_door_with_its_address():
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
        assert refusal(flag, port) == f"Port {port} on 127.0.0.1 is in use already; choose another with {flag}.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_a_goodbye_and_status_0(number):
    with Program() as server, server.say("ada") as ada:
        server.process.send_signal(number)
        ada.hear("-!- The server is going down")
        assert server.process.wait(PATIENCE) == 0
        assert server.process.stderr.read() == ""


def wait_for(port: int, server: subprocess.Popen) -> None:
    """Return when the port accepts connections, of a server that can say nothing."""
    for _ in range(20 * PATIENCE):
        with suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"It ended with {server.wait(0.05)}.")
    raise AssertionError("It does not listen.")


@pytest.mark.parametrize("redirected", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_with_closed_or_full_streams_it_serves_sends_them_to_nobody_and_stops_cleanly(redirected):
    port, lines_port = map(str, free_ports(2))
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "webchat.main", "--host", "localhost",
               "--port", port, "--lines-port", lines_port, "--braces-port", "0", "--log-level", "debug"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "WEBCHAT_PROT": "1"}) as server:
        try:
            wait_for(int(lines_port), server)
            with LineClient(int(lines_port)) as ada:
                ada.write("ada")
                ada.hear("You are ada")
                server.send_signal(signal.SIGHUP)  # logs a line
                ada.write("/users")
                heard = [ada.hear("") for _ in range(2)]
                assert heard[-1] == "-!- 1 here: ada" and "read again" not in heard[0]
                get(f"http://127.0.0.1:{port}/chat/index.html")
                server.terminate()
                assert server.wait(PATIENCE) == 0
        finally:
            server.kill()


async def start(**settings) -> tuple[Server, Config]:
    """A server on this test's own event loop."""
    port, lines_port = free_ports(2)
    config = Config(port=port, lines_port=lines_port, braces_port=0, message_rate=0, **settings)
    server = Server(config)
    await server.start()
    return server, config


async def log_in(config: Config, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Somebody at the port for lines, whose client reads no more from its socket than it has to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", config.lines_port, limit=2048)
    writer.write(f"{name}\n".encode())
    await reader.readuntil(f"-!- You are {name}.".encode())
    return reader, writer


def test_stopping_waits_until_clients_have_received_what_was_queued_for_them_and_a_goodbye():
    async def scenario() -> None:
        server, config = await start()
        ada, to_server = await log_in(config, "ada")
        bob, bobs = await log_in(config, "bob")
        for number in range(100):
            to_server.write(f"text {number} {'x' * 4000}\n".encode())
        to_server.write(b"/users\n")
        await ada.readuntil(b"-!- 2 here: ")
        stopping = asyncio.create_task(server.stop())
        heard = (await bob.read()).decode()
        assert not stopping.done()
        assert [line.split()[2] for line in heard.splitlines() if " text " in line] == [str(n) for n in range(100)]
        assert heard.endswith(f"-!- {GOING_DOWN}\n")
        for writer in (to_server, bobs):
            writer.close()
        await stopping

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_stopping_disconnects_socket_io_clients():
    async def scenario() -> None:
        server, config = await start()
        client, disconnected = socketio.AsyncClient(reconnection=False, handle_sigint=False), asyncio.Event()
        client.on("disconnect", lambda reason: disconnected.set())
        await client.connect(f"http://127.0.0.1:{config.port}", auth={"username": "ada"}, transports=["websocket"])
        await server.stop()
        await disconnected.wait()
        await client.wait()

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_stopping_waits_for_the_closing_handshake_of_websockets():
    async def scenario() -> None:
        server, config = await start()
        async with websockets.connect(f"ws://127.0.0.1:{config.port}/ws", proxy=None) as client:
            await client.send(json.dumps({"type": "login", "username": "ada"}))
            assert json.loads(await client.recv())["type"] == "welcome"
            await server.stop()
            assert (client.close_code, client.close_reason) == (1001, GOING_DOWN)

    asyncio.run(asyncio.wait_for(scenario(), PATIENCE))


def test_nothing_that_is_said_is_on_disk(tmp_path):
    with Program(cwd=tmp_path) as server, server.say("ada", "a secret of mine") as ada, server.say("bob") as bob:
        ada.write("/msg bob another secret")
        bob.hear("another secret")
        held = {link.readlink() for link in (tmp_path / f"/proc/{server.process.pid}/fd").iterdir()}
        server.stop()
    assert list(tmp_path.iterdir()) == []
    assert not [path for path in held if path.is_file() and path.suffix != ".py"]


def test_health_tells_four_facts_and_nothing_of_what_the_server_is_made_of():
    with Program() as server, server.say("ada"):
        health = json.loads(get(f"http://127.0.0.1:{server.port}/healthz"))
        assert health.pop("uptime") in range(int(PATIENCE))
    assert health == {"status": "ok", "version": webchat.__version__, "users": 1}


ROUTES = ("/", "/chat/index.html", "/favicon.ico", "/healthz", "/metrics", "/nothing", "/ws", "/socket.io/?EIO=4",
          "/socket.io/?EIO=4&transport=polling")
HANDSHAKE = ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n")


def answer(port: int, path: str, host: str, headers: str = "") -> tuple[int, str]:
    """The status and the rest of an answer to a request for a host; it comes from a page of the same host."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n{headers}\r\n".encode())
        received = client.makefile("rb").read1().decode(errors="replace")
    return int(received.split()[1]), received


def test_a_page_whose_name_was_made_to_lead_here_gets_421_on_every_route():
    with Program("--allow-host", "chat.example", "--allow-origin", "https://friend.example") as server:
        for path in ROUTES:
            status, text = answer(server.port, path, f"evil.example:{server.port}")
            assert status == 421, path
            assert "nosniff" in text and "default-src 'none'" in text
            assert "start webchat with --allow-host evil.example." in text
        for path in ("/ws", "/socket.io/?EIO=4&transport=websocket"):
            assert answer(server.port, path, f"evil.example:{server.port}", HANDSHAKE)[0] == 421
            for name in ("localhost", "127.0.0.1", "127.1.2.3", "[::1]", socket.gethostname(), "chat.example",
                         "friend.example"):
                assert answer(server.port, path, f"{name}:{server.port}", HANDSHAKE)[0] == 101, (path, name)


def test_a_server_on_another_address_answers_to_that():
    with Program("--host", "0.0.0.0") as server:
        assert answer(server.port, "/healthz", f"0.0.0.0:{server.port}")[0] == 200
        assert answer(server.port, "/healthz", f"192.0.2.1:{server.port}")[0] == 421


def test_socket_io_lets_no_browser_guess_the_type_of_an_answer():
    polling = "EIO=4&transport=polling"
    with Program() as server:
        for query in (polling, f"{polling}&sid=none", "EIO=3&transport=polling", "transport=none"):
            assert "X-Content-Type-Options: nosniff" in answer(server.port, f"/socket.io/?{query}", "localhost")[1]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_with_a_certificate_the_page_is_served_over_https(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    with Program("--tls-cert", str(cert), "--tls-key", str(key)) as server:
        assert f"https://127.0.0.1:{server.port}/" in server.announced[0]
        context = ssl.create_default_context(cafile=str(cert))
        pages = [get(f"{scheme}://127.0.0.1:{server.port}/chat/index.html", context) for scheme in ("https", "http")]
    assert b"Username" in pages[0]
    assert pages[1] == pages[0]  # after a redirect


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
    assert refusal("--accounts", str(bad)).startswith(f"{bad}, line 2: ")


def test_a_certificate_that_cannot_be_used_is_one_sentence(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for path in (cert, key):
        path.write_text("not a certificate")
    sentence = refusal("--tls-cert", str(cert), "--tls-key", str(key))
    assert sentence.startswith(f"--tls-cert, --tls-key: The certificate {cert} with the key ")


def test_a_redis_url_that_cannot_be_used_is_one_sentence():
    said = refusal("--redis", "redis://:s3cret@h?foo=1", status=2)
    assert said.startswith("--redis has the option 'foo', which is none of ")


def test_an_address_of_another_machine_is_one_sentence():
    said = refusal("--host", "192.0.2.1", "--demo-accounts", "--lines-port", "0", "--braces-port", "0",
                   "--trusted-proxy", "127.0.0.1")
    assert " on 192.0.2.1 cannot be opened: " in said and said.endswith("; choose another with --host.\n")


def test_sighup_reads_the_accounts_again_and_disconnects_nobody_and_a_bad_file_changes_nothing(tmp_path):
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
