"""Count the Python calls that a message, a login and the end of a connection take.

    python scripts/count_calls.py [--show WALK]

Counted are calls of functions in webchat, python-socketio and python-engineio, and of what these call in the standard
library; resuming a coroutine counts as a call. The event loop, Tornado and other libraries are left out, and so is the
news of who came and left, which is gathered and told to everybody a tenth of a second later. A login begins with the
TCP connection and ends with the welcome; an end is a lost connection. `--show` lists the calls of one walk.
"""

import argparse
import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP))

from websockets.sync.client import ClientConnection, connect  # noqa: E402

from webchat.config import Config  # noqa: E402
from webchat.server import Server  # noqa: E402

OURS = (str(TOP / "webchat"), "site-packages/socketio/", "site-packages/engineio/")
OTHERS = ("/asyncio/", "/selectors.py", "/threading.py", "site-packages/", str(Path(__file__)))
BEFORE, AFTER = 0.3, 0.04
"""Seconds in which the server finishes everything else before a walk, and the walk itself after its answer."""


def is_counted(frame: FrameType | None) -> bool:
    """Whether a call is one of ours, or made by the standard library on our behalf."""
    while frame is not None:
        file = frame.f_code.co_filename
        if any(part in file for part in OURS):
            return True
        if any(part in file for part in OTHERS):
            return False
        frame = frame.f_back
    return False


class Recorder:
    """A profile function that notes calls while it is on."""

    def __init__(self) -> None:
        self.calls: list[CodeType] = []
        self.on = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.on and event == "call" and is_counted(frame):
            self.calls.append(frame.f_code)

    def record(self, walk: Callable[[], None]) -> list[CodeType]:
        """The calls that the server makes while a client does something."""
        time.sleep(BEFORE)
        self.calls, self.on = [], True
        walk()
        time.sleep(AFTER)
        self.on = False
        return self.calls


class SocketIO:
    """A Socket.IO client that has logged in."""

    def __init__(self, port: int, name: str):
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self.socket: ClientConnection = connect(url).__enter__()
        self.socket.send("40" + json.dumps({"username": name}))
        self.hear("welcome")

    def hear(self, word: str) -> None:
        while word not in str(self.socket.recv()):
            pass

    def vanish(self) -> None:
        """Lose the connection."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)

    def say(self, text: str) -> None:
        """Say something to everyone, and wait for it to come back and to be acknowledged."""
        self.socket.send('420["message",' + json.dumps({"message": text}) + "]")
        self.hear(text)
        self.hear("430")


def walks(port: int, recorder: Recorder) -> dict[str, list[CodeType]]:
    """What a client does, by name, with the calls that it takes; after a first time that fills caches."""
    ada = SocketIO(port, "ada")
    ada.say("first")
    SocketIO(port, "bob").vanish()
    time.sleep(BEFORE)
    bob: list[SocketIO] = []
    return {
        "message": recorder.record(lambda: ada.say("hello")),
        "login": recorder.record(lambda: bob.append(SocketIO(port, "bob"))),
        "end": recorder.record(lambda: bob[0].vanish()),
    }


async def measure() -> dict[str, list[CodeType]]:
    """Serve in this thread, and be a client in another."""
    server, recorder = Server(Config(port=0, lines_port=0, braces_port=0)), Recorder()
    (address,) = await server.start()
    port = int(address.rpartition(":")[2].partition("/")[0])
    counted: dict[str, list[CodeType]] = {}
    client = threading.Thread(target=lambda: counted.update(walks(port, recorder)), daemon=True)
    sys.setprofile(recorder)
    client.start()
    while client.is_alive():
        await asyncio.sleep(0.01)
    sys.setprofile(None)
    await server.stop()
    return counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--show", metavar="WALK", help="list the calls of one walk: message, login or end")
    shown = parser.parse_args().show
    for name, calls in asyncio.run(measure()).items():
        print(f"{name:8} {len(calls):4} calls in {len({code.co_filename for code in calls})} files")
        if name == shown:
            for code in calls:
                print(f"    {Path(code.co_filename).name}: {code.co_qualname}")


if __name__ == "__main__":
    main()
