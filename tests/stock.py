"""python-socketio's own client, for tests without an event loop."""

import asyncio
import queue
import threading
import time
from typing import Any

import socketio

from tests.program import PATIENCE


class Stock:
    """One `socketio.AsyncClient` on an event loop in a thread, and all events that it has received, in order.

    (`socketio.Client` handles each event in a thread of its own, so it does not keep the order.)
    """

    def __init__(self, url: str, transports: tuple[str, ...] = ("websocket",)):
        self.heard: list[tuple[str, dict]] = []
        self._url, self._transports = url, list(transports)
        self._news: queue.SimpleQueue[tuple[str, dict]] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = self._run(self._make())

    async def _make(self) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        client.on("*", lambda event, payload: self._news.put((event, payload)))
        client.on("connect_error", lambda error: self._news.put(("connect_error", error)))
        client.on("disconnect", lambda reason: self._news.put(("disconnect", {"reason": reason})))
        return client

    def _run(self, coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def connect(self, **auth: str) -> None:
        """Connect. Raises socketio.exceptions.ConnectionError if the server refuses."""
        self._run(self._client.connect(self._url, auth=auth or None, transports=self._transports, retry=False))

    def refused(self, **auth: str) -> str:
        """Connect and be refused. Returns the error code."""
        try:
            self.connect(**auth)
        except socketio.exceptions.ConnectionError:
            return self.hear("connect_error")["data"]["code"]
        raise AssertionError(f"{auth} was accepted")

    def disconnected(self) -> None:
        """Wait until the server has closed the connection."""
        self.hear("disconnect", reason="server disconnect")
        self._run(self._other_tasks())

    async def _other_tasks(self) -> None:
        """Wait until the client does nothing any more; only then can it connect again."""
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    def login(self, username: str, password: str = "") -> str:
        """Connect and log in. Returns the name as others see it."""
        self.connect(username=username, password=password)
        return self.hear("welcome")["username"]

    def ask(self, event: str, **payload: str) -> dict:
        """Send an event. Returns the acknowledgement."""
        return self._run(self._client.call(event, payload, timeout=PATIENCE))

    def hear(self, event: str, **fields: Any) -> dict:
        """Wait for the next event of this name with these fields. Returns its payload."""
        deadline = time.monotonic() + PATIENCE
        while True:
            news = self.listen(max(deadline - time.monotonic(), 0))
            assert news, f"no {event} with {fields} came, only {self.heard}"
            if news[0] == event and fields.items() <= news[1].items():
                return news[1]

    def listen(self, seconds: float) -> tuple[str, dict] | None:
        """Return the next event, or None if none comes within this time."""
        try:
            self.heard.append(self._news.get(timeout=seconds))
        except queue.Empty:
            return None
        return self.heard[-1]

    def said(self) -> list[str]:
        """Return the texts of all messages received so far."""
        return [payload["text"] for event, payload in self.heard if event == "chat_message"]

    def disconnect(self) -> None:
        self._run(self._client.disconnect())

    def close(self) -> None:
        """Disconnect and stop the thread. May be called again."""
        if self._loop.is_closed():
            return
        self.disconnect()
        self._run(asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()
