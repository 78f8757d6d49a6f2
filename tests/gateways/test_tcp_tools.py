"""Programs that people already have, used as people use them: telnet, nc, ncat, socat, tf."""

import shutil
import subprocess
from contextlib import ExitStack
from itertools import count

import pexpect
import pytest

from tests.gateways.standalone import doors

PIPES = {
    "nc": ("nc", "-N", "127.0.0.1", "{port}"),
    "ncat": ("ncat", "127.0.0.1", "{port}"),
    "socat": ("socat", "-", "TCP:127.0.0.1:{port}"),
    "socat with CRLF": ("socat", "-", "TCP:127.0.0.1:{port},crlf"),
}


NUMBERS = count()


@pytest.fixture(scope="module")
def server():
    with doors() as running:
        yield running


@pytest.fixture
def run(server):
    """Start a program at a terminal."""
    with ExitStack() as stack:
        def start(*command: str) -> pexpect.spawn:
            if shutil.which(command[0]) is None:
                pytest.skip(f"{command[0]} is not installed")
            arguments = [argument.format(port=server.lines_port) for argument in command[1:]]
            return stack.enter_context(pexpect.spawn(command[0], arguments, timeout=15, encoding="utf-8"))
        yield start


def enter(program: pexpect.spawn, name: str) -> pexpect.spawn:
    """Log in, with a name that no test has used before, because its connection there may not have ended yet."""
    program.person = f"{name}{next(NUMBERS)}"
    program.expect("-!- Welcome to webchat. Type your name")
    program.sendline(program.person)
    program.expect_exact(f"-!- You are {program.person}.")
    program.expect("lists what else you can do.")
    return program


class TestTelnet:
    @pytest.fixture
    def telnet(self, run):
        return enter(run("telnet", "127.0.0.1", "{port}"), "tina")

    @pytest.fixture
    def other(self, run, telnet):
        other = enter(run("nc", "127.0.0.1", "{port}"), "olaf")
        telnet.expect_exact(f"-!- {other.person} has joined")
        return other

    def command(self, telnet, command):
        telnet.sendcontrol("]")
        telnet.expect("telnet>")
        telnet.sendline(command)

    def test_two_people_talk(self, telnet, other):
        telnet.sendline("Grüße")
        other.expect_exact(f"{telnet.person}: Grüße\r\n")
        other.sendline("hello")
        telnet.expect_exact(f"{other.person}: hello\r\n")

    def test_after_ctrl_c_its_user_still_receives(self, telnet, other):
        for text in ("one", "two", "three"):
            telnet.sendcontrol("c")
            telnet.sendline(text)
            other.expect_exact(f"{telnet.person}: {text}\r\n")
            other.sendline(f"heard {text}")
            telnet.expect_exact(f"{other.person}: heard {text}\r\n")

    def test_are_you_there(self, telnet):
        self.command(telnet, "send ayt")
        telnet.expect("Yes, the chat is here.")

    def test_keys_sent_one_by_one_and_corrected_make_one_line(self, telnet, other):
        self.command(telnet, "mode character")
        for key in "helo\x7flo\r":
            telnet.send(key)
        other.expect_exact(f"{telnet.person}: hello\r\n")

    def test_quitting_gives_one_notice(self, telnet, other):
        self.command(telnet, "quit")
        telnet.expect(pexpect.EOF)
        other.expect_exact(f"-!- {telnet.person} has left")
        other.sendline("hello")
        other.sendline("/users")
        assert other.expect_exact([f"here: {other.person}", f"{telnet.person} has left"]) == 0


@pytest.mark.parametrize("command", PIPES.values(), ids=PIPES)
def test_a_pipe_says_its_lines_and_shows_the_answers(server, run, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    watcher = enter(run("nc", "127.0.0.1", "{port}"), "watcher")
    arguments = [argument.format(port=server.lines_port) for argument in command]
    bot = f"bot{next(NUMBERS)}"
    lines = f"{bot}: deploy started\ndeploy done\n/users\n".encode()
    done = subprocess.run(arguments, input=lines, capture_output=True, timeout=15)
    watcher.expect_exact(f"{bot}: deploy started\r\n{bot}: deploy done\r\n")
    watcher.expect_exact(f"-!- {bot} has left")
    assert f"{watcher.person} | {bot}" in done.stdout.decode().split("/help")[-1]


def test_tinyfugue_is_a_client_like_any_other(run):
    watcher = enter(run("nc", "127.0.0.1", "{port}"), "watcher")
    tf = run("tf", "-n", "-f/dev/null", "-v", "127.0.0.1", "{port}")
    tf.expect("Type your name")
    fugue = f"fugue{next(NUMBERS)}"
    tf.sendline(fugue)
    watcher.expect_exact(f"-!- {fugue} has joined")
    tf.sendline("hello from a MUD client")
    watcher.expect_exact(f"{fugue}: hello from a MUD client\r\n")
    watcher.sendline("hello, MUD client")
    tf.expect_exact(f"{watcher.person}: hello, MUD client")
    tf.sendline("/quit")
    watcher.expect_exact(f"-!- {fugue} has left")
