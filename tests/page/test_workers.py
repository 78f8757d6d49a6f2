"""The page with a server of several processes."""

from tests.backplane.redis_server import RedisServer, needs_redis
from tests.page.browser import Chromium, Visitor
from tests.program import Program


@needs_redis
def test_people_whose_connections_are_at_different_processes_can_talk(chromium: Chromium):
    redis = RedisServer().start()
    with Program("--workers", "2", "--redis", redis.url) as server:
        pages = [chromium.page(locale="en-GB") for _ in range(3)]
        ada, *others = (Visitor(page, f"http://127.0.0.1:{server.port}").join(name)
                        for page, name in zip(pages, ("ada", "bob", "cyd"), strict=True))
        ada.say("hello")
        for other in others:
            other.hears("hello")
        for page in pages:
            page.context.close()
    redis.close()
