"""Braces over TCP: where messages end without a mark, how events look, and that no text can start a frame."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.memory import held_text
from tests.codecs.splits import byte_by_byte, cut, random_cuts, whole
from webchat.chat.errors import BadCredentials, LoginRequired, SlowDown
from webchat.chat.events import ChatMessage, Login, Notice, Presence, Say, Tell, Typing, Welcome
from webchat.codecs import braces
from webchat.codecs.braces import (
    BraceDecoder,
    ClientList,
    MissingHeader,
    ReceivedMessage,
    Registered,
    ServerFrameDecoder,
    ServerLine,
)
from webchat.codecs.commands import ListUsers, Quit
from webchat.codecs.greetings import OtherProtocol
from webchat.codecs.stream_input import Overlong

HUGO, IDLE, UNFINISHED = Login("Hugo"), 0.05, 0.5

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
    return BraceDecoder(is_user, **settings)


def is_user(name):
    return name in ("Hugo", "Sue*", "Sue")


def nobody(name):
    return False


ENCODE = braces.encoders(is_user)


def read(reader, segment):
    return list(reader.receive(segment))


def received(reader, segments):
    return [item for segment in segments for item in read(reader, segment)]


def items_of(segments, **settings):
    """What is read when the segments follow each other without a pause, and then there is silence."""
    reader = decoder(**settings)
    items = received(reader, segments)
    return items + (reader.idle() if reader.idle_after is not None else [])


def message(text="hello", **where):
    return ChatMessage("1", 1, "Hugo", False, text, **where)


class TestWithNewlines:
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("trailing", ["", "{ALL}x", "{nobody}{AL"])
    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    @pytest.mark.parametrize("text, item", CORPUS)
    def test_a_message_is_complete_with_its_newline_whatever_follows(self, text, item, ending, trailing, split):
        reader = decoder()
        received(reader, split(f"{{REGISTER}}Hugo{ending}".encode()))
        assert received(reader, split(f"{text}{ending}{trailing}".encode())) == [item]
        assert reader.ending == ending
        assert (reader.idle_after is None) == (not trailing)

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_several_messages_are_read_in_their_order(self, ending, split):
        data = "".join(text + ending for text, _ in CORPUS).encode()
        reader = decoder()
        assert received(reader, split(data)) == [item for _, item in CORPUS]
        assert reader.idle_after is None

    @given(cuts=random_cuts, ending=st.sampled_from(["\n", "\r\n"]))
    def test_the_corpus_is_read_in_any_split(self, cuts, ending):
        data = "".join(text + ending for text, _ in CORPUS).encode()
        assert items_of(cut(data, cuts)) == [item for _, item in CORPUS]

    def test_a_newline_inside_a_body_sent_as_one_segment_belongs_to_it(self):
        assert items_of([b"{REGISTER}Hugo\n", b"{ALL}one\ntwo\n"]) == [HUGO, Say("one\ntwo")]
        assert items_of([b"{REGISTER}Hugo\n", b"{ALL}1\n\n2\n{ALL}3\n"]) == [HUGO, Say("1\n\n2"), Say("3")]

    def test_a_message_to_somebody_who_has_left_is_not_said_to_others(self):
        assert items_of([b"{REGISTER}Hugo\n{ALL}hello\n{gone}secret\n"])[1:] == [Say("hello"), Tell("gone", "secret")]

    def test_text_without_a_header_is_recognised(self):
        assert items_of([b"{REGISTER}Hugo\n", b"hello\n"]) == [HUGO, MissingHeader()]

    @pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"  \n", b" \t\r\n"])
    def test_a_blank_line_ends_the_connection(self, blank):
        assert items_of([b"{REGISTER}Hugo\n", blank]) == [HUGO, Quit()]
        assert items_of([b"{REGISTER}Hugo\n", *byte_by_byte(blank)]) == [HUGO, Quit()]
        assert items_of([b"{REGISTER}Hugo\n" + b"{ALL}bye\n\n"]) == [HUGO, Say("bye"), Quit()]

    def test_a_pause_does_not_end_a_message(self):
        reader = decoder()
        read(reader, b"{REGISTER}Hugo\n{ALL}hel")
        assert reader.idle_after == UNFINISHED
        assert read(reader, b"lo\n") == [Say("hello")]

    @pytest.mark.parametrize("ending", ["\r", "\r\0", "\0"])
    def test_endings_of_other_systems_are_no_part_of_a_message(self, ending):
        assert items_of([f"{{REGISTER}}Hugo{ending}{{ALL}}hi{ending}".encode()]) == [HUGO, Say("hi")]

    @pytest.mark.parametrize("complete", [b"{QUIT}", b" "])
    def test_a_pause_ends_what_nothing_can_follow(self, complete):
        reader = decoder()
        read(reader, b"{REGISTER}Hugo\n")
        read(reader, complete)
        assert reader.idle_after == IDLE
        assert reader.idle() == [Quit()]

    def test_a_long_pause_ends_the_message_of_a_client_that_forgot_the_newline(self):
        reader = decoder()
        read(reader, b"{REGISTER}Hugo\n")
        read(reader, b"{ALL}hello")
        assert reader.idle_after == UNFINISHED
        assert reader.idle() == [Say("hello")]


class TestWithoutNewlines:
    def test_a_message_ends_after_50_ms_of_silence(self):
        reader = decoder()
        for text, item in CORPUS:
            assert read(reader, text.encode()) == []
            assert reader.idle_after == IDLE
            assert reader.idle() == [item]
            assert reader.idle_after is None
        assert reader.ending == ""

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_a_message_ends_where_another_begins(self, split):
        data = "".join(text for text, _ in UNDELIMITED).encode()
        assert items_of(split(data)) == [item for _, item in UNDELIMITED]

    @given(cuts=random_cuts)
    def test_several_in_one_segment_and_one_over_several(self, cuts):
        data = "".join(text for text, _ in UNDELIMITED).encode()
        assert items_of(cut(data, cuts)) == [item for _, item in UNDELIMITED]

    def test_a_name_starts_a_message_only_while_a_person_of_that_name_is_connected(self):
        assert items_of([b"{ALL}hi {nobody} and {Hugo}psst"]) == [Say("hi {nobody} and "), Tell("Hugo", "psst")]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_each_word_in_braces_is_looked_up_once_however_long_the_message_grows(self, split):
        asked = []
        reader = BraceDecoder(asked.append)
        received(reader, split(b"{ALL}" + b"{one}{two}" * 100 + b"x" * 4000))
        assert asked == ["one", "two"] * 100
        assert reader.idle() == [Say("{one}{two}" * 100 + "x" * 4000)]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("end", [b"", b"\n"])
    def test_a_stranger_is_told_nothing_about_names_but_in_a_registration(self, end, split):
        asked = []
        reader = BraceDecoder(asked.append, is_stranger=True)
        received(reader, split(b"{ALL}{1}{REGISTER}{2}{3}{CLIENTS}{4}{REGISTER}Hugo" + end + b"{ALL}{5}" + end))
        assert asked == ["2", "3"]

    @pytest.mark.parametrize("length, is_header", [(64, True), (65, False)])
    def test_a_header_has_at_most_64_characters(self, length, is_header):
        name = "n" * length
        reader = BraceDecoder(lambda name: True)
        items = received(reader, byte_by_byte(f"{{ALL}}hi{{{name}}}psst".encode())) + reader.idle()
        assert items == ([Say("hi"), Tell(name, "psst")] if is_header else [Say(f"hi{{{name}}}psst")])

    def test_a_newline_inside_a_body_belongs_to_it(self):
        assert items_of([b"{ALL}one\ntwo"]) == [Say("one\ntwo")]
        assert items_of([b"{ALL}one\ntwo{ALL}three"]) == [Say("one\ntwo"), Say("three")]
        assert items_of([b"{REGISTER}Hugo{ALL}", *byte_by_byte(b"one\ntwo")]) == [HUGO, Say("one\ntwo")]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_once_the_first_message_ended_without_a_newline_none_ends_another(self, split):
        assert items_of(split(b"{REGISTER}Hugo{ALL}one\n{nobody}two")) == [HUGO, Say("one\n{nobody}two")]

    def test_a_later_message_with_a_newline_is_read_all_the_same(self):
        reader = decoder()
        read(reader, b"{REGISTER}Hugo")
        reader.idle()
        read(reader, b"{ALL}hello\n")
        assert reader.idle() == [Say("hello")]
        assert reader.ending == ""

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_blanks_before_a_header_are_no_message(self, split):
        assert items_of(split(b" \t {REGISTER}Hugo")) == [HUGO]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_blanks_before_a_text_without_a_header_do_not_end_the_connection(self, split):
        assert items_of(split(b"  hello")) == [MissingHeader()]

    @pytest.mark.parametrize("blank", [b" ", b"\n", b"\r\n", b" " * 1000])
    def test_a_blank_segment_ends_the_connection(self, blank):
        reader = decoder()
        read(reader, b"{REGISTER}Hugo")
        reader.idle()
        read(reader, blank)
        assert reader.idle_after == IDLE
        assert reader.idle() == [Quit()]

    @pytest.mark.parametrize("part", [b"{AL", b"{", "{ALL}Zo\u00eb".encode()[:-1], "\u00eb".encode()[:-1]])
    def test_a_message_that_ends_in_a_header_or_a_character_gets_more_time(self, part):
        reader = decoder()
        assert read(reader, part) == []
        assert reader.idle_after == UNFINISHED

    def test_half_a_character_at_the_end_becomes_a_replacement_character(self):
        assert items_of([b"{ALL}caf\xc3"]) == [Say("caf\ufffd")]

    def test_half_a_character_is_not_joined_to_the_message_after_it(self):
        reader = decoder()
        read(reader, b"{ALL}caf\xc3")
        reader.idle()
        read(reader, b"{ALL}\xa9")
        assert reader.idle() == [Say("\ufffd")]

    def test_the_end_of_the_input_ends_the_last_message(self):
        reader = decoder()
        read(reader, b"{ALL}bye")
        assert reader.end() == [Say("bye")]
        assert reader.end() == []

    def test_the_times_can_be_chosen(self):
        reader = decoder(idle_time=1, unfinished_time=2)
        read(reader, b"{AL")
        assert reader.idle_after == 2
        read(reader, b"L}")
        assert reader.idle_after == 1


class TestBadBytes:
    @given(st.lists(st.binary(max_size=40) | st.sampled_from([b"{ALL}", b"{", b"}", b"\n", b"{Hugo}"]), max_size=12))
    def test_any_bytes_are_read_without_an_error(self, segments):
        reader = decoder(limit=50)
        received(reader, segments)
        reader.idle()
        assert reader.idle_after is None

    def test_invalid_utf8_becomes_replacement_characters(self):
        assert items_of([b"{ALL}caf\xe9 \xff\n"]) == [Say("caf\ufffd \ufffd")]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_a_message_of_exactly_the_limit_is_read(self, split):
        text = "x" * (100 - len("{ALL}\n"))
        assert items_of(split(f"{{ALL}}{text}\n".encode()), limit=100) == [Say(text)]
        assert items_of(split(f"{{ALL}}{text}x\n{{ALL}}next\n".encode()), limit=100) == [Overlong(), Say("next")]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_a_message_of_exactly_the_limit_is_read_without_a_newline(self, split):
        text = "x" * (100 - len("{ALL}"))
        assert items_of(split(f"{{ALL}}{text}".encode()), limit=100) == [Say(text)]
        assert items_of(split(f"{{ALL}}{text}x".encode()), limit=100) == [Overlong()]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_an_overlong_message_is_reported_once_and_the_next_is_read(self, split):
        data = b"{REGISTER}Hugo\n{ALL}" + b"x" * 500 + b"\n{ALL}next\n"
        assert items_of(split(data), limit=100) == [HUGO, Overlong(), Say("next")]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_after_an_overlong_message_a_newline_lets_any_header_start_a_message(self, split):
        data = b"{REGISTER}Hugo\n{ALL}" + b"x" * 500 + b"\n{nobody}next\n"
        assert items_of(split(data), limit=100) == [HUGO, Overlong(), Tell("nobody", "next")]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_an_overlong_message_without_newlines_ends_at_the_next_header(self, split):
        data = b"{REGISTER}Hugo{ALL}" + b"x" * 500 + b"{AL {ALL}next"
        assert items_of(split(data), limit=100) == [HUGO, Overlong(), Say("next")]

    @pytest.mark.parametrize("at", range(1, len("{Sue*}")))
    def test_a_header_cut_in_two_ends_an_overlong_message(self, at):
        header = b"{Sue*}"
        segments = [b"{ALL}" + b"x" * 500, b"yy" + header[:at], header[at:] + b"next"]
        assert items_of(segments, limit=100) == [Overlong(), Tell("Sue*", "next")]

    def test_silence_ends_an_overlong_message(self):
        reader = decoder(limit=100)
        assert read(reader, b"{ALL}" + b"x" * 500) == [Overlong()]
        assert reader.idle_after == IDLE
        assert reader.idle() == []
        read(reader, b"{ALL}next")
        assert reader.idle() == [Say("next")]

    @pytest.mark.parametrize("endless", [b"x" * 64, b"{" * 64, b" " * 64, b"{x}" * 20])
    def test_a_message_without_an_end_is_reported_once_and_takes_no_memory(self, endless):
        reader = decoder(limit=100)
        read(reader, b"{ALL}x\n{ALL}")
        assert received(reader, [endless] * 1000) == [Overlong()]
        assert held_text(reader) < 100

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01"])
    def test_a_browser_or_tls_is_recognised(self, data, split):
        assert isinstance(items_of(split(data))[0], OtherProtocol)

    @pytest.mark.parametrize("finish", [BraceDecoder.idle, BraceDecoder.end])
    def test_so_is_another_protocol_without_a_newline(self, finish):
        reader = decoder()
        read(reader, b"EHLO laptop")
        [found] = finish(reader)
        assert found.name == "SMTP"
        assert reader.end() == []

    def test_what_follows_a_browsers_first_line_is_read_from_its_beginning(self):
        found, said = received(decoder(), [b"GET / HTTP", b"/1.1\n", b"{ALL}a{ALL}b\n"])
        assert (found.name, said) == ("HTTP", Say("a"))

    @pytest.mark.parametrize("first", [[b"{REGISTER}Hugo\n"], [b"{REGISTER}Hugo{ALL}"]])
    def test_the_same_words_after_the_first_message_are_text(self, first):
        assert not any(isinstance(item, OtherProtocol) for item in items_of([*first, b"GET / HTTP/1.1\n"]))

    def test_the_same_words_after_a_silence_are_text(self):
        reader = decoder()
        read(reader, b"GET ")
        reader.idle()
        assert not any(isinstance(item, OtherProtocol) for item in [*read(reader, b"/ HTTP/1.1\n"), *reader.idle()])


class TestSending:
    @pytest.mark.parametrize(
        "event, frames, roster",
        [
            (message(), ["{ALL}Hugo: hello"], False),
            (message(to_user="Sue*"), ["{Sue*}Hugo: hello"], False),
            (message(room="Taskmaster"), ["{ALL}[#Taskmaster] Hugo: hello"], False),
            (message("one\ntwo"), ["{ALL}Hugo: one", "{ALL}Hugo: two"], False),
            (message("one\u2028two\u2029three"), ["{ALL}Hugo: one", "{ALL}Hugo: two", "{ALL}Hugo: three"], False),
            (message("what is {ALL}?"), ["{ALL}Hugo: what is ｛ALL}?"], False),
            (message("} {"), ["{ALL}Hugo: } {"], False),
            (message("{} } {ALL} {CLIENTS} {"), ["{ALL}Hugo: {} } ｛ALL} ｛CLIENTS} {"], False),
            (Presence(("ada",), ("bob",)), ["{ALL}bob has left the chat.", "{ALL}ada has joined the chat!"], True),
            (Welcome("Hugo", False, (), (), ""), ["{Hugo}Welcome, Hugo!"], False),
            (Notice("degraded", "Sorry."), ["{ALL}Sorry."], False),
        ],
    )
    def test_events_look_as_the_contract_says_in_the_ending_of_the_receiver(self, event, frames, roster):
        assert ENCODE[""](event) == (tuple(frame.encode() for frame in frames), roster)
        assert ENCODE["\n"](event) == (("".join(f"{frame}\n" for frame in frames).encode(),), roster)
        assert ENCODE["\r\n"](event) == (("".join(f"{frame}\r\n" for frame in frames).encode(),), roster)

    def test_the_encoders_are_chosen_by_ending(self):
        for ending, encode in ENCODE.items():
            assert encode(message()).chunks == (f"{{ALL}}Hugo: hello{ending}".encode(),)

    def test_half_a_surrogate_pair_is_sent_as_a_question_mark(self):
        assert ENCODE[""](message("\ud800")).chunks == (b"{ALL}Hugo: ?",)

    def test_the_list_of_people(self):
        assert braces.roster(("Hugo", "Sue*")) == "{CLIENTS}Hugo|Sue*"

    @pytest.mark.parametrize("encode", ENCODE.values())
    @pytest.mark.parametrize("event", [Typing("Hugo"), Presence(("ada",), (), "Taskmaster")])
    def test_typing_and_the_presence_of_rooms_are_not_shown(self, event, encode):
        assert encode(event) is None

    @pytest.mark.parametrize("word", ["ALL", "CLIENTS", "REGISTER", "QUIT", "MSG", "Hugo", "Sue*", "Sue"])
    @pytest.mark.parametrize("text", ["{%s}", "a{%s}b", "{{%s}}", "}{%s}{", "x = {y: {%s}}", "two\n{%s}"])
    def test_what_a_client_could_take_for_a_header_is_disarmed_wherever_it_stands(self, text, word):
        disarmed = text.replace("{%", "｛%") % word
        frames = [f"{{ALL}}Hugo: {line}" for line in disarmed.split("\n")]
        assert b"\n".join(ENCODE[""](message(text % word)).chunks).decode() == "\n".join(frames)

    @pytest.mark.parametrize("text", [
        "{word}", "{}", "{{}}", "{", "}", "{AL", "L}", "{ ALL }", "{all}", "{ALL", "{hugo}", "{Sue**}", "{nobody}",
        "{ Hugo}", "｛ALL}", "if (a) { return {'b': [1]}; } else { c }", 'f"{name!r:>{width}}"', "\\frac{a}{b}",
        "{" + "x" * 70 + "}",
    ])
    def test_all_other_braces_arrive_as_they_were_typed(self, text):
        assert ENCODE[""](message(text)).chunks == (f"{{ALL}}Hugo: {text}".encode(),)

    def test_a_name_is_disarmed_while_somebody_has_it(self):
        people = set()
        encode = braces.encoders(people.__contains__)[""]
        frames = []
        for change in (people.clear, lambda: people.add("Zoë"), people.clear):
            change()
            frames.append(encode(message("{Zoë}")).chunks[0].decode())
        assert frames == ["{ALL}Hugo: {Zoë}", "{ALL}Hugo: ｛Zoë}", "{ALL}Hugo: {Zoë}"]

    def test_private_and_room_messages_are_disarmed_as_well(self):
        assert ENCODE[""](message("{ALL}", to_user="Sue*")).chunks == ("{Sue*}Hugo: ｛ALL}".encode(),)
        assert ENCODE[""](message("{ALL}", room="x")).chunks == ("{ALL}[#x] Hugo: ｛ALL}".encode(),)

    @given(text=st.text(alphabet="{}ALSue* \n") | st.lists(
        st.sampled_from(["{", "}", "ALL", "{ALL}", "{Sue}", "{x}", "CLIENTS", "MSG", "\n", " "])).map("".join))
    def test_no_text_can_start_a_frame_even_where_a_client_reads_several_at_once(self, text):
        encode = ENCODE[""]
        frames = [chunk.decode() for chunk in (*encode(message(text)).chunks, *encode(message("next")).chunks)]
        assert all(frame.startswith("{ALL}Hugo: ") and "\n" not in frame for frame in frames)
        words = re.findall(r"\{([^{}]*)\}", "".join(frames))
        assert [word for word in words if word in braces.GUARDED_KEYWORDS or is_user(word)] == ["ALL"] * len(frames)

    @given(text=st.text(alphabet="{}ALSue* x\n"))
    def test_nothing_but_the_brace_of_a_header_is_changed(self, text):
        assert braces.guarded(text, is_user).replace("｛", "{") == text
        assert braces.guarded(text, is_user) == braces.guarded(braces.guarded(text, is_user), is_user)

    def test_the_names_that_may_stand_in_braces_are_those_of_the_list_and_accounts_without_their_asterisk(self):
        assert braces.spellings(("Hugo", "Sue*")) == {"Hugo", "Sue*", "Sue"}

    def test_a_sentence_of_the_server_does_not_look_like_a_message(self):
        assert braces.sentence("Refused: that name is taken.\nAnother: line.") == [
            "{ALL}Refused – that name is taken.", "{ALL}Another – line."]


class TestClient:
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("data, items", [
        (braces.register("Zoë"), [Login("Zoë")]),
        (braces.register("Alex", "password"), [Login("Alex", "password")]),
        (braces.say("hello", nobody), [Say("hello")]),
        (braces.say("one\n\n \ntwo", nobody), [Say("one"), Say("two")]),
        (braces.say("what is {ALL}, {x}?", nobody), [Say("what is ｛ALL}, {x}?")]),
        (braces.say("{x} {Sue}, {Hugo}", is_user), [Say("{x} ｛Sue}, ｛Hugo}")]),
        (braces.tell("Sue*", "psst", nobody), [Tell("Sue*", "psst")]),
        (braces.tell("Sue*", "{x} {Sue*}", is_user), [Tell("Sue*", "{x} ｛Sue*}")]),
        (braces.request_users(), [ListUsers()]),
        (braces.quit(), [Quit()]),
    ])
    def test_the_server_reads_what_a_client_sends(self, data, items, split):
        assert received(decoder(), split(data)) == items
        assert received(decoder(), split(data + braces.say("next", nobody))) == [*items, Say("next")]

    EVENTS = [
        (Welcome("Hugo", False, (), (), ""), Registered("Hugo", "Welcome, Hugo!")),
        (message("a: b"), ReceivedMessage("Hugo", "a: b", private=False)),
        (message(to_user="Sue*"), ReceivedMessage("Hugo", "hello", private=True)),
        (message(room="Taskmaster"), ReceivedMessage("[#Taskmaster] Hugo", "hello", private=False)),
        (Presence((), ("ada",)), ServerLine("ada has left the chat.")),
        (message("Welcome, Hugo!", to_user="Hugo"), ReceivedMessage("Hugo", "Welcome, Hugo!", private=True)),
    ]

    @pytest.mark.parametrize("encode", [ENCODE["\n"], ENCODE["\r\n"]])
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("event, frame", EVENTS)
    def test_a_client_reads_what_the_server_sends(self, event, frame, split, encode):
        client = ServerFrameDecoder()
        [data] = encode(event).chunks
        assert received(client, split(data + b"{ALL}trailing")) == [frame]

    @pytest.mark.parametrize("line, frame", [
        ("{CLIENTS}Hugo|Sue*", ClientList(("Hugo", "Sue*"))), ("{CLIENTS}", ClientList(())),
        ("no header", ServerLine("no header")), ("{Hugo}Welcome, ada!", ServerLine("Welcome, ada!")),
        ("{ALL}Welcome, ALL!", ServerLine("Welcome, ALL!")),
    ])
    def test_a_client_reads_lists_and_sentences(self, line, frame):
        assert ServerFrameDecoder().receive(f"\n{line}\n".encode()) == [frame]

    @given(cuts=random_cuts)
    def test_a_client_reads_the_same_in_any_split(self, cuts):
        data = b"".join(ENCODE["\n"](event).chunks[0] for event, _ in self.EVENTS)
        data += braces.batch([braces.roster(("Hugo", "Sue*"))], ending="\n").chunks[0]
        expected = [*(frame for _, frame in self.EVENTS), ClientList(("Hugo", "Sue*"))]
        assert received(ServerFrameDecoder(), cut(data, cuts)) == expected

    def test_a_client_knows_presence_from_other_sentences(self):
        frames = braces.as_frames(Presence(("ada",), ("bob",)), nobody)
        assert all(braces.is_presence(frame.removeprefix("{ALL}")) for frame in frames)
        assert not braces.is_presence("Nobody of that name is here.")

    def test_a_client_reads_the_code_of_a_refusal_out_of_its_sentence(self):
        assert braces.refusal_code(braces.sentence(str(SlowDown()))[0].removeprefix("{ALL}")) == "slow-down"
        assert braces.refusal_code("ada has joined the chat!") is None

    @pytest.mark.parametrize("error, hint", [
        (LoginRequired(), braces.REGISTER_HINT), (BadCredentials(), braces.PASSWORD_HINT)])
    def test_a_refusal_is_known_and_can_be_shown_without_what_people_would_have_to_type(self, error, hint):
        assert braces.refusal_code(f"{error} {hint}") == error.code
        assert braces.without_hint(f"{error} {hint}") == str(error)
