"""What both TCP doors bear from those who behave badly: it costs them, and nobody else."""

import asyncio
import gc
import socket

from tornado.iostream import StreamClosedError
from tornado.testing import gen_test

from tests.gateways.doors import DoorTest
from webchat.codecs.lines import LINE_LIMIT
from webchat.net.accept import KEEPALIVE


class Lines:
    """How the tests speak to the lines door."""

    open_it = DoorTest.open_lines
    enter = DoorTest.typist
    said = "{sender}: {text}\n"
    refusal = "-!- {sentence}"
    left = "-!- {name} has left\n"
    unfinished = "x"

    @staticmethod
    def naming(name):
        return f"{name}\n"

    @staticmethod
    def saying(text):
        return f"{text}\n"


class Braces:
    """How they speak to the braces door."""

    open_it = DoorTest.open_braces
    enter = DoorTest.bracer
    said = "{{ALL}}{sender}: {text}\n"
    refusal = "{{ALL}}{sentence}"
    left = "{{ALL}}{name} has left the chat.\n"
    unfinished = "{"

    @staticmethod
    def naming(name):
        return f"{{REGISTER}}{name}\n"

    @staticmethod
    def saying(text):
        return f"{{ALL}}{text}\n"


class Ears:
    def hear(self, peer, sender, text):
        return peer.until(self.said.format(sender=sender, text=text))

    def refused(self, peer, sentence):
        return peer.until(self.refusal.format(sentence=sentence))


