"""The servers replace members of python-engineio and python-socketio: a change there must not go unseen.

If one of these fails, read upstream's change, adapt the override (or its use here), and write down the new digest.
docs/decisions/0001-engineio-and-socketio.md says why each member is replaced or used.
"""

import hashlib
import inspect
from importlib.metadata import version

import engineio
import pytest
import socketio

from webchat.net.engineio import AsyncServer as EngineIOServer
from webchat.net.socketio import AsyncServer as SocketIOServer

VERSIONS = {"python-engineio": "4.15.1", "python-socketio": "5.18.1"}

SERVERS = {"engineio": (EngineIOServer, engineio.AsyncServer), "socketio": (SocketIOServer, socketio.AsyncServer)}

# A digest of upstream's source under each override, and of each private method that is called.
UPSTREAM = {
    "engineio.__init__": "a06b17502fbd",
    "engineio._cors_allowed_origins": "d0cad0c66d53",
    "engineio._cors_headers": "da3a25b43052",
    "engineio._generate_sid_cookie": "30faebd18e62",
    "engineio.disconnect": "8bb6448caae4",
    "engineio.generate_id": "b6a591454237",
    "engineio.handle_request": "1a8c878e3516",
    "engineio.send_packet": "c54317440865",
    "socketio.__init__": "7ae671981d87",
    "socketio._engineio_server_class": "199c42bf1492",
    "socketio._handle_eio_connect": "76704886d944",
    "socketio._handle_eio_disconnect": "9344593148b6",
    "socketio._handle_eio_message": "bef50fc0e163",
    "socketio._trigger_event": "01ba90cfa09b",
    "socketio.disconnect": "7d2f76686c12",
}

USED = {"engineio": ["_cors_allowed_origins", "_cors_headers", "_generate_sid_cookie"], "socketio": ["_trigger_event"]}


def overrides():
    return [(name, method) for name, (ours, theirs) in SERVERS.items() for method, value in vars(ours).items()
            if inspect.isfunction(value) and hasattr(theirs, method)]


def pinned():
    return sorted({*overrides(), *((name, method) for name, methods in USED.items() for method in methods)})


def digest(name, method):
    source = inspect.getsource(getattr(SERVERS[name][1], method))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


@pytest.mark.parametrize("package", VERSIONS)
def test_upstream_is_the_version_that_the_overrides_were_written_for(package):
    assert version(package) == VERSIONS[package]


@pytest.mark.parametrize(("name", "method"), pinned())
def test_upstream_has_not_changed_under(name, method):
    assert digest(name, method) == UPSTREAM.get(f"{name}.{method}")


def test_nothing_is_pinned_that_is_not_replaced_or_used():
    assert sorted(UPSTREAM) == [f"{name}.{method}" for name, method in pinned()]


def test_as_few_members_are_pinned_as_public_extension_points_allow():
    assert len(pinned()) <= 20
