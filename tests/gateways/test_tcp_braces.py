"""The braces door, as the desktop window and clients written as an exercise use it."""

import asyncio

import pytest
from tornado.iostream import StreamClosedError
from tornado.testing import gen_test

from tests.gateways.doors import DoorTest, Timers
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
    async def test_a_new_name_is_welcomed_and_then_everybody_gets_the_list(self):
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
        hugo.send("{ALL}one\nHugo has left the chat. {MSG}\n")
        assert await ada.until("}\n") == "{ALL}Hugo: one\n{ALL}Hugo: Hugo has left the chat. ｛MSG}\n"

    @gen_test
    async def test_code_with_braces_arrives_as_it_was_typed_on_this_door_and_on_another(self):
        hugo, ada = await self.two()
        typist = await self.typist(self.open_lines(), "typist")
        code = 'if (a) {b} else {x: {"y": [{}]}}'
        hugo.send(f"{{ALL}}{code}\n")
        await ada.until(f"{{ALL}}Hugo: {code}\n")
        await typist.until(f"Hugo: {code}\n")
        typist.send(f"{code} {{ada}} {{ALL}}\n")
        await ada.until("{ALL}typist: " + code + " ｛ada} ｛ALL}\n")

    @gen_test
    async def test_the_name_of_an_account_is_disarmed_with_and_without_its_asterisk(self):
        hugo, ada = await self.two()
        typist = await self.typist(self.open_lines(), "typist")
        typist.send("{Sue} {Sue*}\n")
        await ada.until("{ALL}typist: {Sue} {Sue*}\n")
        sue = await self.connect(self.port)
        sue.send("{REGISTER}Sue|password\n")
        await sue.until("{CLIENTS}")
        typist.send("{Sue} {Sue*}\n")
        await ada.until("{ALL}typist: ｛Sue} ｛Sue*}\n")

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
    async def test_refusals_are_sentences_without_a_sender_and_the_rest_of_the_segment_is_read(self):
        await self.bracer(self.port, "Hugo")
        ada = await self.connect(self.port)
        ada.send("{ALL}too early\n{REGISTER}Hugo\n{REGISTER}Sue\n{REGISTER}ada\n{nobody}hi\nHi!\n{CLIENTS}\n")
        await ada.until("{ALL}Log in first. Type {REGISTER}NAME\n")
        await ada.until("{ALL}Somebody here already has that name.\n")
        await ada.until("{ALL}That name belongs to an account")
        await ada.until("{ada}Welcome, ada!\n")
        await ada.until("{ALL}Nobody of that name is here.\n")
        await ada.until("{CLIENTS}Hugo|ada\n")

    @gen_test
    async def test_several_requests_for_the_list_in_one_segment_are_answered_once(self):
        hugo, ada = await self.two()
        hugo.send("{CLIENTS}\n" * 5 + "{Hugo}psst\n")
        told = await hugo.until("{Hugo}Hugo: psst\n")
        hugo.send("{Hugo}again\n")
        told += await hugo.until("{Hugo}Hugo: again\n")
        assert told.count("{CLIENTS}") == 1

    @gen_test
    async def test_nothing_after_quit_is_carried_out(self):
        hugo, ada = await self.two()
        hugo.send("{QUIT}\n{ALL}hello\n")
        hugo.send("{ALL}hello\n")
        assert "hello" not in await ada.until("{CLIENTS}ada\n")
        await hugo.ended()
        assert not self.hub.refusals  # the hub has not even been asked

    @gen_test
    async def test_a_stranger_is_not_told_who_is_here(self):
        await self.two()
        stranger = await self.connect(self.port)
        stranger.send("{CLIENTS}\n")
        assert await stranger.until("\n") == "{ALL}Log in first. Type {REGISTER}NAME\n"
        stranger.send("{ALL}{CLIENTS}\n{QUIT}\n")
        assert await stranger.ended() == "{ALL}Log in first. Type {REGISTER}NAME\n" * 2

    @gen_test
    async def test_the_number_of_refusals_does_not_tell_a_stranger_which_names_are_taken(self):
        await self.two()
        for name in ("Hugo", "nobody"):
            stranger = await self.connect(self.port)
            stranger.send(f"{{ALL}}one {{{name}}}two\n{{QUIT}}\n")
            assert await stranger.ended() == "{ALL}Log in first. Type {REGISTER}NAME\n"
            stranger = await self.connect(self.port)
            stranger.send(f"{{REGISTER}}ada\n{{ALL}}one {{{name}}}two\n{{QUIT}}\n")
            assert await stranger.ended() == ("{ALL}Somebody here already has that name.\n"
                                              "{ALL}Log in first. Type {REGISTER}NAME\n")

    @gen_test
    async def test_the_greeting_of_another_protocols_client_is_refused_with_what_to_type(self):
        for greeting in ("<REGISTER>:Pitch", "/nick Pitch", "Pitch", "REGISTER Pitch", "{NICK}Pitch", "{register}Pitch",
                         '{"type":"login","username":"Pitch"}', '{"type":"login","username":"Pitch"' + " " * 40 + "}"):
            pitch = await self.connect(self.port)
            pitch.send(greeting + "\n")
            assert await pitch.until("\n") == "{ALL}Log in first. Type {REGISTER}NAME\n"
            pitch.send("{REGISTER}Pitch\n")
            await pitch.until("{Pitch}Welcome, Pitch!\n")
            pitch.send("{QUIT}\n")
            await pitch.ended()

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


