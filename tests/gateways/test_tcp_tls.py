"""The TCP doors over TLS: handshakes that never end, and ends that the peer can tell from an attack."""

import asyncio
import socket
import ssl

import pytest
from tornado.testing import gen_test

from tests.certificates import Authority, needs_openssl
from tests.gateways.doors import PATIENCE, DoorTest, Timers

CLOSE_TIME, LOGIN_TIME = 7.0, 60.0

CLIENT_HELLO_START = bytes.fromhex("16 0301 0200 01")
"""The header of a TLS record of 512 bytes, and the first of them."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@needs_openssl
class TestTls(DoorTest):
    @pytest.fixture(autouse=True)
    def certificate(self, authority):
        made = authority.sign("IP:127.0.0.1")
        self.client_tls, self.server_tls = authority.context, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server_tls.load_cert_chain(made.cert, made.key)

    def open_both(self, timers):
        for opens in (self.open_lines, self.open_braces):
            yield opens(call_later=timers.call_later, login_time=LOGIN_TIME, close_time=CLOSE_TIME)

    async def arrival(self, timers, port, first_bytes):
        """A TCP connection that has begun its handshake, and the timer of its login."""
        before = len(timers.pending_for(LOGIN_TIME))
        client = socket.create_connection(("127.0.0.1", port), PATIENCE)
        client.sendall(first_bytes)
        client.setblocking(False)
        while len(timers.pending_for(LOGIN_TIME)) == before:
            await asyncio.sleep(0)
        return client, timers.pending_for(LOGIN_TIME)[-1]

    @gen_test
    async def test_a_handshake_that_never_ends_has_the_time_of_a_login(self):
        timers, loop = Timers(), asyncio.get_running_loop()
        for port in self.open_both(timers):
            for rest in (b"", CLIENT_HELLO_START[3:]):
                client, overdue = await self.arrival(timers, port, CLIENT_HELLO_START[:3])
                with client:
                    for byte in rest:
                        await loop.sock_sendall(client, bytes([byte]))
                    overdue.expire()
                    for closing in timers.pending_for(CLOSE_TIME):
                        closing.expire()
                    try:
                        heard = await asyncio.wait_for(loop.sock_recv(client, 4096), PATIENCE)
                    except ConnectionResetError:  # the beginning of the handshake was not read
                        heard = b""
                    assert heard == b""
        assert not timers.pending and not self.hub.sessions

    @gen_test
    async def test_after_the_handshake_the_same_time_goes_on(self):
        timers = Timers()
        for port in self.open_both(timers):
            peer = await self.connect(port)
            while not timers.pending_for(LOGIN_TIME):
                await asyncio.sleep(0)
            overdue, = timers.pending_for(LOGIN_TIME)
            overdue.expire()
            await peer.until("No name was given in time; connect again.")
            await peer.ended()
            peer.close()

    @gen_test
    async def test_the_last_words_arrive_though_the_peer_goes_on_sending_and_close_notify_follows_them(self):
        timers = Timers()
        for port, quit, words in zip(self.open_both(timers), ("/quit\n", "{QUIT}"), ("Goodbye.", ""), strict=True):
            plain = socket.create_connection(("127.0.0.1", port), PATIENCE)

            def talk(plain=plain, quit=quit):
                with self.client_tls.wrap_socket(
                        plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as client:
                    client.sendall(b"{REGISTER}Hugo\n" + quit.encode() + 1000 * b"too late\n")
                    return b"".join(iter(lambda: client.recv(65536), b""))  # SSLEOFError without close_notify

            heard = await asyncio.to_thread(talk)
            assert words in heard.decode().splitlines()[-1]

    @gen_test
    async def test_a_peer_that_does_not_close_its_side_is_waited_for_no_longer_than_the_close_time(self):
        timers = Timers()
        for port in self.open_both(timers):
            client = await asyncio.to_thread(
                self.client_tls.wrap_socket, socket.create_connection(("127.0.0.1", port), PATIENCE),
                server_hostname="127.0.0.1")
            with client:
                *_, overdue = timers.pending_for(LOGIN_TIME)
                overdue.expire()
                while not timers.pending_for(CLOSE_TIME):
                    await asyncio.sleep(0)
                ending = [connection.task for door in self.doors for connection in door.connections]
                for closing in timers.pending_for(CLOSE_TIME):
                    closing.expire()
                await asyncio.wait(ending, timeout=PATIENCE)
                assert not any(door.connections for door in self.doors)

    @gen_test
    async def test_what_was_said_before_the_end_reaches_the_others(self):
        port = self.open_lines()
        ada, bob = await self.typist(port, "ada"), await self.typist(port, "bob")
        ada.send("last words\n")
        ada.close()
        await bob.until("ada: last words\n")
        await bob.until("-!- ada has left\n")

    @gen_test
    async def test_a_large_answer_arrives_whole(self):
        lines, braces = self.open_lines(), self.open_braces()
        ada, hugo = await self.typist(lines, "ada"), await self.bracer(braces, "Hugo")
        for number in range(50):
            hugo.send("{ALL}" + f"{number} " + 4000 * "x" + "\n")
        await ada.until(f"Hugo: 49 {4000 * 'x'}\n")
