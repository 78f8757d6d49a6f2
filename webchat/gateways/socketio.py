"""The door for Socket.IO clients: the browser's page first of all."""

import asyncio
from functools import partial
from typing import Any

import msgspec

from webchat.chat.errors import BadMessage, ChatError, LoginRequired
from webchat.chat.events import Event, Notice
from webchat.chat.hub import Hub
from webchat.chat.limits import LOGIN_TIME
from webchat.chat.session import Session
from webchat.codecs import json_events
from webchat.net.frames import text_frame
from webchat.net.proxies import Proxies
from webchat.net.socketio import AsyncServer

MESSAGE_EVENT = b"42"
"""An Engine.IO message with a Socket.IO event for the namespace `/`."""


def encode(event: Event) -> bytes:
    """Encode an event as the frame that all clients of this door share.

    The result is what `AsyncServer.frame` returns, without its search for binary data in every name.
    """
    return text_frame(MESSAGE_EVENT + msgspec.json.encode(json_events.payload(event)))


class SocketIODoor:
    """Binds a Socket.IO server's namespace `/` to the hub; `login_time` in seconds.

    A client logs in with the handshake's `auth`, or with the event `connected` afterwards. Either way a refused login
    leaves nothing behind: no session, no name, no connection.
    """

    def __init__(self, hub: Hub, server: AsyncServer, proxies: Proxies, login_time: float = LOGIN_TIME):
        self._hub = hub
        self._server = server
        self._proxies = proxies
        self._login_time = login_time
        self._sessions: dict[str, Session] = {}
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        server.on("connected", self._connected)
        for event in json_events.COMMAND_NAMES - {"connected", "login"}:
            server.on(event, partial(self._request, event))
        server.unacknowledged = self._unacknowledged

    def __len__(self) -> int:
        return len(self._sessions)

    async def drain(self, reason: str) -> None:
        """Disconnect all clients; what was sent to them before arrives first."""
        await self._server.eio.disconnect()

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """The client's CONNECT, which may hold its login."""
        try:
            session = self._sessions[sid] = self._hub.open(
                encode=encode, outlet=self._server.socket(sid), address=self._proxies.of_environ(environ))
            if isinstance(auth, dict) and "username" in auth:
                session.send(await self._log_in(session, auth))
            elif auth:
                raise BadMessage("The auth of a handshake is an object with a username.")
            else:
                asyncio.get_running_loop().call_later(self._login_time, self._login_overdue, session)
        except ChatError as error:
            self._disconnect(sid)
            raise ConnectionRefusedError(str(error), {"code": error.code}) from error

    async def _connected(self, sid: str, auth: Any = None, *_: Any) -> dict[str, Any]:
        """The login of a client that has connected without one."""
        session = self._sessions[sid]
        try:
            welcome = await self._log_in(session, auth)
        except ChatError as error:
            if session.person is None:
                self._hub.close(session)
                # The answer to the request goes out first.
                asyncio.get_running_loop().call_soon(session.outlet.close, str(error))
            return json_events.error_answer(error)
        session.send(welcome)
        return json_events.acknowledgement(welcome)

    async def _log_in(self, session: Session, auth: Any) -> Any:
        return await self._hub.handle(session, json_events.command("connected", auth))

    async def _request(self, event: str, sid: str, payload: Any = None, *_: Any) -> dict[str, Any] | None:
        try:
            receipt = await self._hub.handle(self._sessions[sid], json_events.command(event, payload))
        except ChatError as error:
            return json_events.error_answer(error)
        return json_events.acknowledgement(receipt) if event != "typing" else None

    def _unacknowledged(self, event: str, sid: str, answer: Any) -> None:
        """Send a refusal as a notice if no acknowledgement takes it to the client; typing hints are not worth one."""
        session = self._sessions.get(sid)
        if session and isinstance(answer, dict) and not answer["ok"] and event != "typing":
            session.send(Notice(answer["code"], answer["message"]))

    def _disconnect(self, sid: str, *_: Any) -> None:
        if session := self._sessions.pop(sid, None):
            self._hub.close(session)

    def _login_overdue(self, session: Session) -> None:
        if session.person is None and not session.closed:
            error = LoginRequired("Nobody logged in on this connection in time.")
            session.send(Notice(error.code, str(error)))
            session.outlet.close(str(error))
