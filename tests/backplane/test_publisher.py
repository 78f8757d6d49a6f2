"""The queue of what a node publishes: grouped into frames, limited, and emptied when the connection is lost."""

from collections import Counter

import pytest

from webchat.backplane.keys import RedisKeys
from webchat.backplane.publisher import MAX_QUEUE, Publisher
from webchat.codecs.node import MAX_ITEMS_PER_FRAME, Heartbeat, NodeCodec

NODE = "1" * 16


class Client:
    """Stands in for the Redis client."""

    is_connected = True
    round_trips = 0

    def schedule_round_trip(self):
        self.round_trips += 1


class World:
    def __init__(self):
        self.client, self.counts, self.reader = Client(), Counter(), NodeCodec("f" * 16)
        self.publisher = Publisher(self.client, NodeCodec("0" * 16), RedisKeys(), self.counts)

    def taken(self):
        """The channel and the items of each frame, taken from the queue."""
        return [(channel, list(self.reader.decode(channel, frame).items))
                for _, channel, frame in self.publisher.take()]


@pytest.fixture
def world():
    return World()


def test_adjacent_items_for_a_channel_share_a_frame_and_keep_their_order(world):
    for n in range(3):
        world.publisher.to_everyone(Heartbeat(n))
    world.publisher.to_node(NODE, Heartbeat(3))
    world.publisher.to_room("Taskmaster", Heartbeat(4))
    world.publisher.to_everyone(Heartbeat(5))
    assert world.taken() == [
        ("webchat:all", [Heartbeat(0), Heartbeat(1), Heartbeat(2)]), (f"webchat:{{node:{NODE}}}", [Heartbeat(3)]),
        ("webchat:{room:Taskmaster}", [Heartbeat(4)]), ("webchat:all", [Heartbeat(5)])]
    assert world.taken() == []
    assert world.counts == {"published": 6}


def test_a_round_trip_is_requested_for_what_is_queued(world):
    world.publisher.to_everyone(Heartbeat(0))
    assert world.client.round_trips > 0


def test_a_frame_holds_a_limited_number_of_items(world):
    for n in range(2 * MAX_ITEMS_PER_FRAME + 1):
        world.publisher.to_everyone(Heartbeat(n))
    assert [len(items) for _, items in world.taken()] == [MAX_ITEMS_PER_FRAME, MAX_ITEMS_PER_FRAME, 1]


def test_items_beyond_the_limit_of_the_queue_are_dropped_and_counted(world):
    for n in range(MAX_QUEUE + 10):
        world.publisher.to_everyone(Heartbeat(n))
    assert world.counts["dropped"] == 10
    assert sum(len(items) for _, items in world.taken()) == MAX_QUEUE
    world.publisher.to_everyone(Heartbeat(0))
    assert world.counts["dropped"] == 10


def test_items_are_dropped_and_counted_while_redis_is_unreachable(world):
    world.client.is_connected = False
    world.publisher.to_everyone(Heartbeat(0))
    assert (world.taken(), world.counts["dropped"]) == ([], 1)


def test_what_is_queued_when_the_connection_is_lost_is_dropped_and_not_sent_later(world):
    for n in range(3):
        world.publisher.to_everyone(Heartbeat(n))
    world.publisher.drop_all()
    assert (world.taken(), world.counts["dropped"], world.counts["published"]) == ([], 3, 0)
    for n in range(MAX_QUEUE):
        world.publisher.to_everyone(Heartbeat(n))
    assert world.counts["dropped"] == 3
