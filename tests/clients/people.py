"""A server, and people who use the terminal client as one does: at a terminal, and in a pipe."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pexpect
import pytest

from tests.program import PATIENCE, ROOT, Program

WHERE_IS_THE_CURSOR = "\x1b[6n"
"""A terminal's program asks (ECMA-48, device status report), and the terminal answers."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    """A server for the people of one file; each test has names of its own."""
    with Program("--message-rate", "0") as program:
        yield program


def environment(**variables: str) -> dict[str, str]:
    """As on a terminal of 256 colours."""
    ours = {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    not_ours = ("NO_COLOR", "COLORTERM", "WEBCHAT_PASSWORD")
    others = {key: value for key, value in os.environ.items() if key not in not_ours}
    return others | ours | variables


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "webchat", *map(str, words)]


def pipe(text: str, *words: object, **variables: str) -> subprocess.CompletedProcess:
    """`printf TEXT | webchat chat WORDS`."""
    return subprocess.run(command("chat", *words), input=text, text=True, capture_output=True, timeout=3 * PATIENCE,
                          env=environment(**variables))


class Typist:
    """Somebody at a terminal with `webchat chat` on it. What is seen is kept until a wait consumes it."""

    def __init__(self, *words: object, **variables: str):
        program, *rest = command("chat", *words)
        self._child = pexpect.spawn(program, rest, encoding="utf-8", dimensions=(30, 110), env=environment(**variables))
        self._child.delaybeforesend = None
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> "Typist":
        return self

    def __exit__(self, *_) -> None:
        self._child.close(force=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    def types(self, keys: str) -> None:
        self._child.send(keys)

    def enters(self, line: str) -> None:
        self.types(line + "\r")

    def sees(self, wanted: str) -> str:
        """Wait until a pattern is on the screen; returns what came since the last wait, without escape sequences."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.compile(wanted).search(self._text(), self._seen)):
            try:
                self._read(max(deadline - time.monotonic(), 0.01))
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                raise AssertionError(f"{wanted!r} did not appear after:\n{self._text()[self._seen:]}") from error
        before, self._seen = self._seen, found.end()
        return self._text()[before : self._seen]

    def leaves(self) -> int:
        """Wait for the end of the program; returns its exit status."""
        while True:
            try:
                self._read(PATIENCE)
            except pexpect.EOF:
                break
        self._child.close()
        return self._child.exitstatus

    def hangs_up(self) -> None:
        """The terminal is gone."""
        self._child.kill(signal.SIGHUP)

    def arrives(self, name: str) -> "Typist":
        """Log in, over lines, and wait for the prompt."""
        self.sees("Name:")
        self.enters(name)
        self.sees(re.escape(f"{name}>"))
        return self

    def _read(self, seconds: float) -> None:
        text = self._child.read_nonblocking(65536, seconds)
        self.raw += text
        for _ in range(text.count(WHERE_IS_THE_CURSOR)):
            self._child.send("\x1b[1;1R")

    def _text(self) -> str:
        return _ESCAPES.sub("", self.raw)
