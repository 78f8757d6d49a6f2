"""The lines door, as people with telnet, nc and home-made clients use it."""

from tornado.testing import gen_test

from tests.gateways.doors import DoorTest
from tests.uv import OnUvloop
from webchat.chat.errors import SlowDown
from webchat.chat.events import Part
from webchat.codecs.commands import COMMANDS


class FirstLine(DoorTest):
    @gen_test
    async def test_a_new_connection_is_told_what_to_do(self):
        peer = await self.connect(self.open_lines())
        await peer.until("-!- Welcome to webchat. Type your name")

    @gen_test
    async def test_a_bare_name_logs_in_and_shows_who_is_here(self):
        port = self.open_lines()
        await self.typist(port, "Hugo")
        peer = await self.connect(port)
        peer.send("ada\n")
        await peer.until("-!- You are ada. 2 here: Hugo | ada\n")

    @gen_test
    async def test_a_name_with_a_text_logs_in_and_says_it(self):
        port = self.open_lines()
        hugo = await self.typist(port, "Hugo")
        ada = await self.connect(port)
        ada.send("ada: hello\n")
        assert await hugo.until("ada: hello\n") == "-!- ada has joined\nada: hello\n"

    @gen_test
    async def test_a_refused_name_is_explained_and_the_next_line_is_tried(self):
        port = self.open_lines()
        await self.typist(port, "Hugo")
        peer = await self.connect(port)
        peer.send("Hugo\nALL\nada\n")
        await peer.until("-!- Somebody here already has that name.\n")
        await peer.until("-!- ")
        await peer.until("-!- You are ada.")

    @gen_test
    async def test_an_account_needs_its_password(self):
        peer = await self.connect(self.open_lines())
        peer.send("Sue\n/login Sue wrong\n/login Sue password\n")
        await peer.until("Type: /login NAME PASSWORD\n")
        await peer.until("Type: /login NAME PASSWORD\n")
        await peer.until("-!- You are Sue*. 1 here: Sue*\n")

    @gen_test
    async def test_a_blank_line_is_refused_as_a_name(self):
        peer = await self.connect(self.open_lines(login_tries=3))
        peer.send("\n  \nHugo\n")
        await peer.until(("-!- A name needs something other than spaces and asterisks. "
                          "Type your name alone, or NAME: text\n") * 2)
        await peer.until("-!- You are Hugo.")

    @gen_test
    async def test_before_the_login_there_is_help_but_no_talk(self):
        peer = await self.connect(self.open_lines())
        peer.send("/help\n/users\n//hello\n/msg Hugo hi\n")
        await peer.until("-!- /quit")
        for _ in range(3):
            await peer.until("-!- Log in first.\n")


