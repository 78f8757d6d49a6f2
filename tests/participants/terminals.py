"""Participants with a program at a terminal."""

import re

import pexpect

from tests.clients.terminal_user import command, environment
from tests.participants.base import Reader
from tests.program import PATIENCE


class Terminal(Reader):
    """A program at a terminal."""

    MESSAGE = re.compile(r"^(?P<private>\[private] )?(?P<sender>[^:\n]+): (?P<text>.*)$", re.MULTILINE)
    PRESENCE = re.compile(
        r"-!- (?:(?:You are .+\. )?\d+ here: (?P<names>.+)|(?P<came>.+) has joined|(?P<went>.+) has left)$",
        re.MULTILINE)
    ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")

    def start(self, program: str, *arguments: str) -> None:
        self.raw = ""
        self.child = pexpect.spawn(program, list(arguments), encoding="utf-8", dimensions=(30, 110),
                                   env=environment(PROMPT_TOOLKIT_NO_CPR="1"))
        self.child.delaybeforesend = None

    @property
    def text(self) -> str:
        return self.ESCAPES.sub("", self.raw)

    def listen(self, seconds: float) -> None:
        try:
            self.raw += self.child.read_nonblocking(65536, seconds)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            raise AssertionError(f"{self.name} ({type(self).__name__}) got no more after:\n{self.text}") from error

    def sees(self, wanted: str) -> None:
        self.until(lambda: wanted in self.text, wanted)

    def enter(self, line: str) -> None:
        self.child.send(f"{line}\r")

    def say(self, text: str) -> None:
        self.enter(text)

    def tell(self, name: str, text: str) -> None:
        self.enter(f'/msg "{name}" {text}')

    def end(self) -> None:
        """Wait for the end of the program."""
        self.child.expect(pexpect.EOF, timeout=PATIENCE)
        self.child.close()

    def close(self) -> None:
        self.child.close(force=True)


class Telnet(Terminal):
    echoes = echoes_private = False

    def join(self) -> None:
        self.start("telnet", "127.0.0.1", str(self.server.lines_port))
        self.sees("Type your name")
        self.enter(self.login)
        self.sees("/help lists")

    def leave(self) -> None:
        self.child.sendcontrol("]")
        self.sees("telnet>")
        self.enter("quit")
        self.end()


class LineClient(Terminal):
    """`webchat chat HOST:PORT`"""

    MESSAGE = re.compile(
        r"\d\d:\d\d (?P<private>\[private] )?(?P<sender>[^:\n]+?)(?: → [^:\n]+)?: (?P<text>.*)$", re.MULTILINE)

    def join(self) -> None:
        self.chat(f"127.0.0.1:{self.server.lines_port}")

    def chat(self, address: str) -> None:
        self.start(*command("chat", address))
        self.sees("Name:")
        self.enter(self.login)
        if address.startswith("ws:"):
            self.sees("Password")
            self.enter(self.password)
            self.sees("Enter for none")  # the rooms that a member may begin in
            self.enter("")
        self.sees(f"{self.name}>")

    def leave(self) -> None:
        self.child.sendcontrol("d")
        self.end()


class SocketClient(LineClient):
    """`webchat chat ws://HOST:PORT/ws`"""

    def join(self) -> None:
        self.chat(f"ws://127.0.0.1:{self.server.port}/ws")
