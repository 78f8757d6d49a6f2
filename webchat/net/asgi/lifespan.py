"""An ASGI application's startup and shutdown ("Lifespan Protocol" 2.0)."""

import asyncio
import logging
from typing import Any

from webchat.net.asgi.types import App, Message

log = logging.getLogger(__name__)


class Lifespan:
    """Runs an application's startup and shutdown; give `state` to `mount`, so that requests see it."""

    def __init__(self, app: App):
        self.state: dict[str, Any] = {}
        self._app = app
        self._requests: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the application has started; one that does not support lifespan counts as started.

        Raises RuntimeError if the application reports a failure.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._step("startup")

    async def stop(self) -> None:
        """Return when the application has shut down. Raises RuntimeError if it reports a failure."""
        if self._task is not None and not self._task.done():
            await self._step("shutdown")
            await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._requests.get, self._answers.put)
        except Exception:
            # The specification's way for an application to say that it does not support lifespan.
            log.debug("The application does not support lifespan", exc_info=True)
        self._answers.put_nowait({"type": "lifespan.ended"})

    async def _step(self, name: str) -> None:
        self._requests.put_nowait({"type": f"lifespan.{name}"})
        answer = await self._answers.get()
        if answer["type"] == f"lifespan.{name}.failed":
            raise RuntimeError(answer.get("message") or f"the application's {name} failed")
