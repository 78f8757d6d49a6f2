"""The event loop that the server runs on where the platform has it."""

import asyncio

import uvloop


class OnUvloop:
    """The same tests on uvloop; to be named before the test class."""

    def setUp(self):
        self.addCleanup(asyncio.set_event_loop_policy, asyncio.get_event_loop_policy())
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        super().setUp()

    def test_the_loop_is_uvloop(self):
        self.assertIsInstance(self.io_loop.asyncio_loop, uvloop.Loop)
