"""`webchat desktop`, as its user starts it."""

import os
import signal
import subprocess

import pytest

from tests.clients.desktop.window_user import QTimer, WindowUser
from tests.clients.terminal_user import command, environment
from tests.program import PATIENCE, Program
from webchat.clients.desktop.main import close_on_signals, main

OFFSCREEN = environment(QT_QPA_PLATFORM="offscreen")


def test_with_a_name_it_connects_at_once_and_on_a_signal_it_leaves_the_chat():
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
def test_wrong_usage_is_exit_status_2_and_explained(address, problem):
    done = subprocess.run(command("desktop", address), env=OFFSCREEN, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert problem in done.stderr


@pytest.mark.parametrize(("address", "problem"), [
    ("localhost:door", "no port between 1 and 65535"), ("ws://localhost:8000/ws", "speaks braces over TCP"),
])
def test_wrong_usage_is_explained_with_the_usage(capsys, address, problem):
    assert main.main([address], prog_name="webchat desktop", standalone_mode=False) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("Usage: webchat desktop") and problem in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_window_even_while_nothing_happens(app, number):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        window = WindowUser(1).window
        close_on_signals(app, window)
        QTimer.singleShot(0, lambda: os.kill(os.getpid(), number))
        assert app.exec() == 0
        assert not window.isVisible()
        window.deleteLater()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