class RecordingStream:
    """Stands in for a connection's stream, and its socket: gives one segment, and keeps what is written."""

    looked_at = 0.0

    def __init__(self, segment):
        self.socket = self
        self.writes = []
        self._segments = [segment]
        self._reading = None

    def send(self, data):
        self.writes.append(data)
        return len(data)

    def read_bytes(self, *args, **kwargs):
        self._reading = asyncio.get_running_loop().create_future()
        if self._segments:
            self._reading.set_result(self._segments.pop())
        return self._reading

    def closed(self):
        return self._reading is not None and self._reading.done()

    def close(self):
        if not self.closed():
            self._reading.set_exception(StreamClosedError())


class Writes(DoorTest):
    async def writes(self, segment, **settings):
        """What the server writes to a connection that sends this segment, until it has nothing more to read."""
        self.open_braces(**settings)
        stream = RecordingStream(segment)
        serving = asyncio.ensure_future(self.doors[0].handle_stream(stream, ("127.0.0.1", 1)))
        while stream.closed() or len(stream.writes) < 2:
            await asyncio.sleep(0)
        stream.close()
        await serving
        return stream.writes

    @gen_test
    async def test_the_list_is_a_write_of_its_own_after_the_welcome(self):
        welcome, clients, *_ = await self.writes(b"{REGISTER}Hugo\n")
        assert (welcome, clients) == (b"{Hugo}Welcome, Hugo!\n", b"{CLIENTS}Hugo\n")

    @gen_test
    async def test_without_newlines_even_without_a_gap_the_list_is_a_write_of_its_own(self):
        welcome, clients, *_ = await self.writes(b"{REGISTER}Hugo{CLIENTS}", gap=0)
        assert (welcome, clients) == (b"{Hugo}Welcome, Hugo!", b"{CLIENTS}Hugo")


