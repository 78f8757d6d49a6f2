"""TLS for the window: Python's, because Qt's own needs an OpenSSL that many systems do not have any more."""

import ssl


class TLSSession:
    """The client's half of a TLS connection, without a socket.

    What arrives goes to `receive`. After each call, what `outgoing` returns has to be sent to the server.
    """

    def __init__(self, context: ssl.SSLContext, host: str):
        self.established = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.receive(b"")  # begins the handshake

    def receive(self, data: bytes) -> bytes:
        """Take what has arrived; return what was said in it. Raises OSError if the server is not to be trusted."""
        self._incoming.write(data)
        said = bytearray()
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while piece := self._tls.read(65536):
                said += piece
        except ssl.SSLWantReadError:
            pass  # more has to arrive
        except ssl.SSLZeroReturnError:
            pass  # the server says that nothing more follows, and closes the connection
        return bytes(said)

    def send(self, data: bytes) -> None:
        """Say something, once the session is established."""
        self._tls.write(data)

    def outgoing(self) -> bytes:
        """Return what has to be sent."""
        return self._outgoing.read()
