"""The HTTP door: the page, Socket.IO, `/ws`, `/healthz` and `/metrics` on one port."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable

from socketio import ASGIApp
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.web import Application, RequestHandler

from webchat.chat.hub import Hub
from webchat.chat.limits import LOGIN_TIME
from webchat.codecs import json_events
from webchat.config import Config
from webchat.gateways import monitoring, pages
from webchat.gateways.monitoring import Health, Metrics
from webchat.gateways.socketio import SocketIODoor
from webchat.gateways.websocket import WebSocketDoor
from webchat.net import asgi
from webchat.net.engineio.websocket_only import websocket_only
from webchat.net.entrance import Entrance
from webchat.net.hosts import Hosts
from webchat.net.http_server import MAX_BODY, ForwardedLimit, HTTPServer, PrefixRouter
from webchat.net.origins import Origins
from webchat.net.outbox import Outbox
from webchat.net.socketio import AsyncServer


class WebDoor:
    """Everything that is reached over HTTP."""

    def __init__(self, config: Config, hub: Hub, outbox: Outbox, entrance: Entrance, *, metrics: Metrics,
                 health: Callable[[], Health]):
        origins, proxies = Origins(config.allow_origin), entrance.proxies
        self._socketio = AsyncServer(
            async_mode="asgi", async_handlers=False, cors_allowed_origins=origins.allows_request,
            connect_timeout=LOGIN_TIME, max_attachments=0, max_http_buffer_size=json_events.MAX_REQUEST,
            admit=lambda environ: entrance.sessions.take(proxies.of_environ(environ)))
        self._chat = SocketIODoor(hub, self._socketio, proxies)
        self._websocket = WebSocketDoor(hub, outbox, origins, proxies)
        socketio_app = ASGIApp(self._socketio)
        if config.workers > 1:
            socketio_app = websocket_only(socketio_app)
        mount = asgi.Mount(socketio_app, outbox=outbox, max_body_size=MAX_BODY,
                           max_message_size=json_events.MAX_REQUEST)
        application = Application(
            [
                *self._websocket.routes(),
                *pages.routes(),
                *monitoring.routes(health=health, registry=metrics.registry, proxies=proxies,
                                   metrics_token=config.metrics_token),
            ],
            default_handler_class=pages.NotFound, log_function=_log_nothing)
        router: HTTPServerConnectionDelegate = PrefixRouter("/socket.io/", mount, application)
        if config.trusted_proxy:
            router = ForwardedLimit(proxies, router)
        self._server = HTTPServer(router, hosts=_hosts(config), refusal_headers=pages.SECURITY)

    def add_sockets(self, sockets: Iterable[socket.socket], entrance: Entrance | None = None) -> None:
        """Accept connections on these listening sockets."""
        self._server.add_sockets(sockets, entrance)

    def use_tls(self, context: ssl.SSLContext | None) -> None:
        """Speak TLS with those who connect from now on."""
        self._server.use_tls(context)

    def stop(self) -> None:
        """Accept no more connections."""
        self._server.stop()

    async def drain(self, reason: str) -> None:
        """Tell the Socket.IO and WebSocket clients why, and return when their connections have ended."""
        await asyncio.gather(self._socketio.eio.disconnect(), self._websocket.drain(reason))


def _hosts(config: Config) -> Hosts:
    """The names of this server. One whose pages may connect, because `--allow-origin` says so, is no stranger's."""
    of_origins = (origin.partition("://")[2] for origin in config.allow_origin)
    names = filter(None, (config.host, *config.allow_host, *of_origins))
    return Hosts(names, advice="If that is one of its names, start webchat with --allow-host {name}.")


def _log_nothing(handler: RequestHandler) -> None:
    """Log no requests: they would tell who was here, and webchat stores nothing about its users."""
