"""An application in its place: what its connections share."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from webchat.net.asgi.types import App
from webchat.net.outbox import Outbox
from webchat.net.timers import Timers


class AppHost:
    """An ASGI application, the limits of its clients, and the tasks that run it. See `mount` for the arguments."""

    def __init__(
        self,
        app: App,
        *,
        outbox: Outbox | None = None,
        root_path: str = "",
        state: dict[str, Any] | None = None,
        max_body_size: int = 100 << 20,
        max_message_size: int = 10 << 20,
        ping_interval: float | None = None,
        close_timeout: float = 5.0,
        timers: Timers | None = None,
    ):
        self.app = app
        self.outbox = outbox or Outbox()
        self.root_path = root_path
        self.state = state
        self.max_body_size = max_body_size
        self.max_message_size = max_message_size
        self.ping_interval = ping_interval
        self.close_timeout = close_timeout
        self._timers = timers
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def timers(self) -> Timers:
        """The running event loop, unless a test has given its own."""
        return self._timers or asyncio.get_running_loop()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a connection's task, and keep a reference to it: the event loop keeps none."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
