"""What a node sends in one round trip, and in which order."""

from collections import Counter

import pytest

from tests.backplane.nodes import STEADY, on_loop
from tests.chat.fakes import Chat
from webchat.backplane.address import parse
from webchat.backplane.redis import RedisBackplane
from webchat.backplane.redis_client import RedisClient
from webchat.backplane.redis_node import RedisNode
from webchat.chat.events import ChatMessage, Join
from webchat.chat.hub import room_channel
from webchat.codecs.node import NodeCodec

ROOM = "Taskmaster"


@on_loop
async def test_a_message_to_a_room_is_saved_before_it_is_published():
    """A person who joins in between receives it from the history or as a message, maybe both, but never neither."""
    chat = Chat()
    chat.do(chat.login("Alex", "password"), Join(ROOM))
    client = RedisClient(parse("unix:///nowhere"), "the-name", STEADY, Counter())
    client.is_connected = True
    node = RedisNode(chat.hub, client, NodeCodec("f" * 16), STEADY, Counter())
    for n in range(3):
        node.publish(ChatMessage(f"{n:024}", 0, "Alex*", True, "hello", ROOM), room_channel(ROOM))
    assert [command[0] for command in node.pending_commands()] == ["EVAL", "SPUBLISH"]
    assert list(node.pending_commands()) == []


def test_a_backplane_without_a_hub_says_what_is_missing():
    with pytest.raises(RuntimeError, match="attach"):
        RedisBackplane(parse("redis://host")).health()