class WithoutNewlines(DoorTest):
    """The gaps between messages end when a test says so."""

    def setUp(self):
        super().setUp()
        self.timers = Timers()
        self.port = self.open_braces(call_later=self.timers.call_later)

    async def bare(self, name):
        """Somebody without newlines who has registered; their list of people has been written."""
        peer = await self.connect(self.port)
        peer.send("{REGISTER}" + name)
        await peer.until(f"{{{name}}}Welcome, {name}!")
        self.end_gap()
        await peer.until("{CLIENTS}")
        await peer.until(name)
        self.end_gap()
        return peer

    def end_gap(self):
        for timer in self.timers.pending_for(FRAME_GAP):
            timer.expire()

    async def server_has_read(self, peer, name):
        """Wait until the server has read everything that any peer has sent so far."""
        for text in ("one", "two"):
            peer.send(f"{{{name}}}{text}\n")
            await peer.until(f"{{{name}}}{name}: {text}\n")

    @gen_test
    async def test_each_message_is_a_write_of_its_own_50_ms_after_the_one_before(self):
        ada = await self.bracer(self.port, "ada")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo")
        messages = ["{Hugo}Welcome, Hugo!", "{CLIENTS}ada|Hugo", "{ALL}ada: one", "{Hugo}ada: two", "{ALL}ada: three",
                    "{ALL}ada: four"]
        await hugo.until(messages[0])
        ada.send("{ALL}one\n{Hugo}two\n{ALL}three\nfour\n")
        for message in messages[1:]:
            await self.server_has_read(ada, "ada")
            assert hugo.received == b""
            self.end_gap()
            await hugo.until(message)
        assert [segment.decode() for segment in hugo.segments] == messages

    @gen_test
    async def test_at_the_end_everything_that_waits_is_written_before_the_reason(self):
        ada, hugo = await self.bracer(self.port, "ada"), await self.bare("Hugo")
        ada.send("{ALL}one\n{ALL}two\n{ALL}three\n")
        await self.server_has_read(ada, "ada")
        await hugo.until("{ALL}ada: one")
        drained = asyncio.ensure_future(self.doors[0].drain("Going down."))
        assert await hugo.ended() == "{ALL}ada: two{ALL}ada: three{ALL}Going down."
        for peer in self.peers:
            peer.close()
        await drained

    @gen_test
    async def test_somebody_who_left_before_they_were_announced_does_not_stay_in_the_list(self):
        port = self.open_braces(gap=0)
        hugo = await self.connect(port)
        hugo.send("{REGISTER}Hugo")
        await hugo.until("{CLIENTS}Hugo")
        ghost = await self.typist(self.open_lines(), "ghost")
        hugo.send("{CLIENTS}")
        await hugo.until("{CLIENTS}Hugo|ghost")
        ghost.close()
        await hugo.until("{CLIENTS}Hugo")

    @gen_test
    async def test_several_messages_in_one_segment_and_a_newline_in_a_body_are_understood(self):
        ada = await self.bracer(self.port, "ada")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo{ALL}hello{ada}psst{ALL}one\ntwo")
        await ada.until("{ALL}Hugo: hello\n")
        await ada.until("{ada}Hugo: psst\n")
        await ada.until("{ALL}Hugo: one\n")
        await ada.until("{ALL}Hugo: two\n")

    @gen_test
    async def test_a_private_message_may_follow_the_registration_in_the_same_segment(self):
        ada = await self.bracer(self.port, "ada")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo{ada}psst{ALL}hi{nobody}")
        await ada.until("{ada}Hugo: psst\n")
        await ada.until("{ALL}Hugo: hi{nobody}\n")

    @gen_test
    async def test_an_account_is_addressed_with_or_without_its_asterisk(self):
        sue = await self.connect(self.port)
        sue.send("{REGISTER}Sue|password\n")
        await sue.until("{CLIENTS}Sue*\n")
        hugo = await self.bare("Hugo")
        hugo.send("{ALL}one{Sue}two{Sue*}three")
        for message in ("{ALL}Hugo: one\n", "{Sue*}Hugo: two\n", "{Sue*}Hugo: three\n"):
            await sue.until(message)

    @gen_test
    async def test_the_name_of_somebody_who_has_left_is_a_part_of_the_text(self):
        ada, zoe = await self.bracer(self.port, "ada"), await self.bracer(self.port, "Zoë")
        await ada.until("{ALL}Zoë has joined the chat!\n")
        hugo = await self.bare("Hugo")
        hugo.send("{ALL}one{Zoë}two")
        await zoe.until("{Zoë}Hugo: two\n")
        zoe.close()
        await ada.until("{ALL}Zoë has left the chat.\n")
        hugo.send("{ALL}three{Zoë}four")
        await ada.until("{ALL}Hugo: three{Zoë}four\n")

    @gen_test
    async def test_a_character_split_in_two_is_put_together(self):
        ada, hugo = await self.bracer(self.port, "ada"), await self.bare("Hugo")
        data = "{ALL}Zoë".encode()
        hugo.send(data[:-1])
        await self.server_has_read(ada, "ada")
        hugo.send(data[-1:])
        await ada.until("{ALL}Hugo: Zoë\n")

    @gen_test
    async def test_a_connection_that_ends_leaves_no_timer_behind(self):
        ada = await self.bracer(self.port, "ada")
        hugo = await self.connect(self.port)
        hugo.send("{REGISTER}Hugo")
        await hugo.until("{Hugo}Welcome, Hugo!")
        self.end_gap()  # the list is written, and has to be checked later
        await hugo.until("{CLIENTS}ada|Hugo")
        assert self.timers.pending_for(FRAME_GAP)
        ending = [connection.task for connection in self.doors[0].connections]
        hugo.reset()
        ada.reset()
        await asyncio.wait(ending)
        assert not self.timers.pending

    @gen_test
    async def test_a_blank_segment_ends_the_connection(self):
        ada, hugo = await self.bracer(self.port, "ada"), await self.bare("Hugo")
        await ada.until("{ALL}Hugo has joined the chat!\n")
        hugo.send(" ")
        await hugo.ended()
        await ada.until("{ALL}Hugo has left the chat.\n")

    @gen_test
    async def test_a_client_whose_messages_pile_up_is_closed_and_nobody_else(self):
        self.outbox.limit = 2000
        ada, hugo = await self.bracer(self.port, "ada"), await self.bare("Hugo")
        await ada.until("{ALL}Hugo has joined the chat!\n")
        for number in range(3):
            ada.send(f"{{ALL}}{'x' * 1000}{number}\n")
            await ada.until(f"x{number}\n")
        await ada.until("{ALL}Hugo has left the chat.\n")
        await hugo.ended()
        await self.server_has_read(ada, "ada")


