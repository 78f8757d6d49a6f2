"""A user of the terminal client: at a terminal, and in a pipe."""

import os
import re
import signal
import subprocess
import sys
import time

import pexpect

from tests.program import PATIENCE, ROOT

CURSOR_POSITION_REQUEST = "\x1b[6n"
"""What a program sends to ask for the cursor position (ECMA-48, device status report)."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


def environment(**variables: str) -> dict[str, str]:
    """The environment of a terminal with 256 colours."""
    inherited = {key: value for key, value in os.environ.items()
                 if key not in ("NO_COLOR", "COLORTERM", "WEBCHAT_PASSWORD")}
    return inherited | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8"} | variables


def command(*words: object) -> list[str]:
    """The command line `webchat WORDS`."""
    return [sys.executable, "-m", "webchat", *map(str, words)]


def pipe(text: str, *words: object, **variables: str) -> subprocess.CompletedProcess:
    """Run `printf TEXT | webchat chat WORDS`."""
    return subprocess.run(command("chat", *words), input=text, text=True, capture_output=True, timeout=3 * PATIENCE,
                          env=environment(**variables))


class TerminalUser:
    """Somebody who runs `webchat chat` at a terminal. `raw` is everything that the program wrote."""

    def __init__(self, *words: object, **variables: str):
        program, *rest = command("chat", *words)
        self._child = pexpect.spawn(program, rest, encoding="utf-8", dimensions=(30, 110), env=environment(**variables))
        self._child.delaybeforesend = None
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> "TerminalUser":
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
        """Wait for a pattern after the end of the last one. Returns the text between, without escape sequences."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.compile(wanted).search(self._text(), self._seen)):
            try:
                self._read(max(deadline - time.monotonic(), 0.01))
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                raise AssertionError(f"{wanted!r} did not appear after:\n{self._text()[self._seen:]}") from error
        before, self._seen = self._seen, found.end()
        return self._text()[before : self._seen]

    def leaves(self) -> int:
        """Wait for the end of the program. Returns its exit status."""
        while True:
            try:
                self._read(PATIENCE)
            except pexpect.EOF:
                break
        self._child.close()
        return self._child.exitstatus

    def hangs_up(self) -> None:
        """Close the terminal."""
        self._child.kill(signal.SIGHUP)

    def logs_in(self, name: str) -> "TerminalUser":
        """Log in with the protocol for lines, and wait for the prompt."""
        self.sees("Name:")
        self.enters(name)
        self.sees(re.escape(f"{name}>"))
        return self

    def _read(self, seconds: float) -> None:
        text = self._child.read_nonblocking(65536, seconds)
        self.raw += text
        for _ in range(text.count(CURSOR_POSITION_REQUEST)):
            self._child.send("\x1b[1;1R")

    def _text(self) -> str:
        return _ESCAPES.sub("", self.raw)
