"""Streams of peers that may end their input and still receive what they are owed, as `nc -N` does.

Tornado closes a stream when its input ends. These stay open for writing; the end of the input is an empty read.
"""

from tornado.ioloop import IOLoop
from tornado.iostream import BaseIOStream

from webchat.net.accept import CountedStream, CountedTLSStream


class _HalfOpen(BaseIOStream):
    """`read_bytes` returns b"" once the input has ended, with `partial`, as often as it is called.

    A reset closes the stream, as in Tornado. What is overridden is Tornado's own (a test pins it).
    """

    input_ended = False

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read into a buffer; None at the end of the input, too, whose 0 would make the stream close."""
        size = super().read_from_fd(buf)
        if size != 0:
            return size
        self.input_ended = True
        if self.reading() and not self._read_buffer_size:
            self._read_from_buffer(0)
        return None

    # What has ended stays readable, and would wake the event loop again and again.

    def _handle_events(self, fd: object, events: int) -> None:
        super()._handle_events(fd, events)  # type: ignore[arg-type]  # Tornado's types have no public name for it
        if self.input_ended and not self.closed() and self._state is not None and self._state & IOLoop.READ:
            self._state &= ~IOLoop.READ
            self.io_loop.update_handler(self.fileno(), self._state)

    def _add_io_state(self, state: int) -> None:
        super()._add_io_state(state & ~IOLoop.READ if self.input_ended else state)


class HalfOpenStream(_HalfOpen, CountedStream):
    """A connection without TLS."""


class HalfOpenTLSStream(_HalfOpen, CountedTLSStream):
    """A connection with TLS."""
