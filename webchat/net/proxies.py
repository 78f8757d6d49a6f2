"""The client's address of a request that came through proxies which the operator trusts."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network

from tornado.httputil import HTTPServerRequest

from webchat.net.addresses import IPAddress, parse

FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
"""Headers that proxies add, and that a direct client has no reason to send."""


class Proxies:
    """The networks of the proxies whose `X-Forwarded-For` is trusted.

    Each proxy appends the address of its peer, and a client can send any addresses in front of those. So the header is
    read from its end, as long as the address that appended an entry is a trusted proxy. Tornado's own `xheaders` must
    stay off: it trusts every peer.
    """

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network] = ()):
        self._trusted = tuple(trusted)

    def client(self, request: HTTPServerRequest) -> str:
        """The IP address of the client that made a request."""
        return self.behind(request.remote_ip or "", request.headers.get_list("X-Forwarded-For"))

    def of_environ(self, environ: Mapping[str, str]) -> str:
        """The same of a request as PEP 3333 describes it."""
        return self.behind(environ["REMOTE_ADDR"], [environ.get("HTTP_X_FORWARDED_FOR", "")])

    def behind(self, peer: str, forwarded: Sequence[str]) -> str:
        """The IP address of the client, from the peer's address and the values of `X-Forwarded-For`.

        It is the peer's own unless the peer is a trusted proxy. An entry that is not an address ends the search at the
        proxy that appended it.
        """
        if not self._trusted:
            return peer
        hops = [hop.strip() for header in forwarded for hop in header.split(",")]
        while hops and self.trusts(peer):
            hop = parse(hops.pop())
            if hop is None:
                break
            peer = str(hop)
        return peer

    def trusts(self, peer: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        if not self._trusted:
            return False
        address = parse(peer)
        return address is not None and self.include(address)

    def include(self, address: IPAddress) -> bool:
        """Whether a trusted proxy has this address."""
        return any(address in network for network in self._trusted)

    def is_local(self, request: HTTPServerRequest) -> bool:
        """Whether the client of a request is on this machine.

        A request that an unknown proxy forwarded is never local: if such a proxy runs on this machine, the requests of
        all its clients arrive from a local address.
        """
        if any(name in request.headers for name in FORWARDING):
            last = ",".join(request.headers.get_list("X-Forwarded-For")).rpartition(",")[2]
            if not self.trusts(request.remote_ip or "") or parse(last.strip()) is None:
                return False
        address = parse(self.client(request))
        return address is not None and address.is_loopback
