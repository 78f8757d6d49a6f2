"""The desktop chat exercise: its `{HEADER}body` protocol, with clients as the exercise describes them.

Such a client sends each message with one `send`, and treats whatever one `recv` returns as one message. (The window is
specified in test_desktop_window.py.)
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
        """Return one message: what one `recv` returns."""
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
    async def test_a_client_that_registers_is_welcomed_and_gets_the_list_in_a_separate_message(self):
        peer = await self.connect(self.port)
        peer.send("{REGISTER}Hugo")
        assert await self.recv(peer) == "{Hugo}Welcome, Hugo!"
        assert await self.recv(peer) == "{CLIENTS}Hugo"

    @gen_test
    async def test_the_others_are_told_who_came_and_get_the_new_list(self):
        await self.two()

    @gen_test
    async def test_a_message_to_all_reaches_everybody_including_the_sender(self):
        hugo, ada = await self.two()
        hugo.send("{ALL}hello")
        assert await self.recv(hugo) == "{ALL}Hugo: hello"
        assert await self.recv(ada) == "{ALL}Hugo: hello"

    @gen_test
    async def test_a_message_to_one_person_reaches_only_them(self):
        hugo, ada = await self.two()
        hugo.send("{ada}psst")
        assert await self.recv(ada) == "{ada}Hugo: psst"
        ada.send("{ALL}psst to you")
        assert await self.recv(hugo) == "{ALL}ada: psst to you"

    @gen_test
    async def test_quit_disconnects_the_client_and_the_others_are_told(self):
        hugo, ada = await self.two()
        hugo.send("{QUIT}")
        assert await hugo.ended() == ""
        assert await self.recv(ada) == "{ALL}Hugo has left the chat."
        assert await self.recv(ada) == "{CLIENTS}ada"

    @gen_test
    async def test_an_empty_message_and_a_closed_connection_do_the_same(self):
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
    async def test_a_taken_name_is_refused_with_a_message_that_clients_show(self):
        await self.register("Hugo")
        other = await self.connect(self.port)
        other.send("{REGISTER}Hugo")
        assert await self.recv(other) == "{ALL}Somebody here already has that name."
