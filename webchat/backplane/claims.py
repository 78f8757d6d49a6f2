"""Which node holds which name: one record for each name in Redis, changed atomically by a script.

A record lists the nodes that hold the name. A node is alive while its lease in Redis exists, so no record has to be
renewed every few seconds, however many there are; a name whose nodes are all dead is free to be claimed. The records
expire as well, after a long time, so that a chat that ended without cleaning up leaves nothing behind.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable

from redis.exceptions import ResponseError

from webchat.backplane import scripts
from webchat.backplane.hub import BackplaneHub
from webchat.backplane.keys import RedisKeys
from webchat.backplane.local import is_same_token, new_token
from webchat.backplane.nodes import Nodes
from webchat.backplane.redis_client import RedisClient, Unreachable, describe
from webchat.backplane.timing import Timing
from webchat.chat.errors import Degraded, NameTaken
from webchat.chat.events import Notice
from webchat.chat.names import Name
from webchat.codecs.node import HeldName

NAME_LOST = Notice(NameTaken.code, "While this server was cut off, somebody else took your name.")

FIRST_RECHECK = 0.02
"""Seconds before a claim is repeated whose name Redis does not know but another node does; the delay doubles."""


class Claims:
    """The names that this node holds, and the tokens that prove them."""

    def __init__(self, node: str, hub: BackplaneHub, client: RedisClient, nodes: Nodes, keys: RedisKeys,
                 timing: Timing):
        self._node = node
        self._hub = hub
        self._client = client
        self._nodes = nodes
        self._keys = keys
        self._timing = timing
        self._tokens: dict[str, str] = {}
        self._in_progress: Counter[str] = Counter()
        self._unreleased: set[str] = set()  # names whose release Redis has not confirmed
        self._renewal_queue: list[str] = []

    # Called for the hub.

    def claim_held(self, name: Name, authenticated: bool, token: str) -> str | None:
        """The token of a name that this node holds already, None if it does not.

        Redis is not asked. Raises NameTaken.
        """
        held = self._nodes.own_people.get(name.key)
        if held is None or held.authenticated != authenticated:
            return None
        expected = self._tokens[name.key]
        if not authenticated and not is_same_token(expected, token):
            raise NameTaken
        self._hold(name, authenticated, expected)
        return expected

    async def claim(self, name: Name, authenticated: bool, token: str) -> str:
        """Claim a name among all nodes; returns its token. Raises NameTaken, Degraded."""
        self._in_progress[name.key] += 1
        refused = False
        try:
            token = await self._claim_record(name.key, authenticated, token)
            self._hold(name, authenticated, token)
            return token
        except NameTaken:
            refused = True
            raise
        except (Unreachable, ResponseError) as error:
            raise Degraded from error
        finally:
            self._in_progress -= Counter([name.key])
            if not (refused or name.key in self._nodes.own_people or self._in_progress[name.key]):
                self._release_record(name.key)  # Redis may have granted the claim although no reply arrived

    def release(self, key: str) -> None:
        """Give up a name that no connection of this node has any more."""
        if key in self._nodes.own_people:
            self._nodes.remove_person(key)
            del self._tokens[key]
            self._release_record(key)

    async def recognises(self, key: str, token: str) -> bool:
        """Whether this is the token of an account's name that is held, here or on another node."""
        if held := self._nodes.own_people.get(key):
            authenticated, expected = held.authenticated, self._tokens[key]
        else:
            try:
                account, known = await self._client.execute("HMGET", self._keys.name(key), "account", "token")
            except (Unreachable, ResponseError):
                return False
            authenticated, expected = account == b"1", _text(known or b"")
        return authenticated and bool(token) and is_same_token(expected, token)

    # Called as the connection to Redis comes and goes.

    async def reclaim(self) -> None:
        """Claim all held names again; evict the connections of a name that another node has taken.

        Raises Unreachable.
        """
        for key in self._unreleased - self._nodes.own_people.keys():
            self._release_record(key)
        await self._renew(list(self._nodes.own_people))

    async def renew(self, share: float) -> None:
        """Renew the next `share` (0 to 1) of the held names, so that no record expires. Raises Unreachable."""
        if not self._renewal_queue:
            self._renewal_queue = list(self._nodes.own_people)
        count = max(1, math.ceil(len(self._nodes.own_people) * share))
        keys, self._renewal_queue = self._renewal_queue[:count], self._renewal_queue[count:]
        await self._renew([key for key in keys if key in self._nodes.own_people])

    def release_all(self) -> None:
        """Give up all names: this node leaves the chat."""
        for key in list(self._nodes.own_people):
            self.release(key)

    # Records in Redis.

    async def _claim_record(self, key: str, authenticated: bool, token: str) -> str:
        """The token under which Redis has granted the name. Raises NameTaken, Unreachable, ResponseError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.reply_timeout
        dead: set[bytes] = set()
        delay = FIRST_RECHECK
        while True:
            may_be_free = authenticated or not self._is_guest_elsewhere(key)  # a guest gives way to an account
            verdict, *rest = await self._run_claim(key, authenticated, token, may_be_free, dead)
            if verdict == b"held":
                return _text(rest[0])
            if verdict == b"taken":
                newly_dead = await self._dead_nodes(rest)
                if not newly_dead:
                    raise NameTaken
                dead |= newly_dead
            elif loop.time() > deadline:
                raise NameTaken
            else:
                await asyncio.sleep(delay)
                delay *= 2

    def _run_claim(self, key: str, authenticated: bool, token: str, may_be_free: bool,
                   dead: set[bytes]) -> asyncio.Future[list[bytes]]:
        return self._client.execute(*scripts.call(
            scripts.CLAIM, self._keys.name(key), self._node, int(authenticated), token, new_token(token),
            int(self._timing.record_lifetime * 1000), int(may_be_free), *dead))

    def _is_guest_elsewhere(self, key: str) -> bool:
        """Whether a guest of another living node has the name, as far as this node knows.

        If Redis has no record of it, either the guest is leaving and this node has not been told yet, or Redis has
        lost its data and the other node is about to write the record again. Asking again shortly after decides it.
        """
        person = self._hub.people.find(key)
        return bool(person and not person.authenticated and person.nodes)

    async def _dead_nodes(self, holders: list[bytes]) -> set[bytes]:
        """The nodes among these whose lease has ended."""
        suspects = [node for node in holders if _text(node) not in self._nodes and _text(node) != self._node]
        leases = [self._client.execute("EXISTS", self._keys.lease(_text(node))) for node in suspects]
        return {node for node, lease in zip(suspects, leases, strict=True) if not await lease}

    async def _renew(self, keys: list[str]) -> None:
        claims = [(key, self._claim_again(key, set())) for key in keys]
        for key, claim in claims:
            try:
                await self._apply_verdict(key, claim)
            except ResponseError as error:  # what Redis has under this key is no record; the name stays here
                self._client.log_rarely(logging.WARNING, "A name could not be renewed: %s.", describe(error))

    async def _apply_verdict(self, key: str, claim: Awaitable[list[bytes]]) -> None:
        """Keep a name that was claimed again, or give it up. Raises Unreachable, ResponseError."""
        verdict, *rest = await claim
        if verdict == b"taken" and key in self._tokens and (dead := await self._dead_nodes(rest)):
            verdict, *rest = await self._claim_again(key, dead)
        if key not in self._tokens:
            return  # released while Redis was asked
        if verdict == b"held":
            self._change_token(key, _text(rest[0]))
        else:
            self._hub.evict(key, NAME_LOST)
            self.release(key)

    def _claim_again(self, key: str, dead: set[bytes]) -> asyncio.Future[list[bytes]]:
        return self._run_claim(key, self._nodes.own_people[key].authenticated, self._tokens[key], True, dead)

    def _change_token(self, key: str, token: str) -> None:
        self._tokens[key] = token
        if person := self._hub.people.find(key):
            person.token = token

    def _hold(self, name: Name, authenticated: bool, token: str) -> None:
        self._tokens[name.key] = token
        held = HeldName(name.text, name.key, authenticated)
        if self._nodes.own_people.get(name.key) != held:
            self._nodes.add_person(held)

    def _release_record(self, key: str) -> None:
        """Remove this node from the record; if Redis is unreachable, after the next reconnect."""
        def confirmed(reply: asyncio.Future[None]) -> None:
            if not reply.cancelled() and reply.exception() is None:
                self._unreleased.discard(key)

        self._unreleased.add(key)
        self._client.execute(*scripts.call(scripts.RELEASE, self._keys.name(key), self._node)).add_done_callback(
            confirmed)


def _text(reply: bytes) -> str:
    """A token or a node's id that Redis holds. What no node has written there is equal to none that a node knows."""
    return reply.decode("utf-8", "replace")
