"""Whose address a request comes from, when it came through proxies that the operator trusts."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from tornado.httputil import HTTPServerRequest

IPAddress = IPv4Address | IPv6Address

FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
"""Headers by which a proxy gives itself away."""


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed.

    Every hop appends the address that it was called from, and a client can send any beginning it likes: the header is
    read from its end, for as long as the speaker is trusted. Keep Tornado's own `xheaders` off, which believes anybody.
    """

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network] = ()):
        self._trusted = tuple(trusted)

    def client(self, request: HTTPServerRequest) -> str:
        """The IP address of the client that the request began at."""
        return self.behind(request.remote_ip or "", request.headers.get_list("X-Forwarded-For"))

    def behind(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address that the nearest trusted proxies vouch for; the peer's own where it is no trusted one."""
        hops = [hop.strip() for header in forwarded for hop in header.split(",")]
        while hops and self.trusts(peer):
            hop = _address(hops.pop())
            if hop is None:
                break
            peer = str(hop)
        return peer

    def trusts(self, peer: str) -> bool:
        """Whether the machine at this address is one of our proxies."""
        address = _address(peer)
        return address is not None and any(address in network for network in self._trusted)

    def is_local(self, request: HTTPServerRequest) -> bool:
        """Whether the request began on this machine.

        A proxy here that nobody told us of makes everybody's requests look local: what it forwards is not.
        """
        forwarded = any(name in request.headers for name in FORWARDING)
        if forwarded and not self.trusts(request.remote_ip or ""):
            return False
        address = _address(self.client(request))
        return address is not None and address.is_loopback


def _address(text: str) -> IPAddress | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
