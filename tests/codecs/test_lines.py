"""Lines over TCP: what bytes mean, how events look, and that no text can imitate another line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.memory import held_text
from tests.codecs.splits import byte_by_byte, cut, random_cuts, whole
from webchat.chat.errors import BadCredentials, SlowDown
from webchat.chat.events import ChatMessage, Login, Notice, Presence, Typing
from webchat.codecs import lines
from webchat.codecs.commands import parse
from webchat.codecs.greetings import OtherProtocol
from webchat.codecs.lines import CRLF, LF, Line, LineDecoder, ReceivedLine, ServerLineDecoder, TelnetAnswer, parse_line
from webchat.codecs.stream_input import Overlong

CORPUS = [
    (b"Hugo\n", [Line("Hugo")]),
    (b"Hugo\r\nhello\r\n", [Line("Hugo"), Line("hello")]),
    (b"typed in a character-mode telnet\r\0", [Line("typed in a character-mode telnet")]),
    ("Zoë: schöne Grüße, 日本 🎉\n".encode(), [Line("Zoë: schöne Grüße, 日本 🎉")]),
    (b"\n\nthere\n", [Line(""), Line(""), Line("there")]),
    (b"caf\xe9 \xc3\n", [Line("caf\ufffd \ufffd")]),
    (b"helo\x7flo\n", [Line("hello")]),
    (b"CR alone\rends a line too\r", [Line("CR alone"), Line("ends a line too")]),
    (b"LF CR\n\rmakes one end\n\r\n", [Line("LF CR"), Line("makes one end"), Line("")]),
    (b"two ends\r\rand\r\0\r\nfour\n\n", [
        Line("two ends"), Line(""), Line("and"), Line(""), Line("four"), Line("")]),
    (b"arrows\x1b[D\x1b[C and \x1bOAwords words\x17\n", [Line("arrows and words ")]),
    (b"x\xff\xf4\xff\xfd\x06y\n", [TelnetAnswer(b"\xff\xfc\x06"), Line("xy")]),
]
WHOLE = b"".join(data for data, _ in CORPUS)
ALL_LINES = [item for _, items in CORPUS for item in items if isinstance(item, Line)]


def items_of(segments, **settings):
    decoder = LineDecoder(**settings)
    return [item for segment in segments for item in decoder.receive(segment)]


def lines_of(segments):
    return [item for item in items_of(segments) if isinstance(item, Line)]


def message(text="hello", from_user="Hugo", **where):
    return ChatMessage("1", 1, from_user, False, text, **where)


class TestReceiving:
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("trailing", [b"", b"trailing", b"\xff"])
    @pytest.mark.parametrize("data, items", CORPUS)
    def test_each_case_is_read_in_any_split_whatever_follows(self, data, items, trailing, split):
        assert items_of(split(data + trailing)) == items

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_several_lines_are_read_in_their_order(self, split):
        assert lines_of(split(WHOLE)) == ALL_LINES

    @given(cuts=random_cuts)
    def test_the_corpus_is_read_in_any_split(self, cuts):
        assert lines_of(cut(WHOLE, cuts)) == ALL_LINES

    @given(segments=st.lists(st.binary(max_size=60), max_size=12))
    def test_no_bytes_make_it_raise(self, segments):
        decoder = LineDecoder(limit=40)
        for segment in segments:
            decoder.receive(segment)
            if decoder.idle_after is not None:
                decoder.idle()
        decoder.end()

    @pytest.mark.parametrize("first, ending", [
        (b"a\n", LF), (b"a\r\n", CRLF), (b"a\r\0", CRLF), (b"a\r", CRLF), (b"a\n\r", LF)])
    def test_the_first_line_ending_is_the_one_to_answer_with(self, first, ending):
        for segments in ([first + b"b\nc\r\n"], byte_by_byte(first + b"b\nc\r\n")):
            decoder = LineDecoder()
            for segment in segments:
                decoder.receive(segment)
            assert decoder.ending == ending

    @pytest.mark.parametrize("newline, ending", [(b"", CRLF), (b"x\n", LF)])
    def test_a_telnet_client_is_answered_with_crlf_unless_it_uses_lf(self, newline, ending):
        decoder = LineDecoder()
        decoder.receive(newline)
        decoder.receive(b"\xff\xfd\x06")
        assert decoder.ending == ending

    def test_the_end_of_the_input_ends_the_last_line(self):
        decoder = LineDecoder()
        decoder.receive(b"Hugo\nbye")
        assert decoder.end() == [Line("bye")]
        assert decoder.end() == []


class TestWithoutNewlines:
    def test_text_that_came_as_one_segment_is_a_line_after_200_ms(self):
        decoder = LineDecoder()
        assert decoder.receive(b"Hugo") == []
        assert decoder.idle_after == 0.2
        assert decoder.idle() == [Line("Hugo")]
        assert decoder.idle_after is None

    def test_after_a_first_line_without_a_newline_a_single_character_is_a_line_too(self):
        decoder = LineDecoder()
        decoder.receive(b"Hugo")
        decoder.idle()
        decoder.receive(b"?")
        assert decoder.idle_after == 0.2
        assert decoder.idle() == [Line("?")]

    def test_two_segments_without_a_newline_wait_for_more(self):
        decoder = LineDecoder()
        decoder.receive(b"Hu")
        decoder.receive(b"go")
        assert decoder.idle_after is None

    def test_the_line_of_somebody_who_types_key_by_key_waits_for_its_newline(self):
        decoder = LineDecoder()
        for key in byte_by_byte("Zoë".encode()):
            assert decoder.receive(key) == []
            assert decoder.idle_after is None
        assert decoder.receive(b"\r\n") == [Line("Zoë")]

    @pytest.mark.parametrize("key", ["👍🏽", "\x1b[A", "e\u0308", "\x1b[1;5C"], ids=ascii)
    def test_so_it_does_if_the_first_key_sends_several_bytes(self, key):
        decoder = LineDecoder()
        assert decoder.receive(key.encode()) == []
        assert decoder.idle_after is None
        decoder.receive(b"x")
        assert decoder.idle_after is None

    def test_silence_ends_no_line_of_a_client_that_has_sent_a_newline(self):
        decoder = LineDecoder()
        assert decoder.receive(b"Hugo\nhel") == [Line("Hugo")]
        assert decoder.idle_after is None
        assert decoder.receive(b"lo\n") == [Line("hello")]

    def test_silence_ends_no_line_of_a_telnet_client(self):
        decoder = LineDecoder()
        decoder.receive(b"\xff\xfd\x03Hugo")
        assert decoder.idle_after is None

    def test_a_telnet_negotiation_alone_is_no_segment_of_a_line(self):
        decoder = LineDecoder()
        assert decoder.receive(b"\xff\xfd\x03") == [TelnetAnswer(b"\xff\xfc\x03")]
        assert decoder.idle_after is None

    def test_the_time_can_be_chosen(self):
        decoder = LineDecoder(idle_time=7)
        decoder.receive(b"Hugo")
        assert decoder.idle_after == 7


class TestTooLong:
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r\0", b"\r", b"\n\r"])
    def test_an_overlong_line_is_reported_once_and_the_next_is_read(self, ending, split):
        data = b"x" * 500 + ending + b"next" + ending
        assert items_of(split(data), limit=100) == [Overlong(), Line("next")]

    @pytest.mark.parametrize("size", [64, 640])
    def test_a_line_without_an_end_is_reported_once_and_takes_no_memory(self, size):
        decoder = LineDecoder(limit=100)
        items = [item for _ in range(1000) for item in decoder.receive(b"x" * size)]
        assert items == [Overlong()]
        assert held_text(decoder) < 100

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    def test_a_line_of_exactly_the_limit_is_read(self, split):
        assert items_of(split(b"x" * 100 + b"\n"), limit=100) == [Line("x" * 100)]
        assert items_of(split(b"x" * 101 + b"\n"), limit=100) == [Overlong()]

    def test_a_client_without_newlines_may_go_on_after_a_silence(self):
        decoder = LineDecoder(limit=100)
        assert decoder.receive(b"x" * 500) == [Overlong()]
        assert decoder.idle_after == 0.2
        assert decoder.idle() == []
        decoder.receive(b"next")
        assert decoder.idle() == [Line("next")]


class TestOtherProtocols:
    GREETINGS = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01", b"PASS secret\r\n"]

    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("data", GREETINGS)
    def test_is_recognised_by_its_first_line_of_which_nothing_is_a_line(self, data, split):
        first, *_ = items_of(split(data))
        assert isinstance(first, OtherProtocol)

    @pytest.mark.parametrize("finish", [LineDecoder.idle, LineDecoder.end])
    def test_also_without_a_newline(self, finish):
        decoder = LineDecoder()
        assert decoder.receive(b"EHLO laptop") == []
        [found] = finish(decoder)
        assert found.name == "SMTP"
        assert decoder.end() == []

    def test_the_same_words_later_are_a_text_like_any_other(self):
        assert items_of([b"Hugo\nGET / HTTP/1.1\n"]) == [Line("Hugo"), Line("GET / HTTP/1.1")]
        decoder = LineDecoder()
        decoder.receive(b"GET ")
        decoder.idle()
        assert decoder.receive(b"/ HTTP/1.1\n") == [Line("/ HTTP/1.1")]


class TestSending:
    @pytest.mark.parametrize(
        "event, text",
        [
            (message(), "Hugo: hello\n"),
            (message(from_user="Sue*"), "Sue*: hello\n"),
            (message(to_user="Sue*"), "[private] Hugo: hello\n"),
            (message(room="Taskmaster"), "[#Taskmaster] Hugo: hello\n"),
            (message("one\ntwo"), "Hugo: one\nHugo: two\n"),
            (message("one\u2028two\u2029three"), "Hugo: one\nHugo: two\nHugo: three\n"),
            (Presence(("ada",), ("bob",)), "-!- bob has left\n-!- ada has joined\n"),
            (Presence(("ada",), (), "Taskmaster"), "-!- ada has joined #Taskmaster\n"),
            (Notice("degraded", "Sorry."), "-!- Sorry.\n"),
        ],
    )
    def test_events_look_as_the_contract_says_in_the_ending_of_the_receiver(self, event, text):
        assert lines.encode_lf(event) == text.encode()
        assert lines.encode_crlf(event) == text.replace("\n", "\r\n").encode()

    def test_the_encoders_are_chosen_by_ending(self):
        for ending, encode in lines.LINE_ENCODERS.items():
            assert encode(message()) == b"Hugo: hello" + ending

    @pytest.mark.parametrize("encode", lines.LINE_ENCODERS.values())
    def test_typing_is_not_shown(self, encode):
        assert encode(Typing("Hugo")) is None

    def test_half_a_surrogate_pair_is_sent_as_a_question_mark(self):
        for encode in lines.LINE_ENCODERS.values():
            assert encode(message("\ud800")).startswith(b"Hugo: ?")

    @pytest.mark.parametrize("name", ["-!- Sue", "[private] Sue", "[#Taskmaster] Sue", "‐!‐ Sue", "(server)"])
    def test_no_name_can_imitate_a_mark_of_the_server(self, name):
        assert lines.encode_lf(message(from_user=name)) == f"<{name}>: hello\n".encode()

    @given(text=st.text(max_size=80).filter(lambda text: "\r" not in text))
    def test_every_line_that_leaves_begins_with_its_sender(self, text):
        for line in lines.encode_lf(message(text)).decode().removesuffix("\n").split("\n"):
            assert line.startswith("Hugo: ")


class TestClient:
    @pytest.mark.parametrize(
        "event, expected",
        [
            (message(), ReceivedLine("message", "hello", "Hugo")),
            (message("a: b"), ReceivedLine("message", "a: b", "Hugo")),
            (message(to_user="Sue*"), ReceivedLine("private", "hello", "Hugo")),
            (message(room="8 out of 10 cats"), ReceivedLine("room", "hello", "Hugo", "8 out of 10 cats")),
            (message(from_user="[private] Sue"), ReceivedLine("message", "hello", "[private] Sue")),
            (message(from_user="[private] Sue", to_user="x"), ReceivedLine("private", "hello", "[private] Sue")),
            (Notice("x", "Hugo: not a message"), ReceivedLine("server", "Hugo: not a message")),
        ],
    )
    @pytest.mark.parametrize("split", [whole, byte_by_byte])
    @pytest.mark.parametrize("encode", lines.LINE_ENCODERS.values())
    def test_a_client_reads_what_the_server_sends_in_either_ending(self, event, expected, encode, split):
        client = ServerLineDecoder()
        received = [one for segment in split(encode(event) + b"trailing") for one in client.receive(segment)]
        assert received == [expected]

    @given(cuts=random_cuts)
    def test_a_client_reads_the_same_in_any_split(self, cuts):
        data = lines.encode_lf(message("hé\nthere")) + lines.encode_crlf(Presence(("ada",), ("Zoë",)))
        client = ServerLineDecoder()
        assert [one for segment in cut(data, cuts) for one in client.receive(segment)] == [
            ReceivedLine("message", "hé", "Hugo"), ReceivedLine("message", "there", "Hugo"),
            ReceivedLine("server", "Zoë has left"), ReceivedLine("server", "ada has joined"),
        ]

    def test_a_line_of_no_known_form_counts_as_the_servers(self):
        assert parse_line("what is this") == ReceivedLine("server", "what is this")

    def test_typed_text_is_sent_line_by_line_without_blank_lines(self):
        assert lines.encode_typed("Zoë\n\n \u2028hi") == "Zoë\nhi\n".encode()

    def test_a_client_reads_names_out_of_the_servers_sentences(self):
        sentence = "You are Sue*. " + lines.people_sentence(("ada", "Sue*"))
        assert lines.assigned_name(sentence) == "Sue*"
        assert lines.listed_people(sentence) == ("ada", "Sue*")
        assert lines.listed_people(lines.people_sentence(("ada", "Sue*"))) == ("ada", "Sue*")
        assert lines.assigned_name("You are not a member of any room.") is None
        assert lines.listed_people("ada has joined") is None
        assert lines.presence_change("Nobody of that name is here.") is None
        assert lines.presence_change("ada has joined") == ("ada", True)
        assert lines.presence_change("ada has left") == ("ada", False)
        assert lines.presence_change("ada has joined #Taskmaster") is None

    def test_a_client_knows_presence_from_answers(self):
        for event in (Presence(("ada",), ("bob",)), Presence(("ada",), (), "Quite Interesting")):
            assert all(lines.is_presence(parse_line(line).text) for line in lines.as_lines(event).splitlines())
        assert not lines.is_presence("Nobody of that name is here.")

    def test_a_client_reads_rooms_out_of_the_servers_sentences(self):
        assert lines.listed_rooms("Your rooms: Quite Interesting | Taskmaster") == ("Quite Interesting", "Taskmaster")
        assert lines.listed_rooms("You are not a member of any room.") == ()
        assert lines.listed_rooms("You are ada. 1 here: ada") is None
        joined = "What you type goes to #8 out of 10 cats now; /part leaves it, /all text goes to everyone."
        assert lines.current_target(joined) == ("8 out of 10 cats",)
        assert lines.current_target("You have left the room. What you type goes to everyone again.") == (None,)
        assert lines.current_target("You have left the room.") is None

    def test_a_client_reads_the_code_of_a_refusal_out_of_its_sentence(self):
        assert lines.refusal_code(str(SlowDown())) == "slow-down"
        assert lines.refusal_code(f"{BadCredentials()} {lines.LOGIN_HINT}") == "bad-credentials"
        assert lines.refusal_code("ada has joined") is None

    @pytest.mark.parametrize("name, password", [("Sue", "pass word"), ("Ada Love", 'a "b" c'), ("Sue", " spaced ")])
    def test_the_server_reads_the_login_that_a_client_sends(self, name, password):
        assert parse(lines.encode_login(name, password).decode().rstrip("\n")) == Login(name, password)