class Talking(DoorTest):
    def setUp(self):
        super().setUp()
        self.port = self.open_lines()

    async def two(self):
        hugo, ada = await self.typist(self.port, "Hugo"), await self.typist(self.port, "ada")
        await hugo.until("-!- ada has joined\n")
        return hugo, ada

    @gen_test
    async def test_a_line_is_said_to_everyone_else_and_not_to_its_sender(self):
        hugo, ada = await self.two()
        hugo.send("hello\n")
        await ada.until("Hugo: hello\n")
        ada.send("hi\n")
        assert await hugo.until("ada: hi\n") == "ada: hi\n"

    @gen_test
    async def test_ones_own_name_before_a_text_is_not_shown_twice(self):
        hugo, ada = await self.two()
        hugo.send("Hugo: one\nHugo:two\nHugo: Hugo: three\nada: four\n/me: \n")
        for text in ("one", "two", "Hugo: three", "ada: four"):
            assert await ada.until("\n") == f"Hugo: {text}\n"

    @gen_test
    async def test_blank_lines_are_ignored(self):
        hugo, ada = await self.two()
        hugo.send("\n  \nHugo: \nhello\n/users\n")
        assert await ada.until("hello\n") == "Hugo: hello\n"
        assert await hugo.until("here:") == "-!- 2 here:"

    @gen_test
    async def test_each_client_is_answered_in_its_own_line_ending(self):
        hugo, ada = await self.typist(self.port, "Hugo", "\r\n"), await self.typist(self.port, "ada")
        assert await hugo.until("-!- ada has joined\r\n")
        hugo.send("hello\r\n")
        assert await ada.until("\n") == "Hugo: hello\n"
        ada.send("hi\n/nick Zoë\n")
        assert await hugo.until("hi\r\n") == "ada: hi\r\n"
        assert await hugo.until("Zoë has joined\r\n") == "-!- ada has left\r\n-!- Zoë has joined\r\n"

    @gen_test
    async def test_somebody_who_respells_their_name_is_not_told_that_they_left(self):
        hugo, ada = await self.typist(self.port, "Hugo"), await self.typist(self.port, "ada")
        await hugo.until("-!- ada has joined\n")
        ada.send("/nick Ada\n")
        assert await hugo.until("Ada has joined\n") == "-!- ada has left\n-!- Ada has joined\n"
        hugo.send("hello\n")
        assert await ada.until("hello\n") == "-!- You are Ada. 2 here: Hugo | Ada\nHugo: hello\n"

    @gen_test
    async def test_leaving_gives_one_notice_however_it_happens(self):
        watcher = await self.typist(self.port, "watcher")

        def quits(peer):
            peer.send("/quit\n")

        for number, leave in enumerate([quits, lambda peer: peer.close(), lambda peer: peer.half_close(),
                                        lambda peer: peer.reset()]):
            peer = await self.typist(self.port, f"guest{number}")
            await watcher.until(f"-!- guest{number} has joined\n")
            leave(peer)
            assert await watcher.until("has left\n") == f"-!- guest{number} has left\n"
        watcher.send("/users\n")
        assert await watcher.until("\n") == "-!- 1 here: watcher\n"

    @gen_test
    async def test_private_messages(self):
        hugo, ada = await self.two()
        ada.send("/nick Ada Love\n")
        await ada.until("You are Ada Love")
        await hugo.until("-!- Ada Love has joined\n")
        hugo.send('/msg "Ada Love" psst\n/msg nobody psst\n/msg "Ada psst\n/msg Hugo\n')
        await ada.until("[private] Hugo: psst\n")
        await hugo.until("-!- Nobody of that name is here.\n")
        await hugo.until("-!- A name that begins with a quote")
        await hugo.until("-!- Add the text for Hugo: /msg NAME text")

    @gen_test
    async def test_nothing_after_quit_is_carried_out(self):
        hugo, ada = await self.two()
        hugo.send("/quit\nhello\n")
        hugo.send("hello\n")
        assert await ada.until("has left\n") == "-!- Hugo has left\n"
        assert (await hugo.ended()).endswith("-!- Goodbye.\n")
        assert not self.hub.refusals  # the hub has not even been asked

    @gen_test
    async def test_an_unfinished_line_is_not_said_when_the_connection_is_reset(self):
        hugo, ada = await self.two()
        hugo.send("hello\nunfinished")
        await ada.until("Hugo: hello\n")
        hugo.reset()
        assert await ada.until("has left\n") == "-!- Hugo has left\n"

    @gen_test
    async def test_people_who_have_logged_in_may_be_refused_as_often_as_they_like(self):
        hugo, ada = await self.two()
        hugo.send("/dance\n" * 30 + "hello\n")
        await ada.until("Hugo: hello\n")

    @gen_test
    async def test_a_session_has_the_address_of_its_peer(self):
        await self.two()
        assert {session.address for session in self.hub.sessions} == {"127.0.0.1"}

    @gen_test
    async def test_me_is_a_text_like_any_other(self):
        hugo, ada = await self.two()
        hugo.send("/me waves\n")
        await ada.until("Hugo: _waves_\n")

    @gen_test
    async def test_a_double_slash_says_a_slash_and_an_unknown_command_says_nothing(self):
        hugo, ada = await self.two()
        hugo.send("/dance\n//etc/hosts\n")
        await hugo.until("-!- There is no command /dance; /help")
        assert await ada.until("\n") == "Hugo: /etc/hosts\n"

    @gen_test
    async def test_help_prints_the_command_table(self):
        hugo = await self.typist(self.port, "Hugo")
        hugo.send("/help\n")
        text = await hugo.until("/quit")
        assert all(f"-!- {command}" in text for command in COMMANDS)

    @gen_test
    async def test_login_takes_the_name_of_an_account(self):
        hugo, ada = await self.two()
        hugo.send("/login Alex password\n")
        await hugo.until("-!- You are Alex*.")
        await ada.until("-!- Alex* has joined\n")
        hugo.send("Alex: hello\n")
        await ada.until("Alex*: hello\n")


