"""`webchat chat` as its user starts it: at a terminal, and with wrong usage."""

import re
import signal
import socket

import click
import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.clients.terminal_user import TerminalUser
from tests.program import Program
from webchat.clients.terminal.main import main


@pytest.fixture
def lines(server):
    return f"127.0.0.1:{server.lines_port}"


class TestLoggingIn:
    def test_it_asks_for_the_name_and_shows_the_state_of_the_connection(self, lines):
        with TerminalUser(lines) as guest:
            guest.logs_in("newcomer")
            guest.sees("Connected as newcomer · to everyone · 1 here")

    def test_a_name_that_was_given_is_not_asked_for(self, lines):
        with TerminalUser(lines, "--name", "given") as guest:
            assert "Name:" not in guest.sees("given>")

    def test_a_refused_name_is_explained_and_asked_for_again(self, server, lines):
        with server.say("early"), TerminalUser(lines, "--name", "early") as guest:
            guest.sees(r"-!- Somebody here already has that name\.")
            guest.logs_in("late")

    def test_an_account_asks_for_its_password_and_does_not_show_it(self, lines):
        with TerminalUser(lines, "--name", "Alex") as alex:
            alex.sees("Password of Alex .*:")
            alex.enters("letmein")
            alex.sees("Password of Alex .*:")
            alex.enters("password")
            alex.sees(r"Alex\*>")
            assert "letmein" not in alex.raw and "*" * len("letmein") in alex.raw

    def test_it_waits_for_a_server_that_has_not_started_yet(self):
        with Program() as first:
            ports = ["--port", str(first.port), "--lines-port", str(first.lines_port), "--braces-port",
                     str(first.braces_port)]
            first.stop()
        with TerminalUser(f"127.0.0.1:{first.lines_port}", "--name", "early bird") as guest:
            guest.sees("nobody listens there; next attempt in 1 s")
            with Program(*ports):
                guest.sees("You are early bird")


class TestTalking:
    def test_a_half_typed_line_stays_intact_while_others_speak(self, server, lines):
        with TerminalUser(lines) as guest, server.say("Ada") as ada:
            guest.logs_in("slowhand")
            guest.types("half a li")
            guest.sees("half a li")
            ada.write("are you there?")
            guest.sees(r"\d\d:\d\d Ada: are you there\?")
            guest.sees("slowhand> half a li")
            guest.types("ne\r")
            assert ada.hear("slowhand: ") == "slowhand: half a line"
            guest.sees(r"\d\d:\d\d slowhand: half a line")

    def test_private_messages_are_marked_in_both_directions(self, server, lines):
        with TerminalUser(lines) as guest, server.say("Bob Two") as bob:
            guest.logs_in("discreet")
            guest.enters('/msg "Bob Two" psst')
            bob.hear(r"^\[private\] discreet: psst$")
            guest.sees(r"\[private\] discreet → Bob Two: psst")
            bob.write("/msg discreet yes?")
            guest.sees(r"\[private\] Bob Two: yes\?")

    def test_lines_that_are_typed_fast_are_sent_in_order(self, server, lines):
        with TerminalUser(lines) as guest, server.say("patient") as ear:
            guest.logs_in("hasty")
            guest.types("".join(f"line {number}\r" for number in range(20)))
            assert [ear.hear("hasty: ") for _ in range(20)] == [f"hasty: line {number}" for number in range(20)]

    def test_tab_completes_commands_and_names(self, server, lines):
        with TerminalUser(lines) as guest, server.say("Bartholomew") as bart:
            guest.logs_in("lazy")
            # What Tab adds may be drawn by itself, after the rest of the screen.
            guest.types("/ms\t")
            guest.sees("(?s)/ms.*g")
            guest.types("Bar\t")
            guest.sees("(?s)Bar.*tholomew")
            guest.enters("hello")
            bart.hear(r"\[private\] lazy: hello")

    def test_the_up_arrow_recalls_earlier_lines_but_none_with_a_password(self, server, lines):
        with TerminalUser(lines) as guest, server.say("archivist") as ear:
            guest.logs_in("forgetful")
            guest.enters("once")
            ear.hear("forgetful: once")
            guest.enters("/login Sue not-the-password")
            guest.sees("-!- .*password")
            guest.sees("forgetful>")
            guest.types("\x1b[A")
            guest.sees("once")
            guest.enters(" more")
            assert ear.hear("forgetful: ") == "forgetful: once more"

    def test_the_commands_are_the_servers_own(self, lines):
        with TerminalUser(lines) as guest:
            guest.logs_in("curious")
            guest.enters("/help")
            guest.sees("-!- /users .*who is here")
            guest.enters("/nick Curious George")
            guest.sees("Curious George>")
            guest.enters("/dance")
            guest.sees("-!- There is no command /dance")

    def test_a_pasted_text_of_several_lines_is_sent_completely_after_enter(self, server, lines):
        with TerminalUser(lines) as guest, server.say("collector") as ear:
            guest.logs_in("quoter")
            guest.types("\x1b[200~one\ntwo\nthree\x1b[201~")
            guest.sees("three")
            guest.types("\r")
            assert [ear.hear("quoter: ") for _ in range(3)] == ["quoter: one", "quoter: two", "quoter: three"]

    def test_escape_sequences_in_what_others_say_do_not_reach_the_terminal(self, server, lines):
        with TerminalUser(lines) as guest, server.say("vandal") as vandal:
            guest.logs_in("safe")
            vandal.write("\x1b]0;owned\x07\x1b[2J\x9b31m end of attack")
            guest.sees("end of attack")
            assert "\x1b]0;" not in guest.raw and "\x07" not in guest.raw and "\x9b" not in guest.raw


