"""The client of the TCP challenge: a program at a terminal that sends what is typed and shows what others say.

(The server's five steps are specified in test_tcp_challenge.py.)
"""

from tests.clients.terminal_user import TerminalUser, pipe
from webchat.clients.address import parse


def test_it_connects_to_port_7007_unless_told_otherwise():
    assert (parse("localhost").host, parse("localhost").port) == ("localhost", 7007)
    assert parse("localhost:9000").port == 9000


def test_it_needs_no_other_program_and_starts_with_one_command(chat_server):
    done = pipe("hello\n", f"127.0.0.1:{chat_server.lines_port}", "--name", "starter")
    assert (done.returncode, done.stderr) == (0, "")


def test_two_clients_are_shown_each_message_once(chat_server):
    address = f"127.0.0.1:{chat_server.lines_port}"
    with TerminalUser(address) as hugo, TerminalUser(address) as ada:
        hugo.logs_in("Hugo")
        ada.logs_in("ada")
        hugo.sees("-!- ada has joined")
        hugo.enters("hello from Hugo")
        assert ada.sees("Hugo: hello from Hugo").count("hello from Hugo") == 1
        ada.enters("hello from ada")
        assert hugo.sees("ada: hello from ada").count("Hugo: hello from Hugo") == 1
        ada.enters("exit")
        assert ada.leaves() == 0
        hugo.sees("-!- ada has left")


def test_a_line_that_is_being_typed_stays_intact_while_others_speak(chat_server):
    with TerminalUser(f"127.0.0.1:{chat_server.lines_port}") as writer, chat_server.say("chatterbox") as other:
        writer.logs_in("writer")
        for number, word in enumerate(["this ", "is ", "one ", "line"]):
            writer.types(word)
            other.write(f"interruption {number}")
            writer.sees(f"chatterbox: interruption {number}")
        writer.types("\r")
        assert other.hear("writer: ") == "writer: this is one line"


