"""Logins: who may use a name, and the claim on it in the whole chat."""

from collections.abc import Callable

from webchat.chat import names
from webchat.chat.accounts import Account, Accounts
from webchat.chat.errors import BadMessage, NameTaken
from webchat.chat.events import Login, Rename
from webchat.chat.names import Name
from webchat.chat.people import People, Person
from webchat.chat.ports import HubBackplane
from webchat.chat.session import Session


class NameClaims:
    """The names that connections of this process use, or are about to use.

    `accounts` returns the accounts, which may be replaced at any time. `disconnect_guest` is called for a guest whose
    name a connection has claimed for an account; that connection may be one of theirs, and stays.
    """

    def __init__(self, people: People, backplane: HubBackplane, *, accounts: Callable[[], Accounts],
                 disconnect_guest: Callable[[Person, Session], None]):
        self._people = people
        self._backplane = backplane
        self._accounts = accounts
        self._disconnect_guest = disconnect_guest
        self._pending: dict[str, int] = {}  # claims that wait for the backplane, by key

    async def claim(self, session: Session, command: Login | Rename) -> Person:
        """Check the name and the password of a login or a change of name, then claim the name in the whole chat.

        Returns the person of that name: the one who is here, or a new one. A claim that is refused leaves nothing
        behind. Raises BadMessage, BadName, BadCredentials, SlowDown, NameTaken, Degraded.
        """
        if session.logging_in or (session.person and isinstance(command, Login)):
            raise BadMessage("You are logged in already.")
        session.logging_in = True
        try:
            name = names.parse(command.username)
            account = await self._authenticate(session, name, command)
            if account:
                return await self._claim(session, account.name, True, command)
            return await self._claim(session, name, False, command)
        finally:
            session.logging_in = False

    def release(self, key: str) -> None:
        """Give up the claim on a name, unless a connection to this process uses it or is about to use it."""
        person = self._people.find(key)
        if not (person and person.sessions) and key not in self._pending:
            self._backplane.release(key)

    async def _authenticate(self, session: Session, name: Name, command: Login | Rename) -> Account | None:
        """Return the account that the name belongs to, if any. Raises BadCredentials, SlowDown."""
        account = self._accounts().find(name.key)
        if not command.password and (account is None or await self._has_valid_token(name, command)):
            return account
        return await self._accounts().verify(name, command.password, session.address)

    async def _has_valid_token(self, name: Name, command: Login | Rename) -> bool:
        """Return whether the token replaces the password: it was given to the account's owner, who is still here."""
        holder = self._people.find(name.key)
        if holder is None or not holder.authenticated:
            return False
        return await self._backplane.recognises(name.key, _token(command))

    async def _claim(self, session: Session, name: Name, authenticated: bool, command: Login | Rename) -> Person:
        holder = self._people.find(name.key)
        if holder and holder.authenticated == authenticated and isinstance(command, Login):
            name = holder.name  # a further connection keeps the spelling of the first
        own = session.person if session.person and session.person.name.key == name.key else None
        # A guest's token never becomes an account's: their other windows know it.
        token = own.token if own and own.authenticated == authenticated else _token(command)
        self._pending[name.key] = self._pending.get(name.key, 0) + 1
        granted = False
        try:
            token = await self._backplane.claim(name, authenticated, token)
            if session.closed:
                raise BadMessage("The connection ended during the login.")
            person = self._person(session, name, authenticated)
            granted = True
        finally:
            self._pending[name.key] -= 1
            if not self._pending[name.key]:
                del self._pending[name.key]
            if not granted:
                self.release(name.key)
        person.token = token
        return person

    def _person(self, session: Session, name: Name, authenticated: bool) -> Person:
        """Return the person of a name that this connection was granted, which a guest gives up to an account.

        Raises NameTaken when another process has reported the account since the guest was granted the name.
        """
        person = self._people.find(name.key)
        if person and person.authenticated == authenticated:
            return person
        if person and person.authenticated:
            raise NameTaken
        if person:
            self._disconnect_guest(person, session)
        return Person(name, authenticated)


def _token(command: Login | Rename) -> str:
    return command.token if isinstance(command, Login) else ""
