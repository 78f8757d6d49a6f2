"""Clients of other protocols at a TCP door: they are told so in their own manner, closed, and taken for nobody."""

import asyncio
import http.client
import shutil
import smtplib
import socket
import ssl
import subprocess

import pytest
from tornado.testing import gen_test

from tests.codecs.test_greetings import EACH
from tests.gateways.doors import PATIENCE, DoorTest, Timers
from tests.gateways.standalone import doors
from tests.gateways.test_tcp_bad_behaviour import Braces, Lines, Reading
from webchat.codecs.greetings import Greeting
from webchat.gateways.braces import BraceDoor
from webchat.gateways.lines import GREETING_DELAY, LineDoor


class OtherProtocols(Reading):
    """What both doors have in common."""

    @gen_test
    async def test_each_is_answered_in_its_own_manner_alone_and_nobody_hears_of_it(self):
        port = self.open_it()
        ada = await self.enter(port, "ada")
        for _, opening in EACH:
            stranger = await self.connect(port)
            stranger.send(opening)
            while await stranger.more():
                pass
            assert stranger.received == Greeting().receive(opening).answer(self.purpose)
            assert not stranger.was_reset
            stranger.close()
        hugo = await self.enter(port, "Hugo")
        hugo.send(self.saying("hello"))
        heard = await self.hear(ada, "Hugo", "hello")
        assert "left" not in heard
        assert heard.count("joined") == 1

    @gen_test
    async def test_a_password_in_a_greeting_reaches_neither_people_nor_log(self):
        port = self.open_it()
        ada = await self.enter(port, "ada")
        with self.assertNoLogs("webchat"):
            stranger = await self.connect(port)
            stranger.send("PASS s3cretpw\r\nNICK hugo\r\nUSER hugo 0 * :Hugo\r\n")
            assert "s3cretpw" not in await stranger.ended()
            assert "s3cretpw" not in await self.server_has_read(ada, "ada")

    @gen_test
    async def test_who_ends_their_input_after_the_greeting_is_answered_too(self):
        port = self.open_it()
        for opening in (b"CAP LS 302", b"EHLO laptop", b"*1\r\n$4\r\nPING\r\n"):
            stranger = await self.connect(port)
            stranger.send(opening)
            stranger.half_close()
            assert self.purpose in await stranger.ended()


class AtTheLinesDoor(Lines, OtherProtocols, DoorTest):
    purpose = LineDoor.purpose

    @gen_test
    async def test_names_that_begin_like_a_greeting_are_names(self):
        port = self.open_it()
        for name in ("Nick Cave", "Pass auf", "Help", "User 7", "Cap", "helo world"):
            await self.enter(port, name)

    @gen_test
    async def test_people_are_greeted_when_they_have_waited_or_have_typed_something(self):
        for types in (False, True):
            timers = Timers()
            peer = await self.connect(self.open_it(call_later=timers.call_later))
            if types:
                peer.send("\n")
            else:
                while not timers.pending_for(GREETING_DELAY):
                    await asyncio.sleep(0)
                timers.pending_for(GREETING_DELAY)[0].expire()
            assert await peer.until("\n") == "-!- Welcome to webchat. Type your name and press Enter.\n"
            assert not timers.pending_for(GREETING_DELAY)


class AtTheBracesDoor(Braces, OtherProtocols, DoorTest):
    purpose = BraceDoor.purpose


@pytest.fixture(scope="module")
def server():
    with doors() as running:
        yield running


@pytest.fixture(params=["lines", "braces"])
def port(request, server):
    return getattr(server, f"{request.param}_port")


class TestRealClients:
    """Each shows its user the sentence, as far as its protocol has a place for one."""

    def output(self, *command: str) -> str:
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
        return done.stdout + done.stderr

    def test_python_s_http_client(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, PATIENCE)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:17]) == (400, b"This port is for ")

    def test_curl(self, port):
        assert "This port is for " in self.output("curl", "-s", f"http://127.0.0.1:{port}/")

    def test_python_s_mail_client(self, port):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            mail = smtplib.SMTP()
            mail.sock, mail.file = client, client.makefile("rb")
            assert mail.ehlo("laptop")[0] == 554

    def test_ssh(self, port):
        told = self.output("ssh", "-F", "none", "-o", "BatchMode=yes", "-p", str(port), "nobody@127.0.0.1")
        assert "This port is for " in told

    def test_redis_cli(self, port):
        assert "ERR This port is for " in self.output("redis-cli", "-2", "-p", str(port), "PING")

    def test_tls(self, port):
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            context.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname="127.0.0.1")
