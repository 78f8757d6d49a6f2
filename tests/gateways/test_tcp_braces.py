"""The braces door, as the desktop window and the exercise's own clients meet it."""

from tornado.testing import gen_test

from tests.gateways.doors import DoorTest
from tests.uv import OnUvloop
from webchat.gateways.braces import FRAME_GAP, MAX_AT_FULL_GAP, Pacer


class WithNewlines(DoorTest):
    def setUp(self):
        super().setUp()
        self.port = self.open_braces()

    async def two(self):
        hugo, ada = await self.bracer(self.port, "Hugo"), await self.bracer(self.port, "ada")
        await hugo.until("{CLIENTS}Hugo|ada\n")
        return hugo, ada

    @gen_test
    async def test_a_name_is_welcomed_and_then_everybody_gets_the_list(self):
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo\n")
        assert await hugo.until("{CLIENTS}Hugo\n") == "{Hugo}Welcome, Hugo!\n{CLIENTS}Hugo\n"
        ada = await self.connect(self.port)
        ada.send("{REGISTER}ada\n")
        assert await ada.until("{CLIENTS}Hugo|ada\n") == "{ada}Welcome, ada!\n{CLIENTS}Hugo|ada\n"
        assert await hugo.until("{CLIENTS}Hugo|ada\n") == "{ALL}ada has joined the chat!\n{CLIENTS}Hugo|ada\n"

    @gen_test
    async def test_the_list_follows_the_welcome_before_what_else_came_with_the_name(self):
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo\n{ALL}hi\n")
        told = await hugo.until("{ALL}Hugo: hi\n")
        assert told == "{Hugo}Welcome, Hugo!\n{CLIENTS}Hugo\n{ALL}Hugo: hi\n"

    @gen_test
    async def test_a_message_to_all_comes_back_to_its_sender_and_a_private_one_does_not(self):
        hugo, ada = await self.two()
        hugo.send("{ada}psst\n{ALL}hello\n")
        assert await hugo.until("hello\n") == "{ALL}Hugo: hello\n"
        assert await ada.until("hello\n") == "{ada}Hugo: psst\n{ALL}Hugo: hello\n"

    @gen_test
    async def test_each_line_of_a_text_is_a_frame_and_no_text_starts_one(self):
        hugo, ada = await self.two()
        hugo.send("{ALL}one\nHugo has left the chat. {CLIENTS?}\n")
        assert await ada.until("}\n") == "{ALL}Hugo: one\n{ALL}Hugo: Hugo has left the chat. ｛CLIENTS?}\n"

    @gen_test
    async def test_every_way_of_leaving_tells_the_others_and_closes(self):
        hugo = await self.bracer(self.port, "Hugo")
        ways = ["{QUIT}\n", "\n", lambda peer: peer.half_close(), lambda peer: peer.reset()]
        for number, way in enumerate(ways):
            guest = await self.bracer(self.port, f"guest{number}")
            await hugo.until(f"{{CLIENTS}}Hugo|guest{number}\n")
            guest.send(way) if isinstance(way, str) else way(guest)
            assert await hugo.until("{CLIENTS}Hugo\n") == f"{{ALL}}guest{number} has left the chat.\n{{CLIENTS}}Hugo\n"
            await guest.ended()

    @gen_test
    async def test_refusals_are_sentences_to_all_without_a_sender_and_nothing_is_lost(self):
        await self.bracer(self.port, "Hugo")
        ada = await self.connect(self.port)
        ada.send("{ALL}too early\n{REGISTER}Hugo\n{REGISTER}Sue\n{REGISTER}ada\n{nobody}hi\nHi!\n{CLIENTS}\n")
        await ada.until("{ALL}Log in first.\n")
        await ada.until("{ALL}Somebody here already has that name.\n")
        await ada.until("{ALL}That name belongs to an account")
        await ada.until("{ada}Welcome, ada!\n")
        await ada.until("{ALL}Nobody of that name is here.\n")
        await ada.until("{CLIENTS}Hugo|ada\n")

    @gen_test
    async def test_text_without_a_header_is_explained(self):
        ada = await self.bracer(self.port, "ada")
        ada.send("hello\n")
        await ada.until("{ALL}A message begins with ALL, or a name, in braces.\n")

    @gen_test
    async def test_an_account_registers_with_a_bar_and_its_password(self):
        sue = await self.connect(self.port)
        sue.send("{REGISTER}Sue|password\n")
        assert await sue.until("{CLIENTS}Sue*\n") == "{Sue*}Welcome, Sue*!\n{CLIENTS}Sue*\n"
        hugo = await self.bracer(self.port, "Hugo")
        await sue.until("{CLIENTS}Sue*|Hugo\n")
        hugo.send("{Sue*}one\n{Sue}two\n")
        assert await sue.until("two\n") == "{Sue*}Hugo: one\n{Sue*}Hugo: two\n"

    @gen_test
    async def test_registering_again_takes_another_name(self):
        hugo, ada = await self.two()
        hugo.send("{REGISTER}Zoë\n")
        await hugo.until("{Zoë}Welcome, Zoë!\n{CLIENTS}ada|Zoë\n")
        await ada.until("{ALL}Hugo has left the chat.\n{ALL}Zoë has joined the chat!\n{CLIENTS}ada|Zoë\n")