class Behaviour(Ears):
    """What is asked of either door."""

    @gen_test
    async def test_an_overlong_line_is_refused_and_the_connection_goes_on(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send(self.saying("x" * 2 * LINE_LIMIT) + self.saying("still here"))
        assert "too long, and has not been said." in await self.refused(hugo, "That ") + await hugo.until("said.")
        assert "xxx" not in await self.hear(ada, "Hugo", "still here")

    @gen_test
    async def test_no_newline_for_ever_is_refused_once_and_takes_no_memory(self):
        port = self.open_it()
        hugo = await self.enter(port, "Hugo")
        ada = await self.enter(port, "ada")
        hugo.send(self.saying("")[:-1])
        for _ in range(64):
            hugo.send("x" * LINE_LIMIT)
        hugo.send("\n" + self.saying("still here"))
        assert (await self.hear(ada, "Hugo", "still here")).count("x") == 0
        hugo.send(self.saying(""))
        hugo.send(self.saying("again"))
        await self.hear(ada, "Hugo", "again")
        assert hugo.received.count(b"too long") <= 1

    @gen_test
    async def test_bytes_that_come_one_by_one_make_the_same_messages(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        for byte in self.saying("Zoë is slow").encode():
            hugo.send(bytes([byte]))
            await asyncio.sleep(0)
        await self.hear(ada, "Hugo", "Zoë is slow")

    @gen_test
    async def test_a_stranger_who_trickles_bytes_is_closed_when_his_time_is_up(self):
        port = self.open_it(login_time=0.3)
        peer = await self.connect(port)
        peer.send(self.unfinished)
        ended = asyncio.ensure_future(peer.ended())
        while not ended.done():
            peer.send("x")
            await asyncio.wait([ended], timeout=0.05)
        assert self.refusal.format(sentence="Nobody gave a name in time.") in ended.result()

    @gen_test
    async def test_a_stranger_has_ten_tries(self):
        peer = await self.connect(self.open_it())
        peer.send(self.naming("ALL") * 12)
        assert (await peer.ended()).count("name") >= 10
        assert not self.hub.sessions

    @gen_test
    async def test_invalid_utf8_becomes_replacement_characters(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send(self.saying("caf#!").encode().replace(b"#", b"\xe9"))
        await self.hear(ada, "Hugo", "caf\ufffd!")

    @gen_test
    async def test_escape_sequences_and_zeros_reach_no_terminal(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send(self.saying("\x1b[2Jgone\0 \x9b2J"))
        await self.hear(ada, "Hugo", "\ufffd[2Jgone\ufffd \ufffd2J")

    @gen_test
    async def test_a_peer_that_vanished_without_a_word_is_probed(self):
        await self.enter(self.open_it(), "Hugo")
        [connection] = self.doors[0].connections
        sock = connection.stream.socket
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for name, value in KEEPALIVE:
            assert sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value

    @gen_test
    async def test_a_reset_costs_the_others_one_notice(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send(self.saying("bye"))
        await self.hear(ada, "Hugo", "bye")
        hugo.reset()
        await ada.until(self.left.format(name="Hugo"))

    @gen_test
    async def test_a_flood_is_told_to_slow_down(self):
        self.hub._message_rate = 5
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send("".join(self.saying(f"text {number}") for number in range(40)))
        await self.refused(hugo, "Too many messages at once; wait a moment.")
        await self.hear(ada, "Hugo", "text 0")
        assert len(self.hub.sessions) == 2

    @gen_test
    async def test_a_browser_and_a_tls_client_are_closed_and_say_nothing_to_anybody(self):
        port = self.open_it()
        ada = await self.enter(port, "ada")
        for opening in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            stranger = await self.connect(port)
            stranger.send(opening)
            assert b"HTTP" not in (await stranger.ended()).encode()
        hugo = await self.enter(port, "Hugo")
        hugo.send(self.saying("hello"))
        assert "left" not in await self.hear(ada, "Hugo", "hello")

    @gen_test
    async def test_somebody_whose_bytes_are_always_there_leaves_others_their_turn(self):
        port = self.open_it()
        hugo = await self.enter(port, "Hugo")
        [connection] = self.doors[0].connections
        ada = await self.enter(port, "ada")
        reads = iter(range(20_000))

        def read_bytes(*_, **__):
            future = asyncio.get_running_loop().create_future()
            if next(reads, None) is None:
                future.set_exception(StreamClosedError())
            else:
                future.set_result(self.unfinished.encode())
            return future

        connection.stream.read_bytes = read_bytes
        hugo.send(self.unfinished)
        ada.send(self.saying("may I?"))
        ada.send(self.saying("thank you"))
        await self.hear(hugo, "ada", "thank you")
        assert next(reads, None) is not None

    @gen_test
    async def test_somebody_who_keeps_a_closed_connection_open_is_not_waited_for(self):
        port = self.open_it(linger=0.1, login_tries=1)
        peer = await self.connect(port)
        peer.send(self.naming("ALL"))
        await peer.ended()
        for connection in list(self.doors[0].connections):
            await asyncio.wait_for(connection.task, 5)
        assert not self.doors[0].connections

    @gen_test
    async def test_one_too_many_is_told_so(self):
        self.hub._capacity = 1
        port = self.open_it()
        await self.enter(port, "Hugo")
        assert "no room for another connection" in await (await self.connect(port)).ended()

    @gen_test
    async def test_a_thousand_connects_in_a_row_leave_nothing_behind(self):
        port = self.open_it()
        ada = await self.enter(port, "ada")
        tasks = len(asyncio.all_tasks())
        for batch in range(10):
            peers = await asyncio.gather(*(self.connect(port) for _ in range(100)))
            for number, peer in enumerate(peers):
                if number % 2:
                    peer.send(self.naming(f"guest {batch} {number}"))
                peer.reset() if number % 3 else peer.close()
            del self.peers[1:]
        hugo = await self.enter(port, "Hugo")
        hugo.send(self.saying("hello"))
        await self.hear(ada, "Hugo", "hello")
        while len(self.hub.sessions) > 2:
            await asyncio.sleep(0.01)
        gc.collect()
        assert len(self.doors[0].connections) == 2
        assert len(asyncio.all_tasks()) == tasks + 1  # Hugo's
        assert len(self.hub.people) == 2


class SlowReaders(Ears):
    """A reader who stops reading is closed, and only he."""

    limit = 64 * 1024
    patience = 0.3

    async def flood(self, text, sender, reader, until):
        """Say it until that happens; give how often it was said. The reader reads along."""
        count = 0
        while not until():
            sender.send(self.saying(f"{text} {count}"))
            await reader.until(f": {text} {count}\n")
            count += 1
        return count

    @gen_test
    async def test_when_too_much_waits_for_him(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        stalled = await self.enter(port, "stalled")
        self.outbox.patience = 60
        stalled.stop_reading()
        count = await self.flood("x" * 4000, hugo, ada, lambda: len(self.hub.people) == 2)
        assert count > 0
        await ada.until(self.left.format(name="stalled"))
        hugo.send(self.saying("still here"))
        await self.hear(ada, "Hugo", "still here")

    @gen_test
    async def test_when_he_takes_nothing_for_too_long(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        stalled = await self.enter(port, "stalled")
        self.outbox.limit = 1 << 30
        stalled.stop_reading()
        await self.flood("x" * 4000, hugo, ada, lambda: len(self.hub.people) == 2)
        await ada.until(self.left.format(name="stalled"))


class LinesDoor(Lines, Behaviour, DoorTest):
    @gen_test
    async def test_telnet_negotiation_without_an_end_closes_the_connection(self):
        peer = await self.connect(self.open_it())
        peer.send(b"\xff\xfa" + b"x" * 10_000)
        await peer.ended()


class BracesDoor(Braces, Behaviour, DoorTest):
    pass


class SlowReadersOfLines(Lines, SlowReaders, DoorTest):
    pass


class SlowReadersOfBraces(Braces, SlowReaders, DoorTest):
    pass