class TestColours:
    COLOUR = re.compile(r"\x1b\[[\d;]*(?:38|48|[34][0-7]|9[0-7])(?:;[\d;]*)?m")

    def test_each_person_has_one(self, server, lines):
        with TerminalUser(lines) as guest, server.say("Red") as red, server.say("Blue") as blue:
            guest.logs_in("painter")
            red.write("one")
            guest.sees("Red: one")
            blue.write("two")
            guest.sees("Blue: two")
            colours = [re.search(rf"\x1b\[([\d;]+)m{name}\x1b\[0m: ", guest.raw)[1] for name in ("Red", "Blue")]
            assert all("38;5;" in colour for colour in colours)
            assert colours[0] != colours[1]

    def test_there_are_none_with_no_color_in_the_environment(self, server, lines):
        with TerminalUser(lines, NO_COLOR="1") as guest, server.say("Grey") as grey:
            guest.logs_in("monochrome")
            grey.write("plain")
            guest.sees("Grey: plain")
            assert not self.COLOUR.search(guest.raw)


class TestConnectionLost:
    def test_it_is_reported_the_line_is_kept_and_the_connection_opened_again(self):
        with Program() as first:
            ports = ["--port", str(first.port), "--lines-port", str(first.lines_port), "--braces-port",
                     str(first.braces_port)]
            with TerminalUser(f"127.0.0.1:{first.lines_port}") as guest:
                guest.logs_in("faithful")
                first.stop(signal.SIGKILL)
                guest.sees(r"-!- The server has closed the connection\. Trying to come back")
                guest.sees(r"faithful \(offline\)>")
                guest.enters("not to be lost")
                guest.sees("Your line is kept; press Enter when the connection is back")
                with Program(*ports) as second:
                    guest.sees(r"-!- Connected again as faithful\.")
                    second.lines_port = first.lines_port
                    with second.say("reunited") as ear:
                        guest.types("\r")
                        ear.hear("faithful: not to be lost")


