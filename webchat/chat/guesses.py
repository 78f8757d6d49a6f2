"""Wrong passwords, and how long those who gave them have to wait."""

import secrets
from collections.abc import Container
from hashlib import blake2b

from webchat.chat.limits import GrowingPauses, SlidingWindow


class Guesses:
    """The wrong passwords of the last minutes; `network` is that of `webchat.chat.addresses`.

    - A network that gave 20 in a minute, for whatever names, waits until they are a minute old.
    - A name that five were given for, from wherever, cannot be tried for 1 s, then 2 s, 4 s … at most for a minute.
      That slows a guess by many addresses down, and locks nobody out.
    - Neither holds for an account in the network where its password was last right: there its owner gets in, whatever
      others do. The guesses that people in the same network can make are limited to one a second after 60.

    Names are given as keys (`webchat.chat.names`), and treated alike whether they have an account or not. What is kept
    of them is a digest with a secret of this process, because people type their passwords where the name belongs.
    """

    def __init__(self) -> None:
        self._by_network = SlidingWindow(limit=20, seconds=60.0)
        self._by_name = GrowingPauses(free=5, longest=60.0)
        self._at_home = GrowingPauses(free=60, longest=1.0)
        self._homes: dict[str, str] = {}
        self._secret = secrets.token_bytes(16)

    def wait(self, key: str, network: str, now: float) -> float:
        """Return the seconds until this network may try another password for this name; 0 if it may now."""
        if self._homes.get(key) == network:
            return self._at_home.wait(self._digest(key), now)
        return max(self._by_network.wait(network, now), self._by_name.wait(self._digest(key), now))

    def wrong(self, key: str, network: str, now: float) -> None:
        """Count a wrong password."""
        self._by_network.add(network, now)
        (self._at_home if self._homes.get(key) == network else self._by_name).add(self._digest(key), now)

    def right(self, key: str, network: str) -> None:
        """Note where an account's owner is."""
        self._homes[key] = network

    def _digest(self, key: str) -> bytes:
        return blake2b(key.encode("utf-8", "surrogatepass"), key=self._secret, digest_size=16).digest()

    def forget_all_but(self, accounts: Container[str]) -> None:
        """Forget where the owners of other accounts are: those accounts exist no more."""
        self._homes = {key: network for key, network in self._homes.items() if key in accounts}
