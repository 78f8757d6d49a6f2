"""One Redis for each file of tests, emptied before each test."""

import pytest

from tests.backplane.redis_server import RedisServer


@pytest.fixture(scope="module")
def redis_server():
    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def redis(redis_server):
    redis_server.call("FLUSHALL")
    return redis_server
