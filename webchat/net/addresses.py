"""IP addresses, and how many connections come from each."""

import logging
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

log = logging.getLogger(__name__)

IPAddress = IPv4Address | IPv6Address

TOO_MANY = "Too many connections from your address."
"""What those are told who get no place."""


def parse(text: str) -> IPAddress | None:
    """The address, an IPv4-mapped one as IPv4 (RFC 4291 section 2.5.5.2); None if the text is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(address: IPAddress) -> bool:
    """Whether only this machine has the address."""
    return address.is_loopback


def key(address: IPAddress) -> bytes:
    """What counts as one address: of IPv6 the /64, which is what one subscriber gets.

    Link-local addresses share their /64 with everybody on the cable, so those count one by one.
    """
    whole = isinstance(address, IPv4Address) or address.is_link_local
    return address.packed if whole else address.packed[:8]


class Place:
    """One connection among those of its address; `AddressLimit.take` hands it out."""

    __slots__ = ("_key", "_limit", "_released")

    def __init__(self, limit: "AddressLimit", key: bytes | None):
        self._limit = limit
        self._key = key  # None: not counted
        self._released = False

    def move(self, address: str) -> bool:
        """Count the connection under another address; after its release, under none.

        Returns False, and counts it nowhere, if that address has too many.
        """
        key = None if self._released else self._limit.counted(address)
        if key == self._key:
            return True
        self._uncount()
        if key is not None and not self._limit.add(key):
            return False
        self._key = key
        return True

    def release(self) -> None:
        """The connection is over. Releasing it again does nothing."""
        self._released = True
        self._uncount()

    def _uncount(self) -> None:
        if self._key is not None:
            self._limit.remove(self._key)
            self._key = None


class AddressLimit:
    """Counts the connections of each address, and says when there are too many.

    `most` connections are allowed at the same time; 0 means any number. Addresses for which `exempt` is true are not
    counted, nor are those of sockets that have none.
    """

    def __init__(self, most: int = 0, exempt: Callable[[IPAddress], bool] = is_loopback):
        self._most = most
        self._exempt = exempt
        self._counts: Counter[bytes] = Counter()
        self._reported: set[bytes] = set()

    def __len__(self) -> int:
        """The connections that are counted now."""
        return self._counts.total()

    def take(self, address: str) -> Place | None:
        """A place for one more connection of this address; None if it has too many."""
        counted = self.counted(address)
        if counted is not None and not self.add(counted):
            return None
        return Place(self, counted)

    def counted(self, address: str) -> bytes | None:
        """The key under which an address is counted; None if it is not."""
        if not self._most or (parsed := parse(address)) is None or self._exempt(parsed):
            return None
        return key(parsed)

    def add(self, key: bytes) -> bool:
        """Count one more; False if there are too many. For `Place`."""
        if self._counts[key] >= self._most:
            self._report(key)
            return False
        self._counts[key] += 1
        return True

    def remove(self, key: bytes) -> None:
        """Count one less. For `Place`."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]
            self._reported.discard(key)

    def _report(self, key: bytes) -> None:
        """Once until all connections of the address are over: nobody may fill the log."""
        if key not in self._reported:
            self._reported.add(key)
            network = f"{ip_address(key.ljust(16, bytes(1)))}/64" if len(key) == 8 else ip_address(key)
            log.warning("More than %d connections from %s: the others are refused.", self._most, network)
