"""Who holds which name, in the whole chat: one record a name in Redis, changed by one script at one stroke.

A record belongs to nodes, not to people, and a node lives for as long as its lease does: no record has to be refreshed
every few seconds, however many there are. Whoever wants a name whose holders are dead takes it over. Records still have
a life of their own, long, so that what a dead chat leaves behind goes away by itself.
"""

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable

from redis.exceptions import ResponseError

from webchat.backplane import scripts
from webchat.backplane.local import new_token
from webchat.backplane.nodes import Nodes
from webchat.backplane.redis_client import Link, Timing, Unreachable
from webchat.chat.errors import Degraded, NameTaken
from webchat.chat.events import Notice
from webchat.chat.names import Name
from webchat.codecs.node import HeldName

LIFE = 600.0
"""Seconds after which a record goes away that nobody claims again."""

GAVE_WAY = Notice(NameTaken.code, "While this server was cut off, somebody else took your name.")


class Claims:
    """The names that this node holds. `held` is by key; `tokens` proves them."""

    def __init__(self, node: str, prefix: str, hub, timing: Timing, link: Link, nodes_of: Callable[[], Nodes]):
        self.held: dict[str, HeldName] = {}
        self.tokens: dict[str, str] = {}
        self._node = node
        self._prefix = prefix
        self._hub = hub
        self._timing = timing
        self._link = link
        self._nodes_of = nodes_of
        self._pending: Counter[str] = Counter()
        self._owed: set[str] = set()
        self._due: list[str] = []

    # What the hub asks for.

    def mine(self, name: Name, authenticated: bool, token: str) -> str | None:
        """The token of a name that this node holds already: no business of the others. Raises NameTaken."""
        held = self.held.get(name.key)
        if held is None or held.authenticated != authenticated:
            return None
        known = self.tokens[name.key]
        if not authenticated and not secrets.compare_digest(known.encode(), token.encode()):
            raise NameTaken
        self._hold(name, authenticated, known)
        return known

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        """Claim a name among all nodes. Raises NameTaken, Degraded."""
        self._pending[name.key] += 1
        taken = False
        try:
            token = await self._take(name.key, authenticated, token)
            self._hold(name, authenticated, token)
            return token
        except NameTaken:
            taken = True
            raise
        except (Unreachable, ResponseError) as error:
            raise Degraded from error
        finally:
            self._pending -= Counter([name.key])
            if not (taken or name.key in self.held or self._pending[name.key]):
                self._give_back(name.key)  # the claim may have been granted without our hearing of it

    def release(self, key: str) -> None:
        """Nobody has this name through us any more."""
        if self.held.pop(key, None):
            del self.tokens[key]
            self._nodes_of().moved(left=(key,))
            self._give_back(key)

    async def recognises(self, key: str, token: str) -> bool:
        """Whether the token proves that its bearer holds this account's name."""
        if key in self.held:
            authenticated, known = self.held[key].authenticated, self.tokens[key]
        else:
            try:
                account, record = await self._link.ask("HMGET", self._record(key), "account", "token")
            except (Unreachable, ResponseError):
                return False
            authenticated, known = account == b"1", (record or b"").decode()
        return authenticated and bool(token) and secrets.compare_digest(known.encode(), token.encode())

    # What the link's comings and goings ask for.

    async def reclaim(self) -> None:
        """Claim again what we hold; where somebody else took it meanwhile, ours give way. Raises Unreachable."""
        for key in self._owed - self.held.keys():
            self._give_back(key)
        await self._reclaim(list(self.held))

    async def refresh(self, share: float) -> None:
        """Claim again the next `share` of what we hold, so that no record of ours reaches the end of its life."""
        if not self._due:
            self._due = list(self.held)
        some = math.ceil(len(self._due) * share) if len(self._due) * share > 1 else 1
        due, self._due = self._due[:some], self._due[some:]
        await self._reclaim([key for key in due if key in self.held])

    def release_all(self) -> None:
        """This node leaves."""
        for key in list(self.held):
            self.release(key)

    # How.

    async def _take(self, key: str, authenticated: bool, token: str) -> str:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.patience
        dead: set[bytes] = set()
        pause = 0.02
        while True:
            verdict, *rest = await self._ask(key, authenticated, token, not self._is_seen_elsewhere(key), dead)
            if verdict == b"held":
                return rest[0].decode()
            if verdict == b"taken":
                gone = await self._dead(set(rest))
                if not gone:
                    raise NameTaken
                dead |= gone
            elif loop.time() > deadline:
                raise NameTaken
            else:
                await asyncio.sleep(pause)
                pause *= 2

    def _ask(self, key: str, authenticated: bool, token: str, may_be_free: bool,
             dead: set[bytes]) -> Awaitable[list[bytes]]:
        return self._link.ask(*scripts.call(
            scripts.CLAIM, self._record(key), self._node, int(authenticated), token, new_token(token),
            int(LIFE * 1000), int(may_be_free), *dead))

    def _is_seen_elsewhere(self, key: str) -> bool:
        """Whether a guest of another living node has the name, as far as we know.

        Where Redis knows nothing of it, either he is leaving and the news has not come yet, or Redis has lost its
        memory and his node is about to write the record again; a moment tells.
        """
        person = self._hub.people.find(key)
        return bool(person and not person.authenticated and person.nodes)

    async def _dead(self, holders: set[bytes]) -> set[bytes]:
        """Those of the nodes whose lease has ended."""
        suspects = [node for node in holders if node.decode() not in self._nodes_of() and node.decode() != self._node]
        leases = [self._link.ask("EXISTS", self.lease_of(node.decode())) for node in suspects]
        return {node for node, lease in zip(suspects, leases, strict=True) if not await lease}

    async def _reclaim(self, keys: list[str]) -> None:
        claims = [(key, self._ask(key, self.held[key].authenticated, self.tokens[key], True, set())) for key in keys]
        for key, claim in claims:
            verdict, *rest = await claim
            if verdict == b"taken" and key in self.held and (gone := await self._dead(set(rest))):
                verdict, *rest = await self._ask(key, self.held[key].authenticated, self.tokens[key], True, gone)
            if key not in self.held:
                continue
            if verdict == b"held":
                self._prove(key, rest[0].decode())
            else:
                self._give_way(key)

    def _give_way(self, key: str) -> None:
        self._hub.evict(key, GAVE_WAY)
        self.release(key)

    def _prove(self, key: str, token: str) -> None:
        self.tokens[key] = token
        if person := self._hub.people.find(key):
            person.token = token

    def _hold(self, name: Name, authenticated: bool, token: str) -> None:
        held = HeldName(name.text, name.key, authenticated)
        if self.held.get(name.key) != held:
            self.held[name.key] = held
            self._nodes_of().moved(came=(held,))
        self.tokens[name.key] = token

    def _give_back(self, key: str) -> None:
        """Strike us from the record; if Redis is away, later."""
        self._owed.add(key)
        done = self._link.ask(*scripts.call(scripts.RELEASE, self._record(key), self._node))
        done.add_done_callback(lambda done: done.cancelled() or done.exception() or self._owed.discard(key))

    def _record(self, key: str) -> str:
        return f"{self._prefix}:{{name:{key}}}"

    def lease_of(self, node: str) -> str:
        return f"{self._prefix}:{{node:{node}}}:lease"
