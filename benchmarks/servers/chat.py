"""A chat on python-socketio and uvicorn, as one would write it without webchat."""

import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import socketio
import uvicorn

sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=300)
people: dict[str, str] = {}
names: dict[str, str] = {}
numbers = itertools.count(1)
changes: dict[str, list[str]] = {"joined": [], "left": []}
tasks: set[asyncio.Task[None]] = set()

Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])


def on_event(handler: Handler) -> Handler:
    """Register a handler under its name: `sio.event`, which has no types."""
    sio.on(handler.__name__, handler)
    return handler


def presence(kind: str, name: str) -> None:
    if not any(changes.values()):
        task = asyncio.get_running_loop().create_task(tell())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    changes[kind].append(name)


async def tell() -> None:
    await asyncio.sleep(0.1)
    event = {kind: list(names) for kind, names in changes.items()}
    for gathered in changes.values():
        gathered.clear()
    await sio.emit("presence", event)


@on_event
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
    name = str((auth or {}).get("username", "")).strip()
    if not name or name in people:
        raise ConnectionRefusedError("That name cannot be used.")
    people[name], names[sid] = sid, name
    welcome = {"username": name, "authenticated": False, "users": list(people), "rooms": []}
    await sio.emit("welcome", welcome, to=sid)
    presence("joined", name)


@on_event
async def disconnect(sid: str, reason: str) -> None:
    if name := names.pop(sid, None):
        del people[name]
        presence("left", name)


@on_event
async def message(sid: str, request: dict[str, str]) -> dict[str, Any]:
    return await publish(sid, request["message"])


@on_event
async def privmsg(sid: str, request: dict[str, str]) -> dict[str, Any]:
    return await publish(sid, request["message"], to_user=request["to_user"])


async def publish(sid: str, text: str, **rest: str) -> dict[str, Any]:
    said = {"id": str(next(numbers)), "time": int(time.time() * 1000), "from_user": names[sid],
            "authenticated": False, "text": text, **rest}
    await sio.emit("chat_message", said, to=people.get(rest.get("to_user", "")))
    return {"ok": True, "id": said["id"], "time": said["time"]}


if __name__ == "__main__":
    uvicorn.run(socketio.ASGIApp(sio), port=int(sys.argv[1]), log_level="error", ws_ping_interval=None)
