"""Standard streams that are closed, or cannot be written: nothing ends for them, and nothing is sent elsewhere."""

import socket
import subprocess
import sys

import pytest

from tests.program import PATIENCE, ROOT


def command(shell: str, code: str) -> list[str]:
    """The command that runs Python code inside `standard_streams`; `shell` redirects its streams."""
    program = ("import os, sys\n"
               "from webchat.streams import flush, say, standard_streams\n"
               f"with standard_streams():\n {code}")
    return ["sh", "-c", f'"$0" -c "$1" {shell}', sys.executable, program]


def run(shell: str, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(shell, code), cwd=ROOT, text=True, capture_output=True, timeout=PATIENCE)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_what_was_closed_is_open_so_that_no_socket_gets_its_number(closed):
    done = run(closed, "sys.exit(0 if os.open('/', 0) > 2 and all((sys.stdin, sys.stdout, sys.stderr)) else 9)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_read_or_written_where_a_stream_was_closed_is_nothing():
    done = run("<&- >&-", "say('Zoë', sys.stdout); say(repr(sys.stdin.read()), sys.stderr)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "''\n")


@pytest.mark.parametrize("redirected", [">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"])
def test_a_full_disk_changes_no_exit_status(redirected):
    done = run(redirected, "say('a', sys.stdout); say('b', sys.stderr); print('c'); sys.stderr.buffer.write(b'd')")
    assert (done.returncode, done.stdout) == (0, "" if ">/dev/full" in redirected.split() else "a\nc\n")


def test_a_reader_that_has_gone_changes_no_exit_status():
    code = "sys.stdin.read(); say('one', sys.stdout); print('two'); flush(); say('three', sys.stdout)"
    with subprocess.Popen(command("; echo $? >&2", code), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as program:
        program.stdout.close()
        program.stdin.close()
        assert program.stderr.read() == b"0\n"


def test_what_can_be_written_is_written():
    done = run("", "print('one', end=' '); say('two', sys.stdout); print('three', end='')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one two\nthree", "")


def test_a_line_is_written_in_one_piece_even_by_a_python_that_does_not_buffer():
    """Workers share their output, so a piece of a line could end up inside another's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        code = "import sys; from webchat.streams import say; say('one\\ntwo', sys.stdout)"
        subprocess.run([sys.executable, "-u", "-c", code], cwd=ROOT, stdout=theirs, check=True, timeout=PATIENCE)
        assert ours.recv(100) == b"one\ntwo\n"
