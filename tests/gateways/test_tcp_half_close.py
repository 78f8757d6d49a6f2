"""Peers that end their input and still read, as `printf 'Hugo: hello' | nc -N` does: they get what they are owed."""

import asyncio
import socket
import ssl
from contextlib import suppress

import pytest
from tornado.testing import gen_test

from tests.certificates import Authority, needs_openssl
from tests.gateways.doors import PATIENCE, DoorTest, Timers
from tests.gateways.test_tcp_bad_behaviour import Braces, Lines, Reading
from webchat.gateways import braces
from webchat.net.outbox import Outbox


class HalfClose(Reading):
    """What both doors have in common. The answers to so many questions fill the buffers of two sockets."""

    def last(self, text):
        return self.saying(text).removesuffix("\n")

    @gen_test
    async def test_the_last_message_needs_no_newline_and_its_answer_arrives(self):
        port = self.open_it()
        ada = await self.enter(port, "ada")
        peer = await self.connect(port)
        peer.send(self.naming("Hugo") + self.last("hello"))
        peer.half_close()
        told = await peer.ended()
        assert self.welcome.format(name="Hugo") in told
        assert told.endswith(self.answer_to_hello)
        assert not peer.was_reset
        await self.hear(ada, "Hugo", "hello")
        await ada.until(self.left.format(name="Hugo"))

    @gen_test
    async def test_so_does_a_refusal(self):
        port = self.open_it()
        await self.enter(port, "ada")
        peer = await self.connect(port)
        peer.send(self.naming("ada").removesuffix("\n"))
        peer.half_close()
        assert "Somebody here already has that name." in await peer.ended()

    @gen_test
    async def test_who_ends_their_input_without_a_word_is_gone(self):
        port = self.open_it()
        peer, ada = await self.connect(port), await self.enter(port, "ada")
        for each in (peer, ada):
            each.half_close()
            await each.ended()
            assert not each.was_reset

    @gen_test
    async def test_a_slow_reader_gets_all_answers(self):
        self.outbox = Outbox(limit=1 << 30, patience=10, call_later=Timers().call_later)
        port = self.open_it()
        hugo = await self.enter(port, "Hugo")
        hugo.stop_reading()
        hugo.send(self.question * self.number)
        hugo.half_close()
        ada = await self.enter(port, "ada")
        await self.server_has_read(ada, "ada")
        hugo.go_on_reading()
        assert (await hugo.ended()).count(self.answer) == self.number

    @gen_test
    async def test_who_does_not_read_them_is_closed_after_the_usual_patience(self):
        timers = Timers()
        self.outbox = Outbox(limit=1 << 30, patience=10, call_later=timers.call_later)
        port = self.open_it()
        hugo, ada = await self.enter(port, "Hugo"), await self.enter(port, "ada")
        hugo.stop_reading()
        hugo.send(self.question * self.number)
        hugo.half_close()
        while not timers.pending_for(10):
            await self.server_has_read(ada, "ada")
        while "Hugo" in {session.username for session in self.hub.sessions}:
            for overdue in timers.pending_for(10):
                overdue.expire()
            await self.server_has_read(ada, "ada")


class OfLines(Lines, HalfClose, DoorTest):
    welcome, answer_to_hello = "-!- You are {name}.", "/help lists what else you can do.\n"
    question, answer, number = "/help\n", "-!- /quit", 16_000

    @gen_test
    async def test_a_name_and_a_text_alone_are_enough(self):
        port = self.open_it()
        ada, peer = await self.enter(port, "ada"), await self.connect(port)
        peer.send("Hugo: hello")
        peer.half_close()
        assert "-!- You are Hugo. 2 here: ada | Hugo\n" in await peer.ended()
        await self.hear(ada, "Hugo", "hello")

    @gen_test
    async def test_half_a_character_and_half_a_telnet_command_at_the_end_do_no_harm(self):
        port = self.open_it()
        ada = await self.enter(port, "ada")
        for end in (b"\xc3", b"\xff", b"\xff\xfb"):
            peer = await self.connect(port)
            peer.send(b"Hugo: hello" + end)
            peer.half_close()
            assert "-!- You are Hugo." in await peer.ended()
            await ada.until("-!- Hugo has left\n")


class OfBraces(Braces, HalfClose, DoorTest):
    welcome, answer_to_hello = "{{{name}}}Welcome, {name}!\n", "{ALL}Hugo: hello\n"
    question, answer, number = "{Hugo}" + 4000 * "x" + "\n", "{Hugo}Hugo: xx", 4_000

    @gen_test
    async def test_the_lists_of_people_and_the_echo_are_owed_too(self):
        port = self.open_it(gap=3600)
        for newline, lists in (("\n", 2), ("", 1)):
            for end in ("", "{QUIT}"):
                peer = await self.connect(port)
                peer.send(newline.join(["{REGISTER}Hugo", "{ALL}hello", "{CLIENTS}", end]))
                peer.half_close()
                told = await peer.ended()
                assert "{Hugo}Welcome, Hugo!" in told
                assert "{ALL}Hugo: hello" in told
                assert told.count("{CLIENTS}Hugo") == told.count("{CLIENTS}") == lists


    @gen_test
    async def test_a_list_that_had_to_wait_is_owed_too(self):
        patch = pytest.MonkeyPatch()
        self.addCleanup(patch.undo)
        patch.setattr(braces, "REQUESTS_BUDGET", 1)
        port = self.open_it(call_later=Timers().call_later)
        for end in ("", "{QUIT}\n"):
            peer = await self.bracer(port, "Hugo")
            peer.send("{CLIENTS}\n" + end)
            peer.half_close()
            assert await peer.ended() == "{CLIENTS}Hugo\n"


def close_output(tls: ssl.SSLObject) -> None:
    """Send close_notify, and do not wait for the peer's."""
    with pytest.raises(ssl.SSLWantReadError):
        tls.unwrap()


@needs_openssl
class TestTls(DoorTest):
    @pytest.fixture(autouse=True)
    def certificate(self, tmp_path):
        authority = Authority(tmp_path)
        made = authority.sign("IP:127.0.0.1")
        self.trusting, self.server_tls = authority.context, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server_tls.load_cert_chain(made.cert, made.key)

    def talk(self, port: int, said: bytes) -> bytes:
        """Say something, end the output, and return all that is heard before the server's close_notify."""
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.trusting.wrap_bio(received, sent, server_hostname="127.0.0.1")

        def wait_for(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    client.sendall(sent.read())
                    assert (data := client.recv(65536)), "the connection ended without close_notify"
                    received.write(data)

        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            wait_for(tls.do_handshake)
            tls.write(said)
            close_output(tls)
            heard = b""
            with suppress(ssl.SSLZeroReturnError):
                while True:
                    heard += wait_for(lambda: tls.read(65536))
            return heard

    @gen_test
    async def test_the_last_message_is_answered_and_close_notify_follows(self):
        for port, said, owed in [
            (self.open_lines(), b"Hugo: hello", b"-!- You are Hugo."),
            (self.open_braces(), b"{REGISTER}Olaf{ALL}hello", b"{ALL}Olaf: hello"),
        ]:
            assert owed in await asyncio.to_thread(self.talk, port, said)
