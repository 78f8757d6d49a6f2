"""Standard input, output and error that are closed, or cannot be written, stop no program."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def standard_streams() -> Iterator[None]:
    """Run a program with all three streams, and let none that cannot be written change its exit status.

    A stream that was closed when the program started becomes /dev/null. Otherwise the next socket would get its number,
    and what is printed would be sent to a client.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # opening takes the lowest free number, which is that of this stream
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    try:
        yield
    finally:
        flush()


def say(text: str, stream: TextIO) -> None:
    """Write a line, or nothing if the stream cannot be written: its reader is gone, or its disk is full."""
    try:
        stream.write(f"{text}\n")  # in one piece, because other processes may write there, too
        stream.flush()
    except OSError:
        _discard(stream)


def flush() -> None:
    """Write what standard output and standard error still hold; discard it if it cannot be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _discard(stream)


def _discard(stream: TextIO) -> None:
    """Let what the stream holds, and all that follows, go to /dev/null: Python would write it again at the end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
