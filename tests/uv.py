"""Runs tests on uvloop, the event loop that the server uses where it is available."""

import asyncio

import uvloop


class OnUvloop:
    """Mixin that runs the same tests on uvloop. Put it before the test class in the list of base classes."""

    def setUp(self):
        self.addCleanup(asyncio.set_event_loop_policy, asyncio.get_event_loop_policy())
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        super().setUp()

    def test_the_loop_is_uvloop(self):
        self.assertIsInstance(self.io_loop.asyncio_loop, uvloop.Loop)