class WithoutNewlines(DoorTest):
    def setUp(self):
        super().setUp()
        self.port = self.open_braces()

    @gen_test
    async def test_each_message_is_its_own_write_at_least_50_ms_after_the_last(self):
        ada = await self.bracer(self.port, "ada", "\n")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo")
        await hugo.until("{CLIENTS}ada|Hugo")
        await ada.until("{CLIENTS}ada|Hugo\n")
        ada.send("{ALL}one\n{Hugo}two\n{ALL}three\nfour\n")
        await hugo.until("four")
        times, segments = zip(*hugo.segments, strict=True)
        assert list(segments) == [
            b"{Hugo}Welcome, Hugo!", b"{CLIENTS}ada|Hugo",
            b"{ALL}ada: one", b"{Hugo}ada: two", b"{ALL}ada: three", b"{ALL}ada: four",
        ]
        gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
        assert min(gaps) > FRAME_GAP * 0.8  # a read may be late, and the one after it on time

    @gen_test
    async def test_who_went_before_anybody_was_told_of_him_does_not_stay_in_the_list(self):
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo")
        await hugo.until("Welcome, Hugo!")
        ghost = await self.typist(self.open_lines(), "ghost")  # before the list is written, a gap after the welcome
        await hugo.until("{CLIENTS}Hugo|ghost")
        ghost.close()
        await hugo.until("{CLIENTS}Hugo")

    @gen_test
    async def test_several_in_one_segment_and_a_newline_in_a_body_are_understood(self):
        ada = await self.bracer(self.port, "ada", "\n")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo{ALL}hello{ada}psst{ALL}one\ntwo")
        await ada.until("{ALL}Hugo: hello\n")
        await ada.until("{ada}Hugo: psst\n")
        await ada.until("{ALL}Hugo: one\n{ALL}Hugo: two\n")

    @gen_test
    async def test_a_character_split_in_two_is_put_together(self):
        ada = await self.bracer(self.port, "ada", "\n")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo")
        await hugo.until("{CLIENTS}")
        data = "{ALL}Zoë".encode()
        hugo.send(data[:-1])
        ada.send("{CLIENTS}\n")  # a turn of the server's between the two halves
        await ada.until("{CLIENTS}ada|Hugo\n")
        hugo.send(data[-1:])
        await ada.until("{ALL}Hugo: Zoë\n")

    @gen_test
    async def test_a_blank_segment_disconnects(self):
        ada = await self.bracer(self.port, "ada", "\n")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo")
        await hugo.until("{CLIENTS}")
        hugo.send(" ")
        await hugo.ended()
        await ada.until("{ALL}Hugo has left the chat.\n")


class WithNewlinesOnUvloop(OnUvloop, WithNewlines):
    pass


class WithoutNewlinesOnUvloop(OnUvloop, WithoutNewlines):
    pass


class Timer:
    def cancel(self):
        pass


class FakeQueue:
    def __init__(self):
        self.sent = []

    def send(self, chunk):
        self.sent.append(chunk)


class Pacing(DoorTest):
    """The pacer on a loop whose timers are moved by hand."""

    def setUp(self):
        super().setUp()
        self.queue, self.overflows, self.rosters = FakeQueue(), [], iter([b"{CLIENTS}1", b"{CLIENTS}2"])
        self.delays = []
        self.pacer = self.io_loop.run_sync(self.make)

    async def make(self):
        pacer = Pacer(self.queue, lambda: next(self.rosters), 1000, self.overflows.append)
        pacer._loop = self
        return pacer

    def call_later(self, delay, callback):
        self.delays.append(delay)
        self.due = callback
        return Timer()

    def call_soon(self, callback, *args):
        callback(*args)

    def test_the_first_leaves_at_once_and_the_others_one_by_one(self):
        for chunk in (b"1", b"2", b"3"):
            self.pacer.send(chunk)
        assert self.queue.sent == [b"1"]
        self.due()
        assert self.queue.sent == [b"1", b"2"]
        self.due()
        self.due()
        assert self.queue.sent == [b"1", b"2", b"3"]
        assert self.delays == [FRAME_GAP] * 3

    def test_lists_of_people_that_fall_due_together_are_sent_once_as_they_stand_then(self):
        self.pacer.send(b"1")
        for _ in range(3):
            self.pacer.send_roster()
        self.pacer.send(b"2")
        self.due()
        self.due()
        assert self.queue.sent == [b"1", b"{CLIENTS}1", b"2"]

    def test_a_long_queue_shrinks_the_gaps(self):
        for _ in range(4 * MAX_AT_FULL_GAP):
            self.pacer.send(b"x")
        self.due()
        assert self.delays[-1] < FRAME_GAP / 3

    def test_a_queue_beyond_its_bound_is_given_up(self):
        for _ in range(12):
            self.pacer.send(b"x" * 100)
        assert len(self.overflows) == 1
        assert self.queue.sent == [b"x" * 100]