class TestLeaving:
    @pytest.mark.parametrize("goodbye", ["quit\r", "exit\r", "/quit\r", "\x04", "\x03"])
    def test_quit_exit_ctrl_d_and_ctrl_c_leave_the_chat(self, server, lines, goodbye):
        name = f"leaver{ord(goodbye[0])}"
        with server.say(f"{name}s friend") as friend, TerminalUser(lines) as guest:
            guest.logs_in(name)
            guest.enters("so long")
            friend.hear(f"{name}: so long")
            guest.types(goodbye)
            guest.sees("Goodbye\\.")
            assert guest.leaves() == 0
            assert friend.hear(f"-!- {name} has") == f"-!- {name} has left"

    def test_lines_typed_before_leaving_are_still_sent(self, server):
        address = f"ws://127.0.0.1:{server.port}/ws"
        with server.say("last ear") as ear, TerminalUser(address, "--name", "brisk") as guest:
            guest.sees("Password")
            guest.enters("")
            guest.sees("brisk>")
            guest.types("".join(f"last words {number}\r" for number in range(10)) + "exit\r")
            assert guest.leaves() == 0
            assert [ear.hear("brisk: ") for _ in range(10)] == [f"brisk: last words {number}" for number in range(10)]

    @pytest.mark.parametrize("goodbye", ["\x04", "\x03"])
    def test_the_question_for_the_name_can_be_left_too(self, lines, goodbye):
        with TerminalUser(lines) as guest:
            guest.sees("Name:")
            guest.types(goodbye)
            assert guest.leaves() == 0

    def test_closing_the_terminal_leaves_the_chat(self, server, lines):
        with server.say("neighbour") as neighbour, TerminalUser(lines) as guest:
            guest.logs_in("abrupt")
            neighbour.hear("-!- abrupt has joined")
            guest.hangs_up()
            neighbour.hear("-!- abrupt has left")


class TestStarting:
    """`main` in this process, with the streams of the test."""

    @pytest.fixture
    def start(self, monkeypatch, tmp_path):
        def start(*words: str, text: str = "", is_terminal: bool = False) -> int:
            (tmp_path / "input").write_text(text)
            with (tmp_path / "input").open() as file:
                monkeypatch.setattr("sys.stdin", file)
                for stream in ("sys.stdin", "sys.stdout"):
                    monkeypatch.setattr(f"{stream}.isatty", lambda: is_terminal, raising=False)
                return main.main(list(words), prog_name="webchat chat", standalone_mode=False)

        monkeypatch.delenv("WEBCHAT_PASSWORD", raising=False)
        return start

    @pytest.mark.parametrize("scheme", ["", "ws://"])
    def test_in_a_pipe_the_input_is_sent(self, server, start, scheme):
        address = f"127.0.0.1:{server.port if scheme else server.lines_port}"
        with server.say(f"audience{scheme[:2]}") as ear:
            assert start(f"{scheme}{address}", "--name", f"piped{scheme[:2]}", text="hello\n") == 0
            ear.hear(f"^piped{scheme[:2]}: hello")

    def test_at_a_terminal_the_user_talks_and_leaves(self, server, start, lines, capsys):
        with server.say("listener") as ear, create_pipe_input() as keys, create_app_session(keys, DummyOutput()):
            keys.send_text("talker\rhello\rquit\r")
            assert start(lines, is_terminal=True) == 0
            ear.hear("^talker: hello")
            assert capsys.readouterr().out == "Goodbye.\n"

    def test_a_password_from_the_environment_logs_in(self, start, lines, monkeypatch, capsys):
        monkeypatch.setenv("WEBCHAT_PASSWORD", "password")
        assert start(lines, "--name", "Alex") == 0

    def test_a_refused_login_is_one_sentence(self, start, lines):
        with pytest.raises(click.ClickException, match="the password in WEBCHAT_PASSWORD is missing or wrong"):
            start(lines, "--name", "Sandy")

    def test_a_server_that_is_not_there_is_one_sentence(self, start):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            with pytest.raises(click.ClickException, match=r"Cannot reach .+: nobody listens there\.$"):
                start(f"127.0.0.1:{nobody.getsockname()[1]}", "--name", "bot")

    @pytest.mark.parametrize(("words", "problem"), [
        (["localhost"], "--name is needed"), (["localhost:x", "--name", "bot"], "no port between 1 and 65535"),
        (["--colour"], "No such option"),
    ])
    def test_wrong_usage_is_explained_with_the_usage_and_status_2(self, start, capsys, words, problem):
        assert start(*words) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("Usage: webchat chat") and problem in printed
