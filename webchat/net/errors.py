"""The one error that every protocol of this package raises."""


class ProtocolViolation(Exception):
    """Bytes that break a protocol's rules: the connection is closed, with this reason.

    `status` is the WebSocket close code (RFC 6455 section 7.4.1) for the connections that have one.
    """

    def __init__(self, reason: str, status: int = 1002):
        super().__init__(reason)
        self.status = status
