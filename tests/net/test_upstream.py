"""The servers lean on the inside of python-engineio and python-socketio: a change there must not pass unseen.

When one of these fails, read upstream's change, adapt the override (or what leans on it), and write down
the new digest.
"""

import hashlib
import inspect
from importlib.metadata import version

import engineio
import pytest
import socketio
from engineio import async_socket

from webchat.net import socketio as ours_socketio
from webchat.net.engineio import server as ours_engineio

VERSIONS = {"python-engineio": "4.15.1", "python-socketio": "5.18.1"}

CLASSES = {
    "engineio.AsyncServer": (ours_engineio.AsyncServer, engineio.AsyncServer),
    "engineio.Socket": (ours_engineio.Socket, async_socket.AsyncSocket),
    "socketio.AsyncServer": (ours_socketio.AsyncServer, socketio.AsyncServer),
    "socketio.Manager": (ours_socketio.Manager, socketio.AsyncManager),
}

# A digest of upstream's source, signature included, under each override and each method that we count on.
UPSTREAM = {
    "engineio.AsyncServer.__init__": "a06b17502fbd",
    "engineio.AsyncServer._cors_allowed_origins": "d0cad0c66d53",
    "engineio.AsyncServer._cors_headers": "da3a25b43052",
    "engineio.AsyncServer._deflate": "a0f1838bf739",
    "engineio.AsyncServer._generate_sid_cookie": "30faebd18e62",
    "engineio.AsyncServer._gzip": "c30d39224c48",
    "engineio.AsyncServer._trigger_event": "4a09b6e47eb6",
    "engineio.AsyncServer._upgrades": "040ebcdf64fb",
    "engineio.AsyncServer.disconnect": "8bb6448caae4",
    "engineio.AsyncServer.generate_id": "b6a591454237",
    "engineio.AsyncServer.handle_request": "1a8c878e3516",
    "engineio.Socket.__init__": "8532b631a4dc",
    "engineio.Socket.close": "faa2e9390254",
    "engineio.Socket.poll": "826f58a9f360",
    "engineio.Socket.schedule_ping": "fe316639159c",
    "engineio.Socket.send": "0437276ccba7",
    "socketio.AsyncServer.__init__": "7ae671981d87",
    "socketio.AsyncServer._engineio_server_class": "199c42bf1492",
    "socketio.AsyncServer._get_event_handler": "e18d9a6570aa",
    "socketio.AsyncServer._get_namespace_handler": "3672467a1c13",
    "socketio.AsyncServer._handle_connect": "c97c480cf777",
    "socketio.AsyncServer._handle_disconnect": "c0b32ada5b37",
    "socketio.AsyncServer._handle_eio_connect": "76704886d944",
    "socketio.AsyncServer._handle_eio_disconnect": "9344593148b6",
    "socketio.AsyncServer._handle_eio_message": "bef50fc0e163",
    "socketio.AsyncServer._handle_event": "65178105ef8b",
    "socketio.AsyncServer._handle_event_internal": "472e8b723a12",
    "socketio.AsyncServer._send_packet": "a00022b42c1c",
    "socketio.AsyncServer._trigger_event": "01ba90cfa09b",
    "socketio.AsyncServer.call": "4b7ae754cf3d",
    "socketio.AsyncServer.disconnect": "7d2f76686c12",
    "socketio.AsyncServer.emit": "84391bfd6241",
    "socketio.AsyncServer.get_session": "75d00587a3a7",
    "socketio.Manager.__init__": "bfee992d912f",
    "socketio.Manager._generate_ack_id": "ca3840d6559e",
    "socketio.Manager.basic_disconnect": "2933b50bc4b2",
    "socketio.Manager.basic_enter_room": "3f509586d2d7",
    "socketio.Manager.basic_leave_room": "e27f3eea06d1",
    "socketio.Manager.connect": "f505d3077052",
    "socketio.Manager.eio_sid_from_sid": "b0c0aeb5430d",
    "socketio.Manager.emit": "01ccd5b82b4f",
    "socketio.Manager.get_participants": "7d78ad681c95",
    "socketio.Manager.get_rooms": "56a1017f85af",
    "socketio.Manager.is_connected": "d37721466718",
    "socketio.Manager.is_pre_connected": "40a897c4ab2c",
    "socketio.Manager.is_sid_room": "e9a9393a969c",
    "socketio.Manager.pre_connect": "84f2cdf2a4dd",
    "socketio.Manager.pre_disconnect": "18a8d01ed87a",
    "socketio.Manager.sid_from_eio_sid": "15467098a36b",
    "socketio.Manager.trigger_callback": "9cf95a1d1a3a",
}

USED = {
    "engineio.AsyncServer": [
        "_cors_allowed_origins", "_cors_headers", "_deflate", "_generate_sid_cookie", "_gzip", "_trigger_event",
        "_upgrades", "generate_id",
    ],
    "socketio.AsyncServer": [
        "_get_event_handler", "_get_namespace_handler", "_trigger_event", "call", "emit", "get_session",
    ],
    "socketio.Manager": ["_generate_ack_id", "is_connected", "is_pre_connected", "is_sid_room", "trigger_callback"],
}


def overrides():
    for name, (ours, theirs) in CLASSES.items():
        for method, value in vars(ours).items():
            if inspect.isfunction(value) and hasattr(theirs, method) and not hasattr(object, method):
                yield name, method
        if "__init__" in vars(ours):
            yield name, "__init__"


def leant_on():
    return sorted({*overrides(), *((name, method) for name, methods in USED.items() for method in methods)})


def fingerprint(name, method):
    source = inspect.getsource(getattr(CLASSES[name][1], method))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


@pytest.mark.parametrize("package", VERSIONS)
def test_upstream_is_the_version_that_the_overrides_were_written_for(package):
    assert version(package) == VERSIONS[package]


@pytest.mark.parametrize(("name", "method"), leant_on())
def test_upstream_has_not_changed_under(name, method):
    signature = inspect.signature(getattr(CLASSES[name][1], method))
    assert fingerprint(name, method) == UPSTREAM.get(f"{name}.{method}"), f"look at {name}.{method}{signature}"


@pytest.mark.parametrize(("name", "method"), sorted(set(overrides())))
def test_the_override_says_what_it_replaces(name, method):
    ours = getattr(CLASSES[name][0], method)
    text = (ours.__doc__ or "") + inspect.getsource(ours)
    assert any(word in text for word in ("Replaces", "The other half", "Adds"))


def test_nothing_is_written_down_that_is_not_leant_on():
    assert sorted(UPSTREAM) == [f"{name}.{method}" for name, method in leant_on()]
