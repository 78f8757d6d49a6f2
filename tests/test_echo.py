"""The echo server: sends everything back to its sender, and nothing else."""

import asyncio
import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
from tornado.iostream import StreamClosedError
from tornado.tcpclient import TCPClient
from tornado.testing import AsyncTestCase, bind_unused_port, gen_test

from tests.program import PATIENCE, ROOT
from webchat.echo import EchoServer


class Echo(AsyncTestCase):
    def setUp(self):
        super().setUp()
        sock, self.port = bind_unused_port()
        self.server = EchoServer()
        self.server.add_sockets([sock])

    def tearDown(self):
        self.server.stop()
        super().tearDown()

    def connect(self):
        return TCPClient().connect("127.0.0.1", self.port)

    @gen_test
    async def test_lines_come_back_in_order(self):
        stream = await self.connect()
        await stream.write("one\nZoë\r\n\n".encode())
        assert await stream.read_bytes(11) == "one\nZoë\r\n\n".encode()
        stream.close()

    @gen_test
    async def test_text_without_a_newline_and_bytes_that_are_not_text_come_back_too(self):
        stream = await self.connect()
        for data in (b"hello", bytes(range(256)) * 1000):
            await stream.write(data)
            assert await stream.read_bytes(len(data)) == data
        stream.close()

    @gen_test
    async def test_what_came_together_with_the_end_of_the_input_comes_back_too(self):
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(b"last words")
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(client, 100) == b"last words"
            assert await loop.sock_recv(client, 100) == b""

    @gen_test
    async def test_nobody_receives_what_others_send(self):
        one, other = await self.connect(), await self.connect()
        await one.write(b"mine\n")
        await other.write(b"yours\n")
        assert await other.read_until(b"\n") == b"yours\n"
        assert await one.read_until(b"\n") == b"mine\n"
        one.close()
        with pytest.raises(StreamClosedError):
            other.close()
            await other.read_bytes(1)

    @gen_test
    async def test_a_client_that_does_not_read_is_not_read_from_and_others_are_served(self):
        stream = await self.connect()
        written = stream.write(b"x" * (64 << 20))
        another = await self.connect()
        await another.write(b"hello\n")
        assert await another.read_until(b"\n") == b"hello\n"
        assert not written.done()
        another.close()
        stream.close()
        with pytest.raises(StreamClosedError):
            await written


@contextmanager
def echo(*arguments):
    command = [sys.executable, "-m", "webchat.echo", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_as_a_program_it_prints_its_address_and_stops_cleanly():
    with echo("--host", "127.0.0.1", "--port", "0") as process:
        port = int(re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
            peer.sendall(b"hello\n")
            peer.shutdown(socket.SHUT_WR)
            assert peer.makefile("rb").read() == b"hello\n"
    assert process.returncode == 0


def test_a_port_in_use_is_one_sentence_and_exit_status_1():
    with socket.create_server(("127.0.0.1", 0)) as taken, echo("--port", str(taken.getsockname()[1])) as process:
        _, complaint = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert re.fullmatch(r"Port \d+ on 127\.0\.0\.1 cannot be opened \(Address already in use\);.*\n", complaint)


def test_an_address_of_ipv6_may_be_in_brackets():
    with echo("--host", "[::1]", "--port", "0") as process:
        line = process.stdout.readline() or process.stderr.readline()
        assert re.fullmatch(r"echo   \[::1\]:\d+\n|Port 0 on ::1 cannot be opened .*\n", line)


def test_a_host_with_a_port_is_wrong_usage():
    with echo("--host", "127.0.0.1:7007") as process:
        _, complaint = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2
        assert "'127.0.0.1:7007' is not an address or a host name, without a port." in complaint


def test_the_port_is_7007_unless_another_is_given():
    done = subprocess.run([sys.executable, "-m", "webchat.echo", "-h"], cwd=ROOT, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert "7007" in done.stdout
