"""Peers that behave badly at a TCP door: it affects them, and nobody else."""

import asyncio
import gc
import socket
from collections import Counter
from ipaddress import ip_network
from itertools import count

from tornado.iostream import StreamClosedError
from tornado.testing import ExpectLog, gen_test

from tests.chat.fakes import as_it_is
from tests.gateways.doors import DoorTest, Timers
from webchat.chat.errors import NameTaken, SlowDown
from webchat.chat.events import ChatMessage, Login
from webchat.codecs.lines import LINE_LIMIT
from webchat.net.accept import KEEPALIVE
from webchat.net.entrance import Entrance
from webchat.net.outbox import Outbox
from webchat.net.proxies import Proxies


class Lines:
    """How the tests speak to the lines door."""

    open_it = DoorTest.open_lines
    enter = DoorTest.typist
    said = "{sender}: {text}\n"
    refusal = "-!- {sentence}"
    left = "-!- {name} has left\n"
    unfinished = "unfinished"
    private, privately_said = "/msg {name} {text}\n", "[private] {name}: {text}\n"

    @staticmethod
    def naming(name):
        return f"{name}\n"

    @staticmethod
    def renaming(name):
        return f"/nick {name}\n"

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
    unfinished = "{UNFINISHED"
    private, privately_said = "{{{name}}}{text}\n", "{{{name}}}{name}: {text}\n"

    @staticmethod
    def naming(name):
        return f"{{REGISTER}}{name}\n"

    renaming = naming

    @staticmethod
    def saying(text):
        return f"{{ALL}}{text}\n"


class Reading:
    def hear(self, peer, sender, text):
        return peer.until(self.said.format(sender=sender, text=text))

    def refused(self, peer, sentence):
        return peer.until(self.refusal.format(sentence=sentence))

    async def server_has_read(self, peer, name):
        """Wait until the server has read everything that any peer has sent so far.

        `peer` has logged in as `name`; return what it has received.
        """
        received = ""
        for text in ("one", "two"):
            peer.send(self.private.format(name=name, text=text))
            received += await peer.until(self.privately_said.format(name=name, text=text))
        return received


class TurnCounter:
    """An outlet that counts the messages that it gets in each turn of the event loop."""

    def __init__(self):
        self.turn = 0
        self.messages = Counter()

    async def count_turns(self):
        while True:
            self.turn += 1
            await asyncio.sleep(0)

    def send(self, event):
        self.messages[self.turn] += isinstance(event, ChatMessage)

    def close(self, reason):
        pass