class WithNewlinesOnUvloop(OnUvloop, WithNewlines):
    pass


class WithoutNewlinesOnUvloop(OnUvloop, WithoutNewlines):
    pass


class TestPacer:
    @pytest.fixture
    def timers(self):
        return Timers()

    @pytest.fixture
    def written(self):
        return []

    @pytest.fixture
    def overflows(self):
        return []

    @pytest.fixture
    def pacer(self, timers, written, overflows):
        rosters = iter([b"{CLIENTS}1", b"{CLIENTS}2"])
        return Pacer(written.append, lambda: next(rosters), limit=1000, on_overflow=overflows.append, gap=FRAME_GAP,
                     call_later=timers.call_later)

    def end_gap(self, timers):
        [timer] = timers.pending_for(FRAME_GAP)
        timer.expire()

    def test_the_first_message_is_written_at_once_and_the_others_one_after_each_gap(self, pacer, timers, written):
        for message in (b"1", b"2", b"3"):
            pacer.send(message)
        assert written == [b"1"]
        self.end_gap(timers)
        assert written == [b"1", b"2"]
        self.end_gap(timers)
        self.end_gap(timers)
        assert written == [b"1", b"2", b"3"]
        assert not timers.pending_for(FRAME_GAP)

    def test_a_message_after_a_pause_is_written_at_once(self, pacer, timers, written):
        pacer.send(b"1")
        self.end_gap(timers)
        pacer.send(b"2")
        assert written == [b"1", b"2"]

    def test_a_list_of_people_requested_several_times_is_written_once_as_it_is_then(self, pacer, timers, written):
        pacer.send(b"1")
        for _ in range(3):
            pacer.send_roster()
        pacer.send(b"2")
        self.end_gap(timers)
        self.end_gap(timers)
        pacer.send_roster()
        self.end_gap(timers)
        assert written == [b"1", b"{CLIENTS}1", b"2", b"{CLIENTS}2"]

    def test_up_to_a_limit_the_gaps_are_full_and_beyond_it_they_shrink(self, pacer, timers):
        for _ in range(MAX_AT_FULL_GAP + 1):
            pacer.send(b"x")
        self.end_gap(timers)
        assert timers.pending_for(FRAME_GAP)
        for _ in range(MAX_AT_FULL_GAP + 1):
            pacer.send(b"x")
        self.end_gap(timers)
        assert timers.pending_for(FRAME_GAP * MAX_AT_FULL_GAP / (2 * MAX_AT_FULL_GAP))

    def test_more_bytes_than_the_limit_are_reported_once_and_nothing_more_is_written(
            self, pacer, timers, written, overflows):
        for _ in range(11):
            pacer.send(b"x" * 100)
        assert written == [b"x" * 100]
        assert overflows == []
        pacer.send(b"x")
        pacer.send(b"x")
        pacer.send(b"x" * 1000)
        pacer.send_roster()
        assert written == [b"x" * 100]
        assert overflows == ["more than 1000 bytes are waiting for their turn"]
        assert not timers.pending_for(FRAME_GAP)

    def test_what_has_been_written_does_not_count(self, pacer, timers, overflows):
        for _ in range(5):
            pacer.send(b"x" * 900)
            self.end_gap(timers)
        assert overflows == []

    def test_a_flush_writes_everything_without_gaps(self, pacer, timers, written):
        for message in (b"1", b"2"):
            pacer.send(message)
        pacer.send_roster()
        pacer.flush()
        assert written == [b"1", b"2", b"{CLIENTS}1"]
        assert not timers.pending_for(FRAME_GAP)
