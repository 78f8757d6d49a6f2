"""The names that take a password: who has one, and whether it is the right one."""

import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from webchat.chat import accounts_file, names, passwords
from webchat.chat.accounts_file import Account, AccountsError
from webchat.chat.errors import BadCredentials, SlowDown
from webchat.chat.limits import SlidingWindow
from webchat.chat.names import Name

__all__ = ["Account", "Accounts", "AccountsError", "demo_accounts", "load"]

MOST_WAITING = 500
"""Passwords that wait to be compared; more are turned away, because their turn would not come in time."""

Run = Callable[..., Awaitable[Any]]
"""`run(call, *args)` does slow work elsewhere, some of it at once, and gives its result."""


class Accounts:
    """All accounts there are; they never change, other accounts take their place.

    `failures` remembers wrong passwords: hand it on, so that new accounts do not wipe it. `clock` gives seconds, of any
    origin.
    """

    def __init__(self, accounts: Iterable[Account], run: Run, *, failures: SlidingWindow | None = None,
                 clock: Callable[[], float] = time.monotonic):
        self._by_key = {account.name.key: account for account in accounts}
        self._run = run
        self._clock = clock
        self._waiting = 0
        self._decoy = max((account.hash for account in self), key=passwords.work, default=passwords.DECOY)
        self.failures = _failures() if failures is None else failures

    def find(self, key: str) -> Account | None:
        """The account that owns all names with this key."""
        return self._by_key.get(key)

    def rooms(self) -> frozenset[str]:
        """All rooms that somebody is a member of."""
        return frozenset(room for account in self for room in account.rooms)

    async def verify(self, name: Name, password: str, address: str) -> Account:
        """The account of that name, if this is its password.

        A name without an account is refused like a wrong password, and as slowly. After 5 wrong ones for a name from
        an address within a minute nothing is taken, not even the right one, until the minute has passed. Raises
        BadCredentials, SlowDown.
        """
        if not password:
            raise BadCredentials("That name belongs to an account, and its password is missing.")
        who = name.key, address
        self._check_pace(who)
        account = self.find(name.key)
        right = await self._compare(account.hash if account else self._decoy, password)
        self._check_pace(who)  # again: guesses made at the same time are counted by now
        if account is None or not right:
            self.failures.add(who, self._clock())
            raise BadCredentials("That name and that password do not belong together.")
        return account

    def _check_pace(self, who: tuple[str, str]) -> None:
        if self.failures.is_full(who, self._clock()):
            raise SlowDown("There were too many wrong passwords for that name; wait a minute.")

    async def _compare(self, hash: str, password: str) -> bool:
        if self._waiting >= MOST_WAITING:
            raise SlowDown("Too many people are logging in at this moment; try again soon.")
        self._waiting += 1
        try:
            return await self._run(passwords.matches, hash, password)
        finally:
            self._waiting -= 1

    def __iter__(self):
        return iter(self._by_key.values())


def _failures() -> SlidingWindow:
    return SlidingWindow(limit=5, seconds=60.0)


def load(path: Path, run: Run, **options: Any) -> Accounts:
    """The accounts in a file (see `webchat.chat.accounts_file`); `options` as for Accounts. Raises AccountsError."""
    return Accounts(accounts_file.read(path), run, **options)


DEMO = {
    "admin": ((), "TVpVTBYOcHb+gMhpIoqObg$FM9GO/wSO9ZrxddvjaTfEljkscmE7yVQLkQBo3LsLOs"),
    "Alex": (("8 out of 10 cats", "Taskmaster"),
             "jQbmCxwXFYnhPlGlJpIbIQ$6sQ48X4/O/b0PFvs5XGHO8VzVoSoTs8FbcfFemDRuIs"),
    "Sue": (("8 out of 10 cats", "Quite Interesting", "Taskmaster"),
            "7lqzNxl9elunCNkapHoMEA$B29Cmm89Zqbp67e72bM8GiakwN37vJ6uJGujRjV3xn0"),
    "Sandy": (("Quite Interesting", "Taskmaster"),
              "gFy/yCLAaXlBypJ2i7bPpw$asawW8yWkeuS34bRVT5Iaw9YH7E8sBD1YmP+j6rBM4M"),
}
"""The passwords, `admin` and three times `password`, are known to everybody: their hashes may be cheap."""


def demo_accounts(run: Run, **options: Any) -> Accounts:
    """Accounts to try the chat with; `options` as for Accounts."""
    return Accounts((Account(names.parse(name), rooms, f"$argon2id$v=19$m=1024,t=1,p=1${hash}")
                     for name, (rooms, hash) in DEMO.items()), run, **options)
