"""The way out of the server: what a send queue promises to everybody who sends, and to the one who reads."""

import asyncio
import contextlib
import socket
import ssl
import unittest
from pathlib import Path

import tornado
from tornado.iostream import IOStream, SSLIOStream, StreamClosedError
from tornado.testing import AsyncTestCase, bind_unused_port, gen_test

from tests.uv import OnUvloop
from webchat.net.frames import text_frame
from webchat.net.outbox import Outbox, SendQueue, unwritten, written

MEGABYTE = 1 << 20


class Clock:
    """A `call_later` whose time passes when the test says so."""

    def __init__(self):
        self.timers = {}

    def call_later(self, seconds, callback):
        timer = Timer(self)
        self.timers[timer] = callback
        return timer

    def expire(self):
        """Let every running timer run out."""
        timers, self.timers = self.timers, {}
        for callback in timers.values():
            callback()


class Timer:
    def __init__(self, clock):
        self.clock = clock

    def cancel(self):
        self.clock.timers.pop(self, None)


class CountingSocket(socket.socket):
    """Counts the system calls that send."""

    sends = 0

    def send(self, data):
        self.sends += 1
        return super().send(data)


def counting(plain):
    return CountingSocket(plain.family, plain.type, plain.proto, plain.detach())


class QueueTest(AsyncTestCase):
    """One queue to one peer over a socket pair."""

    limit = MEGABYTE

    def setUp(self):
        super().setUp()
        ours, self.peer = socket.socketpair()
        for end in (ours, self.peer):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.peer.setblocking(False)
        self.socket = counting(ours)
        self.clock = Clock()
        self.overflows = []
        self.outbox = Outbox(limit=self.limit, call_later=self.clock.call_later)
        self.stream = IOStream(self.socket)
        self.queue = SendQueue(self.outbox, self.stream, self.overflows.append)

    def tearDown(self):
        self.stream.close()
        self.peer.close()
        super().tearDown()

    async def read(self, size):
        loop, data = asyncio.get_running_loop(), b""
        while len(data) < size:
            chunk = await asyncio.wait_for(loop.sock_recv(self.peer, 1 << 20), 5)
            if not chunk:
                break
            data += chunk
        return data

    async def turn(self):
        """Let this turn of the event loop end, with what it has set going."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def block(self, size=64):
        """Send numbered chunks until the socket takes no more; returns all that was sent."""
        sent = []
        while not self.queue.pending:
            sent.append(b"%08d" % len(sent) + b"." * (size - 8))
            self.queue.send(sent[-1])
            self.outbox.flush()
        await self.turn()
        return sent


class SendingTest(QueueTest):
    @gen_test
    async def test_many_sends_in_one_turn_are_one_system_call(self):
        for i in range(20):
            self.queue.send(b"%d," % i)
        self.assertEqual(self.socket.sends, 0)
        self.assertEqual(await self.read(50), b"".join(b"%d," % i for i in range(20)))
        self.assertEqual(self.socket.sends, 1)

    @gen_test
    async def test_each_turn_writes_again(self):
        for word in (b"one", b"two"):
            self.queue.send(word)
            self.assertEqual(await self.read(3), word)
        self.assertEqual(self.socket.sends, 2)

    @gen_test
    async def test_pending_counts_what_the_socket_has_not_taken(self):
        self.queue.send(b"12345")
        self.assertEqual(self.queue.pending, 5)
        await self.turn()
        self.assertEqual(self.queue.pending, 0)

    @gen_test
    async def test_no_timer_runs_for_a_connection_that_is_not_blocked(self):
        self.queue.send(b"word")
        await self.turn()
        self.assertFalse(self.clock.timers)

    @gen_test
    async def test_flush_writes_before_the_turn_ends(self):
        self.queue.send(b"word")
        self.queue.flush()
        self.assertEqual(self.peer.recv(100), b"word")
        await self.turn()
        self.assertEqual(self.socket.sends, 1)

    @gen_test
    async def test_what_was_sent_before_a_flush_precedes_what_others_write_to_the_stream(self):
        self.queue.send(b"ours ")
        self.queue.flush()
        self.stream.write(b"theirs")
        self.assertEqual(await self.read(11), b"ours theirs")

    @gen_test
    async def test_a_bug_in_one_queue_does_not_keep_the_others_from_writing(self):
        broken_socket, broken_peer = socket.socketpair()
        self.addCleanup(broken_peer.close)
        broken = SendQueue(self.outbox, IOStream(broken_socket), self.overflows.append)
        broken.send("not bytes")
        self.queue.send(b"word")
        with self.assertLogs("webchat.net.outbox", "ERROR"):
            self.assertEqual(await self.read(4), b"word")
        self.assertTrue(broken.stream.closed())


class BlockedTest(QueueTest):
    @gen_test
    async def test_a_reader_that_resumes_just_below_the_limit_loses_nothing(self):
        sent = await self.block()
        while self.queue.pending + 1000 < self.limit:
            sent.append(b"%08d" % len(sent) + b"." * 992)
            self.queue.send(sent[-1])
            if not len(sent) % 10:
                self.outbox.flush()
        await self.turn()
        expected = b"".join(sent)
        self.assertEqual(await self.read(len(expected)), expected)
        await self.turn()
        self.assertEqual((self.queue.pending, self.overflows, self.clock.timers), (0, [], {}))

    @gen_test
    async def test_a_blocked_queue_goes_back_to_the_bare_socket_when_drained(self):
        sent = await self.block()
        await self.read(sum(map(len, sent)))
        await self.turn()
        before = self.socket.sends
        self.queue.send(b"word")
        self.assertEqual(await self.read(4), b"word")
        self.assertEqual(self.socket.sends, before + 1)

    @gen_test
    async def test_a_last_word_written_to_the_stream_never_lands_inside_a_chunk(self):
        sent = [b"<" + b"." * 5000 + b">" for _ in range(60)]
        for chunk in sent:
            self.queue.send(chunk)
        await self.turn()
        self.assertTrue(self.stream.writing())
        self.stream.write(b"LAST")
        data = await self.read(sum(map(len, sent)) + 4)
        before, after = data.split(b"LAST")
        self.assertTrue(before.endswith(b">"), data[len(before) - 9 : len(before) + 9])
        self.assertEqual(before + after, b"".join(sent))

    @gen_test
    async def test_flush_of_a_blocked_queue_hands_all_to_the_stream_in_order(self):
        sent = await self.block()
        sent.append(b"z" * 300_000)
        self.queue.send(sent[-1])
        self.queue.flush()
        self.stream.write(b"close")
        expected = b"".join(sent) + b"close"
        self.assertEqual(await self.read(len(expected)), expected)

    @gen_test
    async def test_what_follows_a_flush_waits_behind_what_the_stream_still_has(self):
        sent = await self.block()
        sent.append(b"z" * 600_000)
        self.queue.send(sent[-1])
        self.queue.flush()
        read = await self.read(300_000)  # what the stream had before the flush is gone, much of the rest is not
        await self.turn()
        with contextlib.suppress(BlockingIOError):
            while True:
                read += self.peer.recv(1 << 20)
        # There is room in the socket again, and the stream has not noticed yet.
        sent.append(b"after")
        self.queue.send(sent[-1])
        self.outbox.flush()
        expected = b"".join(sent)
        self.assertEqual(read + await self.read(len(expected) - len(read)), expected)

    @gen_test
    async def test_drain_waits_for_the_reader(self):
        await self.block()
        drained = asyncio.gather(self.queue.drain(), self.queue.drain())
        await self.turn()
        self.assertFalse(drained.done())
        while self.queue.pending:
            self.assertFalse(drained.done())
            await self.read(1)
        await drained
        self.assertEqual(self.queue.pending, 0)

    @gen_test
    async def test_drain_ends_when_the_queue_is_closed(self):
        await self.block()
        drained = asyncio.ensure_future(self.queue.drain())
        await self.turn()
        self.queue.close()
        await asyncio.wait_for(drained, 5)


    @gen_test
    async def test_a_blocked_queue_gives_its_stream_no_more_than_64_kib_at_once(self):
        await self.block()
        for _ in range(30):
            self.queue.send(b"x" * 10_000)
            await self.turn()
        while self.queue.pending > 64 * 1024:
            self.assertLessEqual(unwritten(self.stream), 64 * 1024)
            await self.read(1)
            await self.turn()


class OverflowTest(QueueTest):
    @gen_test
    async def test_an_overflow_is_told_after_the_turn_not_in_the_middle_of_its_writes(self):
        await self.block()
        self.queue.send(b"x" * (self.limit + 1))
        self.outbox.flush()
        self.assertEqual(self.overflows, [])
        await self.turn()
        self.assertEqual(len(self.overflows), 1)

    @gen_test
    async def test_more_than_the_limit_overflows_once(self):
        await self.block()
        for _ in range(30):
            self.queue.send(b"x" * 50_000)
            await self.turn()
        self.assertEqual(self.overflows, [f"more than {self.limit} bytes are waiting to be read"])

    @gen_test
    async def test_nothing_is_kept_or_written_after_an_overflow(self):
        sent = await self.block()
        self.queue.send(b"x" * (self.limit + 1))
        await self.turn()
        self.queue.send(b"late")
        self.stream.write(b"the last word")
        data = await self.read(sum(map(len, sent)) + 13)
        self.assertEqual(data, b"".join(sent) + b"the last word")

    @gen_test
    async def test_a_stalled_reader_overflows_after_the_patience(self):
        await self.block()
        self.clock.expire()
        await self.turn()
        self.assertEqual(self.overflows, ["nothing was read for 10 seconds"])

    @gen_test
    async def test_a_reader_that_takes_part_of_one_large_chunk_is_not_stalled(self):
        self.queue.send(b"x" * 900_000)
        await self.turn()
        await self.read(200_000)
        self.clock.expire()
        await self.turn()
        self.assertEqual(self.overflows, [])
        self.clock.expire()
        await self.turn()
        self.assertEqual(len(self.overflows), 1)

    @gen_test
    async def test_the_overflow_of_one_may_send_to_others(self):
        other_socket, other_peer = socket.socketpair()
        self.addCleanup(other_peer.close)
        other = SendQueue(self.outbox, IOStream(other_socket), self.overflows.append)
        self.addCleanup(other.stream.close)
        self.queue = SendQueue(self.outbox, self.stream, lambda reason: other.send(b"left"))
        await self.block()
        self.queue.send(b"x" * (self.limit + 1))
        self.peer, mine = other_peer, self.peer
        self.addCleanup(mine.close)
        self.peer.setblocking(False)
        self.assertEqual(await self.read(4), b"left")


class ManyStalledTest(AsyncTestCase):
    @gen_test
    async def test_a_gibibyte_for_a_hundred_stalled_readers_is_not_kept(self):
        overflows, outbox = [], Outbox()
        queues, peers = [], []
        for _ in range(100):
            ours, peer = socket.socketpair()
            queues.append(SendQueue(outbox, IOStream(ours), overflows.append))
            peers.append(peer)
        most = 0
        for _ in range(160):
            for queue in queues:
                queue.send(b"x" * 65_536)
            outbox.flush()
            most = max(most, *(queue.pending for queue in queues))
        await asyncio.sleep(0)
        for queue, peer in zip(queues, peers, strict=True):
            queue.stream.close()
            peer.close()
        self.assertLessEqual(most, MEGABYTE)
        self.assertEqual(len(overflows), 100)


class ClosedTest(QueueTest):
    @gen_test
    async def test_a_reset_closes_the_stream_and_nothing_is_raised(self):
        self.peer.close()
        self.queue.send(b"word")
        await self.turn()
        self.assertTrue(self.stream.closed())
        self.queue.send(b"word")
        await self.turn()
        self.assertEqual(self.overflows, [])

    @gen_test
    async def test_a_peer_that_vanishes_while_blocked_leaves_no_timer(self):
        await self.block()
        self.peer.close()
        for _ in range(10):
            await asyncio.sleep(0)
            self.queue.send(b"more")
        self.assertEqual((self.queue.pending, self.clock.timers, self.overflows), (0, {}, []))

    @gen_test
    async def test_sending_on_a_closed_stream_is_dropped(self):
        self.stream.close()
        self.queue.send(b"word")
        self.queue.flush()
        self.assertEqual(self.queue.pending, 0)

    @gen_test
    async def test_after_close_nothing_more_is_written(self):
        self.queue.send(b"word")
        self.queue.close()
        self.queue.send(b"word")
        await self.turn()
        self.assertEqual(self.socket.sends, 0)


class UvloopSendingTest(OnUvloop, SendingTest):
    pass


class UvloopBlockedTest(OnUvloop, BlockedTest):
    pass


class UvloopClosedTest(OnUvloop, ClosedTest):
    pass


class TlsTest(AsyncTestCase):
    """With TLS the same promises hold through Tornado's own stream."""

    def setUp(self):
        super().setUp()
        listener, port = bind_unused_port()
        self.peer = socket.create_connection(("127.0.0.1", port))
        self.peer.setblocking(False)
        ours, _ = listener.accept()
        listener.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = Path(tornado.__file__).parent / "test" / "test.crt"
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        ours = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
        self.stream = SSLIOStream(ours)
        self.clock = Clock()
        self.overflows = []
        self.queue = SendQueue(Outbox(call_later=self.clock.call_later), self.stream, self.overflows.append)

    def tearDown(self):
        self.stream.close()
        super().tearDown()

    async def connect(self):
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        peer = SSLIOStream(client.wrap_socket(self.peer, do_handshake_on_connect=False))
        self.addCleanup(peer.close)
        await asyncio.gather(self.stream.wait_for_handshake(), peer.wait_for_handshake())
        return peer

    @gen_test
    async def test_chunks_arrive_whole_and_in_order(self):
        peer = await self.connect()
        sent = [b"%05d" % i * 100 for i in range(1000)]
        for chunk in sent:
            self.queue.send(chunk)
        data = b"".join(sent)
        self.assertEqual(await peer.read_bytes(len(data)), data)
        self.assertEqual((self.queue.pending, self.overflows), (0, []))

    @gen_test
    async def test_a_stalled_reader_overflows(self):
        await self.connect()
        while not self.clock.timers:
            self.queue.send(b"x" * 10_000)
            await asyncio.sleep(0)
        self.clock.expire()
        await asyncio.sleep(0)
        self.assertEqual(self.overflows, ["nothing was read for 10 seconds"])


class TornadoTest(unittest.TestCase):
    """What the queue relies on in Tornado without its having promised it."""

    def test_the_stream_counts_what_it_was_given_and_what_it_has_written(self):
        async def counts():
            ours, peer = socket.socketpair()
            stream = IOStream(ours)
            with peer:
                stream.write(b"12345")
                small = written(stream), unwritten(stream)
                stream.write(b"x" * (8 * MEGABYTE))
                large = written(stream) + unwritten(stream), unwritten(stream) > 0
                stream.close()
            return small, large

        self.assertEqual(asyncio.run(counts()), ((5, 0), (5 + 8 * MEGABYTE, True)))

    def test_a_closed_stream_refuses_to_write(self):
        async def write():
            ours, peer = socket.socketpair()
            stream = IOStream(ours)
            stream.close()
            peer.close()
            stream.write(b"word")

        self.assertRaises(StreamClosedError, asyncio.run, write())


class FrameTest(unittest.TestCase):
    def test_a_text_frame_is_final_and_unmasked(self):
        self.assertEqual(text_frame(b"42[]"), b"\x81\x0442[]")
