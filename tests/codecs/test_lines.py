"""Lines over TCP: what bytes mean, how events look, and that no text can pass for another line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codecs.splits import byte_by_byte, cut, random_cuts
from webchat.chat.errors import BadCredentials, SlowDown
from webchat.chat.events import ChatMessage, Login, Notice, Presence, Typing
from webchat.codecs import lines
from webchat.codecs.commands import parse
from webchat.codecs.lines import CRLF, LF, Line, LineDecoder, ReceivedLine, ServerLineDecoder, TelnetAnswer, parse_line
from webchat.codecs.stream_input import OtherProtocol, Overlong

CORPUS = [
    (b"Hugo\n", [Line("Hugo")]),
    (b"Hugo\r\nhello\r\n", [Line("Hugo"), Line("hello")]),
    (b"typed in a character-mode telnet\r\0", [Line("typed in a character-mode telnet")]),
    ("Zoë: schöne Grüße, 日本 🎉\n".encode(), [Line("Zoë: schöne Grüße, 日本 🎉")]),
    (b"\n\nthere\n", [Line(""), Line(""), Line("there")]),
    (b"caf\xe9 \xc3\n", [Line("caf\ufffd \ufffd")]),
    (b"helo\x7flo\n", [Line("hello")]),
    (b"a\rb\n", [Line("a\rb")]),
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
    @pytest.mark.parametrize("data, items", CORPUS)
    def test_each_case_is_read_whole_and_byte_by_byte(self, data, items):
        assert items_of([data]) == items
        assert items_of(byte_by_byte(data)) == items

    def test_the_corpus_is_read_at_once_and_byte_by_byte(self):
        assert lines_of([WHOLE]) == ALL_LINES
        assert lines_of(byte_by_byte(WHOLE)) == ALL_LINES

    @given(cuts=random_cuts)
    def test_the_corpus_is_read_in_any_split(self, cuts):
        assert lines_of(cut(WHOLE, cuts)) == ALL_LINES

    @given(segments=st.lists(st.binary(max_size=60), max_size=12))
    def test_no_bytes_make_it_raise(self, segments):
        decoder = LineDecoder(limit=40)
        for segment in segments:
            decoder.receive(segment)
            if decoder.deadline is not None:
                decoder.idle()
        decoder.end()

    @pytest.mark.parametrize("first, ending", [(b"a\n", LF), (b"a\r\n", CRLF), (b"a\r\0", CRLF)])
    def test_the_first_ending_is_the_one_to_answer_with(self, first, ending):
        for segments in ([first + b"b\nc\r\n"], byte_by_byte(first + b"b\nc\r\n")):
            decoder = LineDecoder()
            for segment in segments:
                decoder.receive(segment)
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
        assert decoder.deadline == 0.2
        assert decoder.idle() == [Line("Hugo")]
        assert decoder.deadline is None

    def test_each_later_segment_is_a_line_too_were_it_a_single_character(self):
        decoder = LineDecoder()
        decoder.receive(b"Hugo")
        decoder.idle()
        decoder.receive(b"?")
        assert decoder.deadline == 0.2
        assert decoder.idle() == [Line("?")]

    def test_somebody_who_types_is_not_cut(self):
        decoder = LineDecoder()
        for key in byte_by_byte("Zoë".encode()):
            assert decoder.receive(key) == []
            assert decoder.deadline is None
        assert decoder.receive(b"\r\n") == [Line("Zoë")]

    def test_a_client_that_has_sent_a_newline_is_never_cut(self):
        decoder = LineDecoder()
        decoder.receive(b"Hugo\nhel")
        assert decoder.deadline is None
        assert decoder.receive(b"lo\n") == [Line("Hugo"), Line("hello")][1:]

    def test_telnet_is_never_cut(self):
        decoder = LineDecoder()
        decoder.receive(b"\xff\xfd\x03Hugo")
        assert decoder.deadline is None


class TestTooLong:
    @pytest.mark.parametrize("split", [lambda data: [data], byte_by_byte])
    def test_an_overlong_line_is_told_once_and_the_next_is_read(self, split):
        data = b"x" * 500 + b"\r\nnext\n"
        assert items_of(split(data), limit=100) == [Overlong(), Line("next")]

    def test_no_newline_for_ever_takes_no_memory(self):
        decoder = LineDecoder(limit=100)
        items = [item for _ in range(1000) for item in decoder.receive(b"x" * 64)]
        assert items == [Overlong()]
        assert len(decoder._buffer) <= 1

    def test_a_line_of_exactly_the_limit_is_read(self):
        assert items_of([b"x" * 100 + b"\n"], limit=100) == [Line("x" * 100)]

    def test_a_client_without_newlines_may_go_on_after_a_silence(self):
        decoder = LineDecoder(limit=100)
        assert decoder.receive(b"x" * 500) == [Overlong()]
        assert decoder.deadline == 0.2
        assert decoder.idle() == []
        decoder.receive(b"next")
        assert decoder.idle() == [Line("next")]


class TestOtherProtocol:
    @pytest.mark.parametrize(
        "data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /a HTTP/1.0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"OPTIONS sip:nm SIP/2.0\r\n"])
    def test_a_browser_or_tls_is_recognised_on_its_first_line(self, data):
        assert items_of([data]) == [OtherProtocol()]
        assert items_of(byte_by_byte(data))[0] == OtherProtocol()

    def test_the_same_words_later_are_a_text_like_any_other(self):
        assert items_of([b"Hugo\nGET / HTTP/1.1\n"]) == [Line("Hugo"), Line("GET / HTTP/1.1")]


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
    def test_events_look_as_the_contract_says_in_the_ending_of_the_listener(self, event, text):
        assert lines.encode_lf(event) == text.encode()
        assert lines.encode_crlf(event) == text.replace("\n", "\r\n").encode()

    def test_a_line_says_nothing_of_typing(self):
        assert lines.encode_lf(Typing("Hugo")) is None

    @pytest.mark.parametrize("name", ["-!- Sue", "[private] Sue", "[#Taskmaster] Sue", "‐!‐ Sue", "(server)"])
    def test_no_name_can_pass_for_a_mark_of_the_server(self, name):
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
    def test_it_hears_what_the_server_says_in_either_ending(self, event, expected):
        for encode in lines.LINE_ENCODERS.values():
            assert ServerLineDecoder().receive(encode(event)) == [expected]

    @given(cuts=random_cuts)
    def test_it_hears_the_same_in_any_split(self, cuts):
        data = lines.encode_lf(message("hé\nthere")) + lines.encode_crlf(Presence(("ada",), ("Zoë",)))
        listener = ServerLineDecoder()
        assert [one for segment in cut(data, cuts) for one in listener.receive(segment)] == [
            ReceivedLine("message", "hé", "Hugo"), ReceivedLine("message", "there", "Hugo"),
            ReceivedLine("server", "Zoë has left"), ReceivedLine("server", "ada has joined"),
        ]

    def test_a_line_of_no_known_form_is_the_servers(self):
        assert parse_line("what is this") == ReceivedLine("server", "what is this")

    def test_what_is_typed_is_sent_line_by_line(self):
        assert lines.encode_typed("Zoë\n\nhi") == "Zoë\nhi\n".encode()

    def test_it_reads_names_out_of_the_servers_sentences(self):
        sentence = "You are Sue*. " + lines.people_sentence(("ada", "Sue*"))
        assert lines.assigned_name(sentence) == "Sue*"
        assert lines.listed_people(sentence) == ("ada", "Sue*")
        assert lines.listed_people(lines.people_sentence(("ada", "Sue*"))) == ("ada", "Sue*")
        assert lines.assigned_name("You are not a member of any room.") is None
        assert lines.listed_people("ada has joined") is None
        assert lines.presence_change("ada has joined") == ("ada", True)
        assert lines.presence_change("ada has left") == ("ada", False)
        assert lines.presence_change("ada has joined #Taskmaster") is None

    def test_it_knows_presence_from_answers(self):
        for event in (Presence(("ada",), ("bob",)), Presence(("ada",), (), "Quite Interesting")):
            assert all(lines.is_presence(parse_line(line).text) for line in lines.as_lines(event).splitlines())
        assert not lines.is_presence("Nobody of that name is here.")

    def test_it_reads_rooms_out_of_the_servers_sentences(self):
        assert lines.listed_rooms("Your rooms: Quite Interesting | Taskmaster") == ("Quite Interesting", "Taskmaster")
        assert lines.listed_rooms("You are not a member of any room.") == ()
        assert lines.listed_rooms("You are ada. 1 here: ada") is None
        joined = "What you type goes to #8 out of 10 cats now; /part leaves it, /all text goes to everyone."
        assert lines.current_target(joined) == ("8 out of 10 cats",)
        assert lines.current_target("You have left the room. What you type goes to everyone again.") == (None,)
        assert lines.current_target("You have left the room.") is None

    def test_it_reads_the_code_of_a_refusal_out_of_its_sentence(self):
        assert lines.refusal_code(str(SlowDown())) == "slow-down"
        assert lines.refusal_code(f"{BadCredentials()} {lines.LOGIN_HINT}") == "bad-credentials"
        assert lines.refusal_code("ada has joined") is None

    @pytest.mark.parametrize("name, password", [("Sue", "pass word"), ("Ada Love", 'a "b" c'), ("Sue", " spaced ")])
    def test_a_login_arrives_as_it_was_given(self, name, password):
        assert parse(lines.encode_login(name, password).decode().rstrip("\n")) == Login(name, password)
