"""Three nodes behind Debian's nginx, with the configuration in docs/nginx.conf."""

import asyncio
import http.client
import json
import shutil
import signal
import ssl
import subprocess
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import socketio
import websockets

from tests.backplane.nodes import on_loop, until
from tests.backplane.redis_server import RedisServer, needs_redis
from tests.program import PATIENCE, Program, free_ports

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = [needs_redis, pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
              pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")]

CONFIGURATION = Path(__file__).parent.parent / "docs" / "nginx.conf"
NODES = (8001, 8002, 8003)

PACE = 0.02
"""Seconds between two messages of one talker."""

RETRY = 0.1
"""Seconds before a talker who has lost the connection tries again."""


class Cluster:
    """nginx, three nodes and a Redis."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port, self.plain, *self.ports = free_ports(2 + len(NODES))
        self.redis = RedisServer()
        self.nodes: list[Program] = []
        self.has_nginx = False

    def start(self) -> None:
        self.redis.start()
        self._make_certificate()
        with ThreadPoolExecutor() as starting:
            self.nodes += starting.map(self.start_node, self.ports)
        self._start_nginx()

    def start_node(self, port: int) -> Program:
        return Program("--port", str(port), "--lines-port", "0", "--braces-port", "0", "--redis", self.redis.url,
                       "--redis-key", "secret", "--trusted-proxy", "127.0.0.1", "--allow-host", "chat.example", doors=1)

    def restart(self, number: int) -> None:
        """Stop a node as an operator does, and start it again."""
        assert self.nodes[number].stop(signal.SIGTERM) == 0
        self.nodes[number].__exit__()
        self.nodes[number] = self.start_node(self.ports[number])

    def _make_certificate(self) -> None:
        self.certificate, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.tls = ssl.create_default_context(cafile=self.certificate)

    def _start_nginx(self) -> None:
        text = CONFIGURATION.read_text()
        replaced = {
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl", "listen 80": f"listen 127.0.0.1:{self.plain}",
            "/etc/ssl/webchat/fullchain.pem": str(self.certificate), "/etc/ssl/webchat/privkey.pem": str(self.key),
            "/run/nginx.pid": str(self.folder / "nginx.pid"), "/var/log/nginx/error.log": "stderr",
            "worker_processes auto": "worker_processes 1", "worker_rlimit_nofile 65536;": "",
            "worker_connections 30000": "worker_connections 500",
            "http {": "http {\n" + "".join(
                f"    {kind}_temp_path {self.folder / kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        } | {f"127.0.0.1:{node} max": f"127.0.0.1:{port} max" for node, port in zip(NODES, self.ports, strict=True)}
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / "nginx.conf").write_text(text)
        # The command returns when nginx listens and has gone to the background.
        subprocess.run(self._nginx_command(), check=True, stderr=subprocess.DEVNULL)
        self.has_nginx = True

    def _nginx_command(self, *more: str) -> list[str]:
        return [NGINX, "-p", str(self.folder), "-e", "stderr", "-c", str(self.folder / "nginx.conf"), *more]

    def get(self, path: str) -> bytes:
        url = f"https://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=PATIENCE, context=self.tls) as answer:
            return answer.read()

    def close(self) -> None:
        if self.has_nginx:
            subprocess.run(self._nginx_command("-s", "stop"), check=True, stderr=subprocess.DEVNULL)
        for node in self.nodes:
            node.__exit__()
        self.redis.close()

    def websocket(self, **settings):
        return websockets.connect(f"wss://127.0.0.1:{self.port}/ws", ssl=self.tls, open_timeout=PATIENCE, **settings)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("nginx"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


async def login(connection, username: str, **more) -> dict:
    await connection.send(json.dumps({"type": "login", "username": username, **more}))
    return json.loads(await connection.recv())


def descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_page_comes_over_tls(cluster):
    assert b"Username" in cluster.get("/chat/index.html")


def test_the_three_nodes_are_one_chat(cluster):
    metrics = f"http://127.0.0.1:{cluster.ports[0]}/metrics"
    with urllib.request.urlopen(metrics, timeout=PATIENCE) as answer:
        assert b"webchat_nodes 3.0\n" in answer.read()


def test_the_nodes_answer_to_the_name_of_the_site_and_to_no_strangers(cluster):
    for name, status in {"chat.example": 200, "evil.example": 421}.items():
        connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, timeout=PATIENCE, context=cluster.tls)
        connection.request("GET", "/healthz", headers={"Host": name})
        assert connection.getresponse().status == status
        connection.close()


@on_loop
async def test_a_page_of_this_site_may_connect_and_a_page_of_another_site_may_not(cluster):
    async with cluster.websocket(origin=f"https://127.0.0.1:{cluster.port}"):
        pass
    with pytest.raises(websockets.InvalidStatus, match="403"):
        async with cluster.websocket(origin="https://elsewhere.example"):
            pass


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids=" then ".join)
@on_loop
async def test_each_transport_of_socket_io_works_through_the_proxy(cluster, transports):
    name = f"guest {len(transports)} {transports[0]}"
    heard, before = [], descriptors()
    client = socketio.AsyncClient(ssl_verify=False, reconnection=False)
    client.on("chat_message", lambda message: heard.append(message["text"]) if message["from_user"] == name else None)
    await client.connect(f"https://127.0.0.1:{cluster.port}", auth={"username": name}, transports=transports)
    try:
        assert client.transport() == transports[-1]
        for n in range(5):
            assert (await client.call("message", {"message": str(n)}, timeout=PATIENCE))["ok"]
        await until(lambda: len(heard) == 5)
        assert heard == [str(n) for n in range(5)]
    finally:
        await client.disconnect()
        await until(lambda: descriptors() <= before)  # it closes its TLS connections only afterwards


@on_loop
async def test_the_nodes_see_the_clients_own_addresses(cluster):
    for number in range(3 * len(NODES)):  # until every node has had too many wrong passwords from this address
        async with cluster.websocket() as connection:
            codes = [(await login(connection, f"nobody {number} {n}", password="wrong"))["code"] for n in range(7)]
    assert codes[-1] == "slow-down"
    for _ in NODES:
        async with cluster.websocket() as connection:
            assert (await login(connection, "Sandy", password="wrong"))["code"] == "slow-down"
    for _ in NODES:
        async with cluster.websocket(local_addr=("127.0.0.2", 0)) as connection:
            assert (await login(connection, "Sandy", password="wrong"))["code"] == "bad-credentials"


class Talker:
    """Somebody who keeps talking, and reconnects on their own."""

    def __init__(self, cluster: Cluster, name: str):
        self.cluster, self.name = cluster, name
        self.token = ""
        self.connections = 0
        self.acknowledged = 0
        self.heard: Counter[str] = Counter()
        self.problems: list[str] = []

    async def live(self) -> None:
        while True:
            with suppress(OSError, websockets.WebSocketException):
                async with self.cluster.websocket() as connection:
                    welcome = await login(connection, self.name, token=self.token)
                    if welcome["type"] != "welcome":
                        self.problems.append(welcome["code"])
                        await asyncio.sleep(RETRY)
                        continue
                    self.token = welcome["token"]
                    self.connections += 1
                    self.acknowledged = 0
                    talking = asyncio.create_task(self._talk(connection))
                    try:
                        async for frame in connection:
                            self._hear(json.loads(frame))
                    finally:
                        talking.cancel()
            await asyncio.sleep(RETRY)

    async def _talk(self, connection) -> None:
        said = 0
        while True:
            said += 1
            text = f"{self.name}.{self.connections}.{said}"
            await connection.send(json.dumps({"type": "message", "message": text, "ref": said}))
            await asyncio.sleep(PACE)

    def _hear(self, event: dict) -> None:
        if event["type"] == "ack":
            self.acknowledged = event["ref"]
        elif event["type"] == "chat_message":
            self.heard[event["text"]] += 1


async def one_node_restarts(cluster: Cluster, number: int, talkers: list[Talker]) -> int:
    """Restart a node, and check that clients of the other nodes lose nothing. Returns how many had to reconnect."""
    began = {talker: (talker.connections, talker.acknowledged) for talker in talkers}
    await asyncio.to_thread(cluster.restart, number)
    stayed = [talker for talker in talkers if talker.connections == began[talker][0]]
    said = {f"{talker.name}.{talker.connections}.{n}" for talker in stayed
            for n in range(began[talker][1] + 1, talker.acknowledged + 1)}
    assert len(stayed) >= 3 and len(said) > 10 * len(stayed)
    await until(lambda: all(said <= talker.heard.keys() for talker in stayed))
    await until(lambda: all(talker.acknowledged for talker in talkers))
    return len(talkers) - len(stayed)


@on_loop
async def test_a_rolling_restart_under_load_loses_no_message_between_clients_that_stay_connected(cluster):
    talkers = [Talker(cluster, f"talker{n}") for n in range(9)]
    lives = [asyncio.create_task(talker.live()) for talker in talkers]
    await until(lambda: all(talker.acknowledged for talker in talkers))
    moved = 0
    for number in range(len(NODES)):
        moved += await one_node_restarts(cluster, number, talkers)
    assert moved >= 3
    assert all(count == 1 for talker in talkers for count in talker.heard.values())
    for life in lives:
        life.cancel()
    await asyncio.wait(lives)
