"""The servers that are compared: how each is started, its protocol, and what it needs."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load import Lines, Protocol, SocketIO

HERE = Path(__file__).parent
ROOT = HERE.parent


@dataclass(frozen=True)
class Peer:
    """A server. `command(port)` starts it; `missing()` says what it lacks on this machine, None if nothing."""

    name: str
    command: Callable[[int], list[str]]
    missing: Callable[[], str | None] = lambda: None
    protocol: type[Protocol] = SocketIO
    environment: dict[str, str] = field(default_factory=dict, compare=False)


def _webchat(port: int) -> list[str]:
    options = ["--port", port, "--lines-port", 0, "--braces-port", 0, "--message-rate", 0]
    return [sys.executable, "-m", "webchat.main", *map(str, options)]


def _node(*options: str) -> Callable[[int], list[str]]:
    return lambda port: ["node", str(HERE / "servers" / "chat.cjs"), str(port), *options]


def _node_missing() -> str | None:
    if shutil.which("node") is None:
        return "Node.js is not installed"
    found = subprocess.run(["node", "-e", "require('socket.io')"], env=os.environ | NODE, capture_output=True, cwd=ROOT)
    return None if found.returncode == 0 else "Node.js finds no socket.io (npm install socket.io, or set NODE_PATH)"


def _python() -> str:
    return os.environ.get("BENCHMARK_PYTHON", sys.executable)


def _python_chat(port: int) -> list[str]:
    return [_python(), str(HERE / "servers" / "chat.py"), str(port)]


def _python_missing() -> str | None:
    if _python() == sys.executable:
        found = all(map(importlib.util.find_spec, ("uvicorn", "socketio")))
    else:
        found = subprocess.run([_python(), "-c", "import uvicorn, socketio"], capture_output=True).returncode == 0
    return None if found else "no uvicorn (pip install 'uvicorn[standard]', or set BENCHMARK_PYTHON)"


def _floor(port: int) -> list[str]:
    """The command of the C program, which is compiled first if its source is newer."""
    source, program = HERE / "servers" / "floor.c", Path(tempfile.gettempdir()) / f"webchat-floor-{os.getuid()}"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return [str(program), str(port)]


NODE = {"NODE_PATH": os.environ.get("NODE_PATH", str(ROOT / "node_modules"))}

WEBCHAT = Peer("webchat", _webchat, environment={"PYTHONPATH": str(ROOT)})
NODE_CHAT = Peer("Node Socket.IO", _node(), _node_missing, environment=NODE)
NODE_PLAIN = Peer("Node Socket.IO, no chat", _node("plain"), _node_missing, environment=NODE)
PYTHON = Peer("python-socketio", _python_chat, _python_missing)
FLOOR = Peer("C loop", _floor, lambda: None if shutil.which("cc") else "no C compiler", Lines)
