"""The echo server: sends everything back to its sender (RFC 862). A first exercise for line clients.

    python -m webchat.echo [--host HOST] [--port PORT]

It returns bytes as they arrive and does not wait for newlines, so it also serves clients that send none.
"""

import asyncio
import logging
import signal
import sys
from contextlib import suppress
from typing import Any

import click
from tornado.iostream import IOStream, StreamClosedError
from tornado.tcpserver import TCPServer

from webchat import streams
from webchat.config import HOST
from webchat.net import listen
from webchat.net.accept import PatientAccept

ECHO_CHUNK = 64 * 1024
"""Bytes read at once. They are written before the next are read, so that no client can fill the memory."""


class EchoServer(PatientAccept, TCPServer):
    """Sends back whatever it receives."""

    async def handle_stream(self, stream: IOStream, address: Any) -> None:
        with suppress(StreamClosedError):
            while True:
                await stream.write(await stream.read_bytes(ECHO_CHUNK, partial=True))


async def serve(host: str, port: int) -> None:
    """Run the server until SIGINT or SIGTERM. Raises OSError if the port cannot be opened."""
    sockets = listen.bind(port, host)
    server = EchoServer()
    server.add_sockets(sockets)
    stopped = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        streams.say(f"echo   [{host}]:{port}" if ":" in host else f"echo   {host}:{port}", sys.stdout)
    await stopped.wait()
    server.stop()


def _host(context: click.Context, parameter: click.Parameter, text: str) -> str:
    try:
        return str(HOST.parse(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not {HOST.noun}.", context, parameter) from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", default="127.0.0.1", show_default=True, callback=_host, help="Address to listen on.")
@click.option("--port", default=7007, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
def main(host: str, port: int) -> None:
    """Send every line back to its sender."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(host, port))
    except OSError as error:
        sys.exit(f"Port {port} on {host} cannot be opened ({error.strerror or error}); choose another with --port.")


if __name__ == "__main__":
    with streams.standard_streams():
        main()
