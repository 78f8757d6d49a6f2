"""The names of the keys and channels in Redis. The part in braces decides the slot in a cluster."""


class RedisKeys:
    """Keys and channels of one chat. Chats in different databases of one Redis share no name."""

    def __init__(self, database: int = 0):
        """`database` is part of every name, because Redis channels belong to no database."""
        self._prefix = f"webchat{database or ''}"
        self.everyone = f"{self._prefix}:all"
        """The channel that every node subscribes to."""

    def node(self, node: str) -> str:
        """The channel of one node."""
        return f"{self._prefix}:{{node:{node}}}"

    def lease(self, node: str) -> str:
        """The key that exists as long as a node is alive."""
        return f"{self.node(node)}:lease"

    def name(self, key: str) -> str:
        """The record of who holds a name, by the name's key: a hash."""
        return f"{self._prefix}:{{name:{key}}}"

    def room(self, room: str) -> str:
        """The channel of a room."""
        return f"{self._prefix}:{{room:{room}}}"

    def members(self, room: str) -> str:
        """The members of a room: a hash with a field for each node and shown name."""
        return f"{self.room(room)}:members"

    def history(self, room: str) -> str:
        """The last messages of a room: a sorted set."""
        return f"{self.room(room)}:history"
