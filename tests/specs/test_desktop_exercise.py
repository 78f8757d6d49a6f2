"""The desktop chat exercise: its `{HEADER}body` protocol, with clients as the exercise has them written.

Such a client sends each message with one `send` and takes whatever one `recv` returns for one message.
(The window has tests of its own.)
"""

import inspect

from tornado.testing import gen_test

from tests.gateways.doors import DoorTest, Peer
from webchat.config import Config


class Exercise(DoorTest):
    def setUp(self):
        super().setUp()
        self.port = self.open_braces()

    async def recv(self, peer: Peer) -> str:
        """One message: what one `recv` returns."""
        if not peer.received:
            await peer.until("{")
            peer.received = peer.segments[-1]
        message, peer.received = peer.received, b""
        return message.decode()

    async def register(self, name: str) -> Peer:
        peer = await self.connect(self.port)
        peer.send("{REGISTER}" + name)
        assert await self.recv(peer) == f"{{{name}}}Welcome, {name}!"
        assert (await self.recv(peer)).startswith("{CLIENTS}")
        return peer

    async def two(self):
        hugo = await self.register("Hugo")
        ada = await self.register("ada")
        assert await self.recv(hugo) == "{ALL}ada has joined the chat!"
        assert await self.recv(hugo) == "{CLIENTS}Hugo|ada"
        return hugo, ada

    def test_the_server_listens_on_port_33002(self):
        assert inspect.signature(Config).parameters["braces_port"].default == 33002

    @gen_test
    async def test_whoever_registers_is_welcomed_and_then_gets_the_list_as_a_message_of_its_own(self):
        peer = await self.connect(self.port)
        peer.send("{REGISTER}Hugo")
        assert await self.recv(peer) == "{Hugo}Welcome, Hugo!"
        assert await self.recv(peer) == "{CLIENTS}Hugo"

    @gen_test
    async def test_the_others_hear_who_came_and_get_the_new_list(self):
        await self.two()

    @gen_test
    async def test_a_message_to_all_reaches_all_its_sender_included(self):
        hugo, ada = await self.two()
        hugo.send("{ALL}hello")
        assert await self.recv(hugo) == "{ALL}Hugo: hello"
        assert await self.recv(ada) == "{ALL}Hugo: hello"

    @gen_test
    async def test_a_message_to_one_reaches_only_him(self):
        hugo, ada = await self.two()
        hugo.send("{ada}psst")
        assert await self.recv(ada) == "{ada}Hugo: psst"
        ada.send("{ALL}he whispers")
        assert await self.recv(hugo) == "{ALL}ada: he whispers"

    @gen_test
    async def test_quit_disconnects_and_the_others_are_told(self):
        hugo, ada = await self.two()
        hugo.send("{QUIT}")
        assert await hugo.ended() == ""
        assert await self.recv(ada) == "{ALL}Hugo has left the chat."
        assert await self.recv(ada) == "{CLIENTS}ada"

    @gen_test
    async def test_so_do_an_empty_message_and_a_closed_window(self):
        hugo, ada = await self.two()
        bob = await self.register("bob")
        for _ in range(2):
            await self.recv(ada)
        hugo.send("\n")
        assert await self.recv(ada) == "{ALL}Hugo has left the chat."
        assert await self.recv(ada) == "{CLIENTS}ada|bob"
        bob.close()
        assert await self.recv(ada) == "{ALL}bob has left the chat."
        assert await self.recv(ada) == "{CLIENTS}ada"

    @gen_test
    async def test_a_name_that_is_taken_is_refused_with_a_message_that_the_window_shows(self):
        await self.register("Hugo")
        other = await self.connect(self.port)
        other.send("{REGISTER}Hugo")
        assert await self.recv(other) == "{ALL}Somebody here already has that name."
