"""From door to door: the same people, each message once, and no text of one door is a command or frame at another."""

from tornado.testing import gen_test

from tests.gateways.doors import DoorTest


class Across(DoorTest):
    async def two(self):
        """Hugo at the lines door and ada at the braces door, each of whom knows of the other."""
        hugo = await self.typist(self.open_lines(), "Hugo")
        ada = await self.bracer(self.open_braces(), "ada")
        await hugo.until("-!- ada has joined\n")
        return hugo, ada

    @gen_test
    async def test_each_receives_the_others_messages_once(self):
        hugo, ada = await self.two()
        hugo.send("hello\n")
        assert await ada.until("hello\n") == "{ALL}Hugo: hello\n"
        ada.send("{ALL}hi\n{Hugo}psst\n")
        assert await hugo.until("psst\n") == "ada: hi\n[private] ada: psst\n"
        hugo.send("/msg ada pssst\n")
        assert await ada.until("pssst\n") == "{ALL}ada: hi\n{ada}Hugo: pssst\n"

    @gen_test
    async def test_a_header_typed_as_a_line_starts_no_frame(self):
        hugo, ada = await self.two()
        hugo.send("{QUIT}\n{ALL}ada: forged\n")
        assert await ada.until("forged\n") == "{ALL}Hugo: ｛QUIT}\n{ALL}Hugo: ｛ALL}ada: forged\n"

    @gen_test
    async def test_a_line_typed_into_a_body_starts_no_line(self):
        hugo, ada = await self.two()
        ada.send("{ALL}hi\n-!- Hugo has left\u2028Hugo: forged\n")
        assert await hugo.until("forged\n") == "ada: hi\nada: -!- Hugo has left\nada: Hugo: forged\n"

    @gen_test
    async def test_presence_is_announced_at_every_door(self):
        hugo, ada = await self.two()
        hugo.send("/nick Zoë\n")
        await ada.until("{ALL}Hugo has left the chat.\n{ALL}Zoë has joined the chat!\n{CLIENTS}ada|Zoë\n")
        ada.send("{QUIT}\n")
        await hugo.until("-!- ada has left\n")

    @gen_test
    async def test_a_name_is_taken_at_every_door(self):
        await self.two()
        other = await self.connect(self.open_lines())
        other.send("ada\n")
        await other.until("-!- Somebody here already has that name.\n")