class Rooms(DoorTest):
    async def member(self, name):
        peer = await self.connect(self.port)
        peer.send(f"/login {name} password\n")
        await peer.until("/help lists what else you can do.\n")
        return peer

    def setUp(self):
        super().setUp()
        self.port = self.open_lines()

    @gen_test
    async def test_after_join_plain_lines_go_to_the_room_until_part(self):
        sue, sandy, hugo = await self.member("Sue"), await self.member("Sandy"), await self.typist(self.port, "Hugo")
        sandy.send("/join #taskmaster\n")
        await sandy.until("What you type goes to #Taskmaster now")
        sue.send('/join "Taskmaster"\nto the room\n/all to all\n/part\nto all again\n')
        assert await hugo.until("Sue*: to all again\n") == "Sue*: to all\nSue*: to all again\n"
        await sandy.until("-!- Sue* has joined #Taskmaster\n")
        await sandy.until("[#Taskmaster] Sue*: to the room\n")
        await sandy.until("Sue*: to all again\n")
        await sue.until("-!- You have left the room. What you type goes to everyone again.\n")

    @gen_test
    async def test_after_taking_another_name_plain_lines_go_to_everyone(self):
        sue, hugo = await self.member("Sue"), await self.typist(self.port, "Hugo")
        sue.send("/join Taskmaster\n/nick Zoë\nhello\n")
        await hugo.until("Zoë: hello\n")
        assert "Join the room first." not in sue.received.decode()

    @gen_test
    async def test_after_a_refused_name_plain_lines_still_go_to_the_room(self):
        sue, sandy = await self.member("Sue"), await self.member("Sandy")
        sandy.send("/join Taskmaster\n")
        await sandy.until("What you type goes to #Taskmaster now")
        sue.send("/join Taskmaster\n/nick Sandy\n/login Sue password\nto the room\n")
        await sandy.until("[#Taskmaster] Sue*: to the room\n")

    @gen_test
    async def test_leaving_a_room_that_one_is_not_talking_in_changes_nothing_else(self):
        sue, sandy = await self.member("Sue"), await self.member("Sandy")
        sandy.send("/join Taskmaster\n")
        await sandy.until("What you type goes to #Taskmaster now")
        sue.send("/join Quite Interesting\n/join Taskmaster\n/part Quite Interesting\nto the room\n")
        await sandy.until("[#Taskmaster] Sue*: to the room\n")
        await sue.until("-!- You have left the room.\n")

    @gen_test
    async def test_after_a_refused_part_plain_lines_still_go_to_the_room(self):
        sue, sandy = await self.member("Sue"), await self.member("Sandy")
        handle = self.hub.handle

        async def handle_slowly(session, command):
            if isinstance(command, Part):
                raise SlowDown
            return await handle(session, command)

        self.hub.handle = handle_slowly
        sandy.send("/join Taskmaster\n")
        await sandy.until("What you type goes to #Taskmaster now")
        sue.send("/join Taskmaster\n/part\nto the room\n")
        await sandy.until("[#Taskmaster] Sue*: to the room\n")

    @gen_test
    async def test_a_room_may_be_left_in_any_spelling(self):
        sue, hugo = await self.member("Sue"), await self.typist(self.port, "Hugo")
        sue.send("/join Taskmaster\n/part #TASKMASTER\nto all\n")
        await hugo.until("Sue*: to all\n")

    @gen_test
    async def test_the_last_messages_are_shown_on_joining(self):
        sue = await self.member("Sue")
        sue.send("/join Taskmaster\n" + "".join(f"text {number}\n" for number in range(12)))
        sue.send("/users\n")
        await sue.until("1 here")
        sandy = await self.member("Sandy")
        sandy.send("/join Taskmaster\n")
        await sandy.until("-!- You are in #Taskmaster with Sue* | Sandy*.\n")
        await sandy.until("-!- What was said last in #Taskmaster:\n")
        history = await sandy.until("-!- ")
        assert history == "".join(f"[#Taskmaster] Sue*: text {number}\n" for number in range(2, 12)) + "-!- "

    @gen_test
    async def test_rooms_lists_ones_own_rooms_and_others_are_refused(self):
        sandy, hugo = await self.member("Sandy"), await self.typist(self.port, "Hugo")
        sandy.send("/rooms\n/join 8 out of 10 cats\n/join nowhere\n/part\n")
        await sandy.until("-!- Your rooms: Quite Interesting | Taskmaster\n")
        assert await sandy.until("\n") == await sandy.until("\n") == "-!- You are not a member of that room.\n"
        await sandy.until("-!- You are not talking in a room.\n")
        hugo.send("/rooms\n")
        await hugo.until("-!- You are not a member of any room.\n")
        sandy.send("/nick Zoë\n/rooms\n")
        await sandy.until("-!- You are not a member of any room.\n")


