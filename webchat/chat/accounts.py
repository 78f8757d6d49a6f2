"""Accounts: the names that need a password, and the check of that password."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from math import ceil
from pathlib import Path

from webchat.chat import accounts_file, names, passwords
from webchat.chat.accounts_file import Account, AccountsError
from webchat.chat.addresses import network_of
from webchat.chat.errors import BadCredentials, SlowDown
from webchat.chat.guesses import Guesses
from webchat.chat.names import Name

__all__ = ["Account", "Accounts", "AccountsError", "demo_accounts", "load"]

MAX_WAITING = 500
"""Logins whose password waits to be compared. Further ones are refused, because they would time out in the queue.

The networks that they come from have equal shares.
"""

RunComparison = Callable[[str, Callable[[str, str], bool], str, str], Awaitable[bool]]
"""`run(network, compare, hash, password)` calls `compare(hash, password)` outside the event loop; returns its result.

If there is a queue, the networks take turns.
"""


class Accounts:
    """A fixed set of accounts; to change it, make another one in its place.

    `run` compares passwords. `guesses` counts the wrong ones: pass those of the last set on, so that a reload does not
    reset them. `clock` returns seconds, from any origin.
    """

    def __init__(self, accounts: Iterable[Account], run: RunComparison, *, guesses: Guesses | None = None,
                 clock: Callable[[], float] = time.monotonic, max_waiting: int = MAX_WAITING):
        self._by_key = {account.name.key: account for account in accounts}
        self._run = run
        self._clock = clock
        self._max_waiting = max_waiting
        self._waiting: Counter[str] = Counter()  # by network
        self._dummy_hash = max((account.hash for account in self), key=passwords.cost, default=passwords.DUMMY_HASH)
        self.guesses = guesses or Guesses()
        self.guesses.forget_all_but(self._by_key)

    def find(self, key: str) -> Account | None:
        """Return the account that all names with this key belong to."""
        return self._by_key.get(key)

    async def verify(self, name: Name, password: str, address: str) -> Account:
        """Return the account of this name, if the password is right.

        A name without an account is refused with the same sentence as a wrong password, after the same work. Who has
        to wait after wrong passwords is refused without any (see Guesses). Raises BadCredentials, SlowDown.
        """
        if not password:
            raise BadCredentials("That name belongs to an account, and its password is missing.")
        network = network_of(address)
        self._check_pause(name.key, network)
        account = self.find(name.key)
        is_right = await self._compare(network, account.hash if account else self._dummy_hash, password)
        self._check_pause(name.key, network)  # again, because guesses made at the same time have been counted meanwhile
        if account is None or not is_right:
            self.guesses.wrong(name.key, network, self._clock())
            raise BadCredentials("The name and the password do not match.")
        self.guesses.right(name.key, network)
        return account

    def _check_pause(self, key: str, network: str) -> None:
        if seconds := ceil(self.guesses.wait(key, network, self._clock())):
            raise SlowDown(f"There were too many wrong passwords; try again in {seconds} "
                           f"{'second' if seconds == 1 else 'seconds'}.")

    async def _compare(self, network: str, hash: str, password: str) -> bool:
        share = self._max_waiting / len(self._waiting.keys() | {network})
        if self._waiting[network] >= max(share, 1):
            raise SlowDown("Too many people are logging in at the moment; try again soon.")
        self._waiting[network] += 1
        try:
            return await self._run(network, passwords.matches, hash, password)
        finally:
            self._waiting[network] -= 1
            if not self._waiting[network]:
                del self._waiting[network]

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_key.values())


def load(path: Path, run: RunComparison, *, guesses: Guesses | None = None) -> Accounts:
    """Return the accounts in a file (see `webchat.chat.accounts_file`). Raises AccountsError."""
    return Accounts(accounts_file.read(path), run, guesses=guesses)


DEMO_ACCOUNTS = {
    "admin": ((), "TVpVTBYOcHb+gMhpIoqObg$FM9GO/wSO9ZrxddvjaTfEljkscmE7yVQLkQBo3LsLOs"),
    "Alex": (("8 out of 10 cats", "Taskmaster"),
             "jQbmCxwXFYnhPlGlJpIbIQ$6sQ48X4/O/b0PFvs5XGHO8VzVoSoTs8FbcfFemDRuIs"),
    "Sue": (("8 out of 10 cats", "Quite Interesting", "Taskmaster"),
            "7lqzNxl9elunCNkapHoMEA$B29Cmm89Zqbp67e72bM8GiakwN37vJ6uJGujRjV3xn0"),
    "Sandy": (("Quite Interesting", "Taskmaster"),
              "gFy/yCLAaXlBypJ2i7bPpw$asawW8yWkeuS34bRVT5Iaw9YH7E8sBD1YmP+j6rBM4M"),
}
"""The passwords, `admin` and three times `password`, are public: their hashes may be cheap to compute."""


def demo_accounts(run: RunComparison, *, guesses: Guesses | None = None,
                  clock: Callable[[], float] = time.monotonic) -> Accounts:
    """Return accounts to try the chat with; the arguments are those of Accounts."""
    return Accounts((Account(names.parse(name), rooms, f"$argon2id$v=19$m=1024,t=1,p=1${hash}")
                     for name, (rooms, hash) in DEMO_ACCOUNTS.items()), run, guesses=guesses, clock=clock)