class Behaviour(Reading):
    """What both doors have in common."""

    @gen_test
    async def test_an_overlong_line_is_refused_and_the_connection_goes_on(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send(self.saying("x" * 2 * LINE_LIMIT) + self.saying("still here"))
        assert "too long, and has not been said." in await self.refused(hugo, "That ") + await hugo.until("said.")
        assert "xxx" not in await self.hear(ada, "Hugo", "still here")

    @gen_test
    async def test_a_line_without_an_end_is_refused_once(self):
        port = self.open_it()
        hugo = await self.enter(port, "Hugo")
        ada = await self.enter(port, "ada")
        hugo.send(self.saying("")[:-1])
        for _ in range(64):
            hugo.send("x" * LINE_LIMIT)
        hugo.send("\n" + self.saying("still here"))
        assert "x" not in await self.hear(ada, "Hugo", "still here")
        assert (await self.server_has_read(hugo, "Hugo")).count("too long, and has not been said.") == 1

    @gen_test
    async def test_bytes_that_come_one_by_one_make_the_same_messages(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        for byte in self.saying("Zoë is slow").encode():
            hugo.send(bytes([byte]))
            await asyncio.sleep(0)
        await self.hear(ada, "Hugo", "Zoë is slow")

    async def stranger(self, **settings):
        """Ada, somebody who has not logged in, and the timers of the door."""
        timers = Timers()
        port = self.open_it(call_later=timers.call_later, login_time=60, close_time=7, **settings)
        ada, peer = await self.enter(port, "ada"), await self.connect(port)
        await self.server_has_read(ada, "ada")
        return ada, peer, timers

    @gen_test
    async def test_trickled_bytes_do_not_extend_the_time_to_log_in(self):
        ada, peer, timers = await self.stranger()
        *_, overdue = timers.pending_for(60)
        for byte in self.unfinished:
            peer.send(byte)
            await self.server_has_read(ada, "ada")
        overdue.expire()
        await self.refused(peer, "No name was given in time; connect again.")
        await peer.ended()

    @gen_test
    async def test_neither_does_the_header_of_a_proxy(self):
        self.entrance = Entrance(proxies=Proxies([ip_network("127.0.0.1")]), clock=count(step=4).__next__)
        timers = Timers()
        peer = await self.connect(self.open_it(call_later=timers.call_later, login_time=60))
        peer.send("PROXY TCP4 203.0.113.7 192.0.2.1 4711 7007\r\n")
        while not timers.pending_for(60 - 4):
            await asyncio.sleep(0)
        timers.pending_for(60 - 4)[0].expire()
        await self.refused(peer, "No name was given in time; connect again.")
        await peer.ended()

    @gen_test
    async def test_neither_do_lines_and_refused_logins(self):
        ada, peer, timers = await self.stranger()
        before = timers.pending_for(60)
        for _ in range(5):
            peer.send(self.naming("ada"))
            await self.refused(peer, str(NameTaken()))
        assert timers.pending_for(60) == before
        before[-1].expire()
        await self.refused(peer, "No name was given in time; connect again.")
        await peer.ended()

    @gen_test
    async def test_a_connection_that_ends_leaves_no_timer_behind(self):
        _, peer, timers = await self.stranger()
        assert timers.pending
        ending = [connection.task for connection in self.doors[0].connections]
        for each in self.peers:
            each.close()
        await asyncio.wait(ending)
        assert not timers.pending

    @gen_test
    async def test_somebody_who_has_logged_in_has_time_without_limit(self):
        ada, peer, timers = await self.stranger()
        peer.send(self.naming("Hugo"))
        await self.server_has_read(ada, "ada")
        for timer in timers.pending_for(60):
            timer.expire()
        peer.send(self.saying("still here"))
        await self.hear(ada, "Hugo", "still here")

    @gen_test
    async def test_a_stranger_has_as_many_tries_as_the_door_allows(self):
        ada, peer, _ = await self.stranger(login_tries=3)
        peer.send(self.naming("ada") * 5 + self.naming("Hugo"))
        told = await peer.ended()
        assert told.count(str(NameTaken())) == 3
        assert told.endswith(self.refusal.format(sentence="There were too many refused logins.") + "\n")
        await self.server_has_read(ada, "ada")
        assert len(self.hub.sessions) == 1

    @gen_test
    async def test_somebody_who_is_still_sending_receives_the_last_words_and_no_reset(self):
        _, peer, _ = await self.stranger(login_tries=1)
        peer.send(self.naming("ada") + self.saying("x" * 1000) * 1000)
        assert (await peer.ended()).endswith(self.refusal.format(sentence="There were too many refused logins.") + "\n")
        assert not peer.was_reset

    @gen_test
    async def test_a_peer_that_keeps_its_side_open_is_closed_after_a_while(self):
        _, peer, timers = await self.stranger(login_tries=1)
        before = set(self.doors[0].connections)
        peer.send(self.naming("ada"))
        await peer.ended()
        assert self.doors[0].connections == before  # only the server's own side is closed
        [overdue] = timers.pending_for(7)
        tasks = [connection.task for connection in before]
        overdue.expire()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len(self.doors[0].connections) == 1

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
        self.use_hub(message_rate=5)
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        hugo.send("".join(self.saying(f"text {number}") for number in range(40)))
        await self.refused(hugo, str(SlowDown()))
        await self.hear(ada, "Hugo", "text 0")
        assert len(self.hub.sessions) == 2

    @gen_test
    async def test_a_name_that_is_changed_too_often_stays_and_the_refusal_says_so(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        for number in range(9):
            hugo.send(self.renaming(f"Hugo {number}"))
        hugo.send(self.renaming("Hans"))
        await self.refused(hugo, "Too many logins and changes of name at once; wait a moment.")
        hugo.send(self.saying("still me"))
        assert "Hans" not in await self.hear(ada, "Hugo 8", "still me")

    @gen_test
    async def test_one_segment_full_of_messages_lets_others_have_their_turn_after_16(self):
        port = self.open_it()
        hugo = await self.enter(port, "Hugo")
        counter = TurnCounter()
        session = self.hub.open(encode=as_it_is, outlet=counter, address="127.0.0.1")
        await self.hub.handle(session, Login("counter"))
        counting = asyncio.ensure_future(counter.count_turns())
        hugo.send(self.saying("x") * 1000)
        await self.server_has_read(hugo, "Hugo")
        counting.cancel()
        self.hub.close(session)
        assert sum(counter.messages.values()) == 1000
        assert max(counter.messages.values()) <= 16

    @gen_test
    async def test_somebody_whose_bytes_are_always_there_lets_others_have_their_turn(self):
        port = self.open_it()
        hugo = await self.enter(port, "Hugo")
        [connection] = self.doors[0].connections
        ada = await self.enter(port, "ada")
        reads, most = 0, 20_000

        def read_bytes(*_, **__):
            nonlocal reads
            reads += 1
            future = asyncio.get_running_loop().create_future()
            if reads < most:
                future.set_result(self.unfinished[:1].encode())
            else:
                future.set_exception(StreamClosedError())
            return future

        connection.stream.read_bytes = read_bytes
        hugo.send(self.unfinished)
        ada.send(self.saying("may I?"))
        ada.send(self.saying("thank you"))
        await self.hear(hugo, "ada", "thank you")
        assert reads < most
        most = 0

    @gen_test
    async def test_a_bug_is_logged_and_ends_one_connection_only(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        handle = self.hub.handle

        async def handle_with_a_bug(session, command):
            if command.text == "bug":
                raise ZeroDivisionError
            return await handle(session, command)

        self.hub.handle = handle_with_a_bug
        with ExpectLog("webchat.gateways.tcp", "A connection is dropped after an error"):
            hugo.send(self.saying("bug"))
            await hugo.ended()
        await self.server_has_read(ada, "ada")

    @gen_test
    async def test_a_connection_over_the_capacity_is_told_so(self):
        self.use_hub(capacity=1)
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
        present = {session.outlet for session in self.hub.sessions if session.username in ("ada", "Hugo")}
        if ending := [connection.task for connection in self.doors[0].connections - present]:
            await asyncio.wait(ending)
        gc.collect()
        assert len(self.doors[0].connections) == 2
        assert len(asyncio.all_tasks()) == tasks + 1  # Hugo's
        assert len(self.hub.people) == 2


class SlowReaders(Reading):
    """A peer that stops reading is closed, and nobody else."""

    limit = 64 * 1024

    async def flood(self, text, sender, reader, until):
        """Say something until something happens; the reader reads it each time."""
        for number in count():
            if until():
                return
            sender.send(self.saying(f"{text} {number}"))
            await reader.until(f": {text} {number}\n")

    @gen_test
    async def test_a_peer_is_closed_when_too_many_bytes_wait_for_it(self):
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        stalled = await self.enter(port, "stalled")
        stalled.stop_reading()
        await self.flood("x" * 4000, hugo, ada, lambda: len(self.hub.people) == 2)
        await ada.until(self.left.format(name="stalled"))
        hugo.send(self.saying("still here"))
        await self.hear(ada, "Hugo", "still here")

    @gen_test
    async def test_a_peer_is_closed_when_it_takes_nothing_for_too_long(self):
        timers = Timers()
        self.outbox = Outbox(limit=1 << 30, patience=10, call_later=timers.call_later)
        port = self.open_it()
        ada, hugo = await self.enter(port, "ada"), await self.enter(port, "Hugo")
        stalled = await self.enter(port, "stalled")
        stalled.stop_reading()
        await self.flood("x" * 4000, hugo, ada, lambda: timers.pending_for(10))
        [overdue] = timers.pending_for(10)
        overdue.expire()
        await ada.until(self.left.format(name="stalled"))
        hugo.send(self.saying("still here"))
        await self.hear(ada, "Hugo", "still here")


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
