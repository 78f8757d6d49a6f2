"""The TCP chat challenge, step by step: its requirements for the servers. (See test_terminal_client.py for the client.)

1. An echo server on port 7007.  2. Many clients at once.  3. A name, given with the first line.
4. Every line goes to everybody except its sender.  5. Commands.
"""

from tornado.testing import bind_unused_port, gen_test

from tests.gateways.doors import DoorTest
from webchat import echo


class Step1EchoServer(DoorTest):
    def setUp(self):
        super().setUp()
        sock, self.port = bind_unused_port()
        self.server = echo.EchoServer()
        self.server.add_sockets([sock])

    def tearDown(self):
        self.server.stop()
        super().tearDown()

    def test_it_listens_on_port_7007_of_this_machine(self):
        defaults = {parameter.name: parameter.default for parameter in echo.main.params}
        assert defaults == {"host": "127.0.0.1", "port": 7007}

    @gen_test
    async def test_a_line_comes_back_to_its_sender(self):
        peer = await self.connect(self.port)
        peer.send("hello\n")
        assert await peer.until("\n") == "hello\n"

    @gen_test
    async def test_it_returns_one_line_after_the_other(self):
        peer = await self.connect(self.port)
        for text in ("one", "two", "three"):
            peer.send(f"{text}\n")
            assert await peer.until("\n") == f"{text}\n"

    @gen_test
    async def test_a_client_that_leaves_does_not_affect_others(self):
        staying, leaving = await self.connect(self.port), await self.connect(self.port)
        leaving.reset()
        staying.send("still here\n")
        assert await staying.until("\n") == "still here\n"


class Step2ManyClients(DoorTest):
    @gen_test
    async def test_many_clients_are_connected_at_the_same_time_and_each_is_answered(self):
        port = self.open_lines()
        crowd = [await self.typist(port, f"guest {number}") for number in range(20)]
        for peer in crowd:
            peer.send("/users\n")
            await peer.until("-!- 20 here: ")

    @gen_test
    async def test_a_silent_client_does_not_hold_up_others(self):
        port = self.open_lines()
        await self.connect(port)
        hugo, ada = await self.typist(port, "Hugo"), await self.typist(port, "ada")
        hugo.send("hello\n")
        await ada.until("Hugo: hello\n")


class Step3Names(DoorTest):
    @gen_test
    async def test_the_first_line_is_the_name_and_later_ones_carry_it(self):
        port = self.open_lines()
        ada, hugo = await self.typist(port, "ada"), await self.connect(port)
        hugo.send("Hugo\n")
        hugo.send("hello\n")
        await ada.until("Hugo: hello\n")

    @gen_test
    async def test_a_client_that_repeats_its_name_in_every_line_is_shown_with_the_name_once(self):
        port = self.open_lines()
        ada, hugo = await self.typist(port, "ada"), await self.connect(port)
        hugo.send("Hugo: hello\n")
        hugo.send("Hugo: again\n")
        await ada.until("Hugo: hello\nHugo: again\n")

    @gen_test
    async def test_two_people_cannot_have_the_same_name(self):
        port = self.open_lines()
        await self.typist(port, "Hugo")
        other = await self.connect(port)
        other.send("hugo\n")
        await other.until("-!- Somebody here already has that name.\n")


class Step4Broadcast(DoorTest):
    @gen_test
    async def test_a_line_reaches_everybody_except_its_sender(self):
        port = self.open_lines()
        crowd = [await self.typist(port, name) for name in ("Hugo", "ada", "bob")]
        crowd[0].send("hello\n")
        for peer in crowd[1:]:
            await peer.until("Hugo: hello\n")
        crowd[1].send("hi\n")
        assert "Hugo: hello" not in await crowd[0].until("ada: hi\n")

    @gen_test
    async def test_arrivals_and_departures_are_announced_to_the_others(self):
        port = self.open_lines()
        ada = await self.typist(port, "ada")
        hugo = await self.typist(port, "Hugo")
        assert await ada.until("\n") == "-!- Hugo has joined\n"
        hugo.close()
        assert await ada.until("\n") == "-!- Hugo has left\n"

    @gen_test
    async def test_the_lines_of_each_sender_arrive_in_order(self):
        port = self.open_lines()
        hugo, ada = await self.typist(port, "Hugo"), await self.typist(port, "ada")
        hugo.send("".join(f"text {number}\n" for number in range(200)))
        heard = await ada.until("text 199\n")
        assert heard == "".join(f"Hugo: text {number}\n" for number in range(200))


class Step5Commands(DoorTest):
    def setUp(self):
        super().setUp()
        self.port = self.open_lines()

    async def two(self):
        hugo = await self.typist(self.port, "Hugo")
        ada = await self.typist(self.port, "ada")
        await hugo.until("-!- ada has joined\n")
        return hugo, ada

    @gen_test
    async def test_users(self):
        hugo, _ = await self.two()
        hugo.send("/users\n")
        assert await hugo.until("\n") == "-!- 2 here: Hugo | ada\n"

    @gen_test
    async def test_nick(self):
        hugo, ada = await self.two()
        hugo.send("/nick Hugo Boss\nhello\n")
        await ada.until("-!- Hugo Boss has joined\nHugo Boss: hello\n")

    @gen_test
    async def test_msg(self):
        hugo, ada = await self.two()
        bob = await self.typist(self.port, "bob")
        hugo.send("/msg ada psst\nhello\n")
        await ada.until("[private] Hugo: psst\n")
        assert await bob.until("hello\n") == "Hugo: hello\n"

    @gen_test
    async def test_quit(self):
        hugo, ada = await self.two()
        hugo.send("/quit\n")
        await hugo.ended()
        await ada.until("-!- Hugo has left\n")

    @gen_test
    async def test_help(self):
        hugo, _ = await self.two()
        hugo.send("/help\n")
        for command in ("/users", "/nick NAME", "/msg NAME text", "/quit"):
            await hugo.until(f"-!- {command} ")
