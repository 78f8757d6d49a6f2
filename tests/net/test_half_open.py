"""A stream whose input has ended: it stays open for writing, and costs nothing while it does."""

import asyncio
import socket
from contextlib import contextmanager

from tornado.iostream import StreamClosedError
from tornado.testing import AsyncTestCase, gen_test

from webchat.net.addresses import AddressLimit
from webchat.net.half_open import HalfOpenStream

BIG = bytes(16 << 20)
"""More than the buffers of two sockets."""


class CountingStream(HalfOpenStream):
    """Counts how often it looks for input."""

    looks = 0

    def read_from_fd(self, buf):
        self.looks += 1
        return super().read_from_fd(buf)


class Test(AsyncTestCase):
    @contextmanager
    def pair(self):
        ours, peer = socket.socketpair()
        stream = CountingStream(ours)
        stream.place = AddressLimit().take("127.0.0.1")
        peer.setblocking(False)
        with peer:
            yield stream, peer
        stream.close()

    def read(self, stream):
        return asyncio.ensure_future(stream.read_bytes(100, partial=True))

    @gen_test
    async def test_the_end_of_the_input_is_an_empty_read_however_often(self):
        for waits_already in (False, True):
            with self.pair() as (stream, peer):
                reading = self.read(stream)
                peer.send(b"last words")
                if waits_already:
                    assert await reading == b"last words"
                    reading = self.read(stream)
                    await asyncio.sleep(0)
                    peer.shutdown(socket.SHUT_WR)
                else:
                    peer.shutdown(socket.SHUT_WR)
                    assert await reading == b"last words"
                    reading = self.read(stream)
                assert await reading == b""
                assert await self.read(stream) == b""

    @gen_test
    async def test_it_is_open_for_writing_after_that(self):
        with self.pair() as (stream, peer):
            peer.shutdown(socket.SHUT_WR)
            assert await self.read(stream) == b""
            await stream.write(b"an answer")
            assert peer.recv(100) == b"an answer"
            assert not stream.closed()

    @gen_test
    async def test_what_a_slow_peer_reads_late_arrives_whole_and_the_event_loop_rests_meanwhile(self):
        with self.pair() as (stream, peer):
            peer.shutdown(socket.SHUT_WR)
            assert await self.read(stream) == b""
            writing = asyncio.ensure_future(stream.write(BIG))
            before = stream.looks
            for _ in range(100):
                await asyncio.sleep(0)
            assert (stream.looks, writing.done()) == (before, False)
            heard = 0
            while heard < len(BIG):
                heard += len(await asyncio.get_running_loop().sock_recv(peer, 1 << 20))
            await writing
            before = stream.looks
            for _ in range(100):
                await asyncio.sleep(0)
            assert stream.looks - before <= 1

    @gen_test
    async def test_what_waits_to_be_written_when_the_input_ends_is_written(self):
        with self.pair() as (stream, peer):
            reading, writing = self.read(stream), asyncio.ensure_future(stream.write(BIG))
            peer.shutdown(socket.SHUT_WR)
            assert await reading == b""
            heard = 0
            while heard < len(BIG):
                heard += len(await asyncio.get_running_loop().sock_recv(peer, 1 << 20))
            await writing

    @gen_test
    async def test_a_read_of_a_closed_stream_is_an_error_as_usual(self):
        with self.pair() as (stream, _):
            reading = self.read(stream)
            stream.close()
            with self.assertRaises(StreamClosedError):
                await reading
