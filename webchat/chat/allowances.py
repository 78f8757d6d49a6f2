"""Allowances: what a connection may do in a time, and what all connections of an address may do together.

Their owners are the connection and its address, so neither another name nor another connection brings a new one.
"""

from collections.abc import Mapping
from typing import NamedTuple

from webchat.chat.addresses import network_of
from webchat.chat.limits import TokenBucket

MESSAGES, NAMES, ROOMS, TYPING = "messages", "names", "rooms", "typing"
"""What is allowed: to say something; to log in or change the name; to enter or leave a room; to send a typing hint."""

SENTENCES = {
    MESSAGES: "Too many messages at once; wait a moment.",
    NAMES: "Too many logins and changes of name at once; wait a moment.",
    ROOMS: "Too many rooms entered and left at once; wait a moment.",
}
"""What those are told who have spent all; typing hints are dropped instead."""


class Rate(NamedTuple):
    """Things a second in the long run, and at once."""

    per_second: float
    burst: float


Rates = Mapping[str, Rate]
"""The rate of each kind of thing; what is missing has no limit."""


def connection_rates(message_rate: float) -> Rates:
    """Return what one connection may do: more than any person's client does by itself."""
    return {MESSAGES: Rate(message_rate, 2 * message_rate), NAMES: Rate(1, 10), ROOMS: Rate(2, 60), TYPING: Rate(2, 5)}


def address_rates(message_rate: float) -> Rates:
    """Return what all connections of one address may do; without a rate for messages they may do all.

    A proxy that is not trusted is one address: the bursts let as many people as a server holds by default log in at
    once after a restart, and enter four rooms each.
    """
    if not message_rate:
        return {}
    return {MESSAGES: Rate(message_rate, 2 * message_rate), NAMES: Rate(200, 20_000),
            ROOMS: Rate(400, 80_000), TYPING: Rate(20, 50)}


class Allowances(dict[str, TokenBucket]):
    """The token buckets of one owner, by kind. Each is made when it is first needed: most owners need few.

    `connections` is the number of connections that share it.
    """

    __slots__ = ("_rates", "connections")

    def __init__(self, rates: Rates | None = None):
        super().__init__()
        self._rates = rates or {}
        self.connections = 0

    def __missing__(self, kind: str) -> TokenBucket:
        bucket = self[kind] = TokenBucket(*self._rates.get(kind, Rate(0, 0)))
        return bucket

    def are_full(self, now: float) -> bool:
        """Return whether they are as good as new ones."""
        return all(bucket.is_full(now) for bucket in self.values())


class AddressBook:
    """The allowances of every address that has connections, or has not yet got back all that it spent.

    The others are forgotten when the number of addresses reaches `tidy_at`, or has doubled since the last time. An
    address that spends much is remembered for the longer, so nobody can push out what stands of themselves or others.
    """

    def __init__(self, rates: Rates, tidy_at: int = 1000):
        self._rates = rates
        self._by_network: dict[str, Allowances] = {}
        self._least = self._tidy_at = tidy_at

    def enter(self, address: str, now: float) -> Allowances:
        """Return the allowances that a new connection from this address shares."""
        network = network_of(address)
        if network not in self._by_network:
            if len(self._by_network) >= self._tidy_at:
                self._tidy(now)
            self._by_network[network] = Allowances(self._rates)
        shared = self._by_network[network]
        shared.connections += 1
        return shared

    def leave(self, shared: Allowances) -> None:
        """Note that a connection has ended."""
        shared.connections -= 1

    def __len__(self) -> int:
        return len(self._by_network)

    def _tidy(self, now: float) -> None:
        self._by_network = {network: shared for network, shared in self._by_network.items()
                            if shared.connections or not shared.are_full(now)}
        self._tidy_at = max(self._least, 2 * len(self._by_network))
