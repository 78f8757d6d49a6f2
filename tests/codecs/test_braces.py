"""Braces over TCP: where messages end when nothing says so, how events look, and that no text can start a frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.splits import byte_by_byte, cut, random_cuts
from webchat.chat.errors import SlowDown
from webchat.chat.events import ChatMessage, Login, Notice, Presence, Say, Tell, Typing, Welcome
from webchat.codecs import braces
from webchat.codecs.braces import (
    BraceDecoder,
    ClientList,
    ListUsers,
    MissingHeader,
    OtherProtocol,
    Overlong,
    Quit,
    ReceivedMessage,
    Registered,
    ServerFrameDecoder,
    ServerLine,
)

HUGO, SILENCE, PATIENCE = Login("Hugo"), 0.05, 0.5

CORPUS = [
    ("{REGISTER}Hugo", HUGO),
    ("{ALL}schöne Grüße, 日本 🎉", Say("schöne Grüße, 日本 🎉")),
    ("{Sue*}psst", Tell("Sue*", "psst")),
    ("{nobody}psst", Tell("nobody", "psst")),
    ("{ALL}a {word} in braces, and a { alone", Say("a {word} in braces, and a { alone")),
    ("{CLIENTS}", ListUsers()),
    ("{REGISTER}Alex|pass|word", Login("Alex", "pass|word")),
    ("{ALL}", Say("")),
    ("{ALL}bye", Say("bye")),
    ("{QUIT}", Quit()),
]
# Without newlines a message can only begin where the header is known to be one.
UNDELIMITED = [case for case in CORPUS if case[0] != "{nobody}psst"]


def decoder(**settings):
    return BraceDecoder(lambda name: name in ("Hugo", "Sue*"), **settings)


def items_of(segments, **settings):
    """What is read when the segments follow each other without a pause, and then there is silence."""
    reader = decoder(**settings)
    items = [item for segment in segments for item in reader.receive(segment)]
    return items + (reader.idle() if reader.deadline is not None else [])


def message(text="hello", **where):
    return ChatMessage("1", 1, "Hugo", False, text, **where)


class TestWithNewlines:
    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_the_corpus_is_read_at_once_and_byte_by_byte(self, ending):
        data = "".join(text + ending for text, _ in CORPUS).encode()
        for segments in ([data], byte_by_byte(data)):
            reader = decoder()
            assert [item for segment in segments for item in reader.receive(segment)] == [item for _, item in CORPUS]
            assert reader.ending == ending
            assert reader.deadline is None

    @given(cuts=random_cuts, ending=st.sampled_from(["\n", "\r\n"]))
    def test_the_corpus_is_read_in_any_split(self, cuts, ending):
        data = "".join(text + ending for text, _ in CORPUS).encode()
        assert items_of(cut(data, cuts)) == [item for _, item in CORPUS]

    def test_a_newline_inside_a_body_sent_as_one_segment_belongs_to_it(self):
        assert items_of([b"{REGISTER}Hugo\n", b"{ALL}one\ntwo\n"]) == [HUGO, Say("one\ntwo")]
        assert items_of([b"{REGISTER}Hugo\n", b"{ALL}1\n\n2\n{ALL}3\n"]) == [HUGO, Say("1\n\n2"), Say("3")]

    def test_what_was_meant_for_somebody_who_has_left_is_not_said_to_others(self):
        assert items_of([b"{REGISTER}Hugo\n{ALL}hello\n{gone}secret\n"])[1:] == [Say("hello"), Tell("gone", "secret")]

    def test_text_without_a_header_is_told_apart(self):
        assert items_of([b"{REGISTER}Hugo\n", b"hello\n"]) == [HUGO, MissingHeader()]

    @pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"  \n"])
    def test_a_blank_line_is_a_goodbye(self, blank):
        assert items_of([b"{REGISTER}Hugo\n", blank]) == [HUGO, Quit()]
        assert items_of([b"{REGISTER}Hugo\n" + b"{ALL}bye\n\n"]) == [HUGO, Say("bye"), Quit()]

    def test_a_pause_does_not_end_a_message(self):
        reader = decoder()
        reader.receive(b"{REGISTER}Hugo\n{ALL}hel")
        assert reader.deadline == PATIENCE
        assert reader.receive(b"lo\n") == [Say("hello")]

    @pytest.mark.parametrize("whole", [b"{QUIT}", b" "])
    def test_a_pause_ends_what_nothing_can_follow(self, whole):
        reader = decoder()
        reader.receive(b"{REGISTER}Hugo\n")
        reader.receive(whole)
        assert reader.deadline == SILENCE
        assert reader.idle() == [Quit()]

    def test_a_long_pause_does_for_a_client_that_forgot_the_newline(self):
        reader = decoder()
        reader.receive(b"{REGISTER}Hugo\n")
        reader.receive(b"{ALL}hello")
        assert reader.idle() == [Say("hello")]


class TestWithoutNewlines:
    def test_a_message_ends_after_50_ms_of_silence(self):
        reader = decoder()
        for text, item in CORPUS:
            assert reader.receive(text.encode()) == []
            assert reader.deadline == SILENCE
            assert reader.idle() == [item]
            assert reader.deadline is None
        assert reader.ending == ""

    def test_a_message_ends_where_another_begins(self):
        data = "".join(text for text, _ in UNDELIMITED).encode()
        for segments in ([data], byte_by_byte(data)):
            assert items_of(segments) == [item for _, item in UNDELIMITED]

    @given(cuts=random_cuts)
    def test_several_in_one_segment_and_one_over_several(self, cuts):
        data = "".join(text for text, _ in UNDELIMITED).encode()
        assert items_of(cut(data, cuts)) == [item for _, item in UNDELIMITED]

    def test_a_name_begins_a_message_only_when_its_owner_is_connected(self):
        assert items_of([b"{ALL}hi {nobody} and {Hugo}psst"]) == [Say("hi {nobody} and "), Tell("Hugo", "psst")]

    def test_a_newline_inside_a_body_belongs_to_it(self):
        assert items_of([b"{ALL}one\ntwo"]) == [Say("one\ntwo")]
        assert items_of([b"{ALL}one\ntwo{ALL}three"]) == [Say("one\ntwo"), Say("three")]

    def test_a_later_message_with_a_newline_is_read_all_the_same(self):
        reader = decoder()
        reader.receive(b"{REGISTER}Hugo")
        reader.idle()
        reader.receive(b"{ALL}hello\n")
        assert reader.idle() == [Say("hello")]
        assert reader.ending == ""

    def test_blanks_before_a_header_are_no_message(self):
        data = b" \t{REGISTER}Hugo"
        for segments in ([data], byte_by_byte(data)):
            assert items_of(segments) == [Login("Hugo", "")]

    @pytest.mark.parametrize("blank", [b" ", b"\n", b"\r\n"])
    def test_a_blank_segment_is_a_goodbye(self, blank):
        reader = decoder()
        reader.receive(b"{REGISTER}Hugo")
        reader.idle()
        reader.receive(blank)
        assert reader.idle() == [Quit()]

    @pytest.mark.parametrize("part", [b"{AL", b"{", "{ALL}Zo\u00eb".encode()[:-1]])
    def test_what_is_plainly_unfinished_gets_more_time(self, part):
        reader = decoder()
        assert reader.receive(part) == []
        assert reader.deadline == PATIENCE

    def test_half_a_character_at_the_end_becomes_a_replacement_character(self):
        assert items_of([b"{ALL}caf\xc3"]) == [Say("caf\ufffd")]

    def test_the_end_of_the_input_ends_the_last_message(self):
        reader = decoder()
        reader.receive(b"{ALL}bye")
        assert reader.end() == [Say("bye")]
        assert reader.end() == []


class TestBadBytes:
    @given(st.lists(st.binary(max_size=40) | st.sampled_from([b"{ALL}", b"{", b"}", b"\n", b"{Hugo}"]), max_size=12))
    def test_none_make_it_raise_or_keep_more_than_its_limit(self, segments):
        reader = decoder(limit=50)
        for segment in segments:
            reader.receive(segment)
            assert len(reader._buffer) <= 64
        reader.idle()
        assert reader.deadline is None

    def test_invalid_utf8_becomes_replacement_characters(self):
        assert items_of([b"{ALL}caf\xe9 \xff\n"]) == [Say("caf\ufffd \ufffd")]

    @pytest.mark.parametrize("split", [lambda data: [data], byte_by_byte])
    def test_an_overlong_message_is_told_once_and_the_next_is_read(self, split):
        data = b"{REGISTER}Hugo\n{ALL}" + b"x" * 500 + b"\n{ALL}next\n"
        assert items_of(split(data), limit=100) == [HUGO, Overlong(), Say("next")]

    def test_an_overlong_message_without_newlines_ends_at_the_next_or_with_silence(self):
        assert items_of([b"{ALL}" + b"x" * 500, b"yy{ALL}next"], limit=100) == [Overlong(), Say("next")]
        reader = decoder(limit=100)
        assert reader.receive(b"{ALL}" + b"x" * 500) == [Overlong()]
        assert reader.idle() == []
        reader.receive(b"{ALL}next")
        assert reader.idle() == [Say("next")]

    def test_no_end_for_ever_takes_no_memory(self):
        reader = decoder(limit=100)
        assert [item for _ in range(1000) for item in reader.receive(b"x" * 64)] == [Overlong()]
        assert len(reader._buffer) <= 64

    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01"])
    def test_a_browser_or_tls_is_recognised(self, data):
        assert items_of([data]) == [OtherProtocol()]


class TestSending:
    @pytest.mark.parametrize(
        "event, frames, roster",
        [
            (message(), ["{ALL}Hugo: hello"], False),
            (message(to_user="Sue*"), ["{Sue*}Hugo: hello"], False),
            (message("one\ntwo"), ["{ALL}Hugo: one", "{ALL}Hugo: two"], False),
            (Presence(("ada",), ("bob",)), ["{ALL}bob has left the chat.", "{ALL}ada has joined the chat!"], True),
            (Welcome("Hugo", False, (), (), ""), ["{Hugo}Welcome, Hugo!"], False),
            (Notice("degraded", "Sorry."), ["{ALL}Sorry."], False),
        ],
    )
    def test_events_look_as_the_contract_says_in_the_ending_of_the_listener(self, event, frames, roster):
        assert braces.encode_bare(event) == (tuple(frame.encode() for frame in frames), roster)
        assert braces.encode_lf(event) == (("".join(f"{frame}\n" for frame in frames).encode(),), roster)
        assert braces.encode_crlf(event) == (("".join(f"{frame}\r\n" for frame in frames).encode(),), roster)

    def test_the_list_of_people(self):
        assert braces.roster(("Hugo", "Sue*")) == "{CLIENTS}Hugo|Sue*"

    @pytest.mark.parametrize("event", [Typing("Hugo"), Presence(("ada",), (), "Taskmaster")])
    def test_it_says_nothing_of_typing_and_rooms(self, event):
        assert braces.encode_bare(event) is None

    @given(text=st.text(alphabet="{}ALQUIT \nHugo", max_size=60))
    def test_no_text_can_start_a_frame(self, text):
        for chunk in braces.encode_bare(message(text)).chunks:
            assert chunk.startswith(b"{ALL}Hugo: ")
            assert not braces._HEADER.search(chunk.decode(), 1)
            assert b"\n" not in chunk

    def test_the_servers_own_sentences_name_no_sender(self):
        assert ": " not in braces.sentence("Refused: that name is taken.")[0]


class TestClient:
    def test_what_it_sends_is_what_the_server_reads(self):
        sent = [
            (braces.register("Zoë"), [Login("Zoë")]),
            (braces.register("Alex", "password"), [Login("Alex", "password")]),
            (braces.say("hello"), [Say("hello")]),
            (braces.say("one\n\ntwo"), [Say("one"), Say("two")]),
            (braces.say("what is {ALL}?"), [Say("what is ｛ALL}?")]),
            (braces.tell("Sue*", "psst"), [Tell("Sue*", "psst")]),
            (braces.request_users(), [ListUsers()]),
            (braces.quit(), [Quit()]),
        ]
        data = b"".join(data for data, _ in sent)
        for segments in ([data], byte_by_byte(data)):
            assert items_of(segments) == [item for _, items in sent for item in items]

    @given(cuts=random_cuts)
    def test_it_hears_what_the_server_says_in_any_split(self, cuts):
        events = [Welcome("Hugo", False, (), (), ""), message("a: b"), message(to_user="Sue*"), Presence((), ("ada",))]
        data = b"".join(chunk for event in events for chunk in braces.encode_lf(event).chunks)
        data += braces.batch([braces.roster(("Hugo", "Sue*"))], ending="\n").chunks[0]
        listener = ServerFrameDecoder()
        assert [one for segment in cut(data, cuts) for one in listener.receive(segment)] == [
            Registered("Hugo", "Welcome, Hugo!"), ReceivedMessage("Hugo", "a: b", private=False),
            ReceivedMessage("Hugo", "hello", private=True), ServerLine("ada has left the chat."),
            ClientList(("Hugo", "Sue*")),
        ]

    def test_it_knows_presence_from_other_sentences(self):
        frames = braces.as_frames(Presence(("ada",), ("bob",)))
        assert all(braces.is_presence(frame.removeprefix("{ALL}")) for frame in frames)
        assert not braces.is_presence("Nobody of that name is here.")

    def test_it_reads_the_code_of_a_refusal_out_of_its_sentence(self):
        assert braces.refusal_code(braces.sentence(str(SlowDown()))[0].removeprefix("{ALL}")) == "slow-down"
        assert braces.refusal_code("ada has joined the chat!") is None
