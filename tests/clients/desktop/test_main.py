"""`webchat desktop`, as its user starts it."""

import signal
import subprocess

import pytest

from tests.clients.terminal_user import command, environment
from tests.program import PATIENCE, Program

pytest.importorskip("PyQt5.QtWidgets", reason="the window needs PyQt5", exc_type=ImportError)

OFFSCREEN = environment(QT_QPA_PLATFORM="offscreen")


def test_with_a_name_it_connects_at_once_and_a_signal_makes_it_say_goodbye():
    with Program() as server, server.say("friend") as friend:
        words = command("desktop", f"127.0.0.1:{server.braces_port}", "--name", "Hugo")
        with subprocess.Popen(words, env=OFFSCREEN, stderr=subprocess.DEVNULL) as window:
            friend.hear("-!- Hugo has joined")
            window.send_signal(signal.SIGTERM)
            friend.hear("-!- Hugo has left")
            assert window.wait(PATIENCE) == 0


@pytest.mark.parametrize(("address", "problem"), [
    ("localhost:server", "no port between 1 and 65535"), ("ws://localhost:8000/ws", "speaks braces over TCP"),
])
def test_wrong_usage_is_status_2_and_says_what_is_wrong(address, problem):
    done = subprocess.run(command("desktop", address), env=OFFSCREEN, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert problem in done.stderr
