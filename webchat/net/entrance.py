"""Who may come in, the same for every door."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from webchat.net.addresses import AddressLimit
from webchat.net.first_bytes import Times
from webchat.net.proxies import Proxies


@dataclass(frozen=True, slots=True)
class Entrance:
    """The limits of one address, and the proxies that may tell whose connection theirs is.

    `sessions` are those of clients that poll, which outlast the connections of their requests. `times` are those of the
    first bytes where these are looked at: of a trusted proxy, and where TLS is expected. `clock` is in seconds.
    """

    connections: AddressLimit = field(default_factory=AddressLimit)
    sessions: AddressLimit = field(default_factory=AddressLimit)
    proxies: Proxies = field(default_factory=Proxies)
    times: Times = field(default_factory=Times)
    clock: Callable[[], float] = time.monotonic