class HomeMade(DoorTest):
    @gen_test
    async def test_a_client_without_newlines_is_understood(self):
        port = self.open_lines()
        ada = await self.typist(port, "ada")
        hugo = await self.connect(port)
        hugo.send("Hugo")
        await hugo.until("-!- You are Hugo.")
        hugo.send("Hugo: hello")
        await ada.until("Hugo: hello\n")
        hugo.send("?")
        await ada.until("Hugo: ?\n")

    @gen_test
    async def test_a_line_typed_key_by_key_waits_for_its_newline(self):
        port = self.open_lines()
        ada, hugo = await self.typist(port, "ada"), await self.connect(port)
        for key in "Hugo\r\n":
            hugo.send(key)
            ada.send("/users\n")  # so that the server has read each key before the next one is sent
            await ada.until("here: ")
        await hugo.until("-!- You are Hugo.")

    @gen_test
    async def test_a_telnet_negotiation_is_answered_before_the_name_is_given(self):
        hugo = await self.connect(self.open_lines())
        await hugo.until("press Enter.\n")
        hugo.send(b"\xff\xf4\xff\xfd\x06")  # what Ctrl-C sends: DO TIMING-MARK
        while not hugo.received.endswith(b"\xff\xfc\x06"):
            assert await hugo.more()
        hugo.send(b"Hugo\r\0")
        await hugo.until(b"You are Hugo.")

    @gen_test
    async def test_a_pipe_says_its_last_line_without_a_newline_and_gets_its_answers(self):
        port = self.open_lines()
        ada, pipe = await self.typist(port, "ada"), await self.connect(port)
        pipe.send("bot\n/users\none\nthe last needs no newline")
        pipe.half_close()
        await ada.until("bot: one\nbot: the last needs no newline\n")
        await ada.until("-!- bot has left\n")
        assert "-!- 2 here: ada | bot\n" in await pipe.ended()


class Ending(DoorTest):
    @gen_test
    async def test_when_the_server_goes_down_every_connection_is_told_why_and_ended(self):
        port = self.open_lines()
        hugo, stranger = await self.typist(port, "Hugo"), await self.connect(port)
        await stranger.until("Welcome")
        await self.doors[0].drain("The server is going down.")
        for peer in (hugo, stranger):
            assert (await peer.ended()).endswith("-!- The server is going down.\n")
        assert not self.hub.sessions


class TalkingOnUvloop(OnUvloop, Talking):
    pass


class HomeMadeOnUvloop(OnUvloop, HomeMade):
    pass
