"""`webchat chat` between two programs: all of the input arrives, or the exit status says that it has not."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.clients.terminal_user import command, environment, pipe
from tests.program import PATIENCE, LineClient, Program


@pytest.fixture(params=["lines", "websocket"])
def address(request, server):
    return {"lines": f"127.0.0.1:{server.lines_port}", "websocket": f"ws://127.0.0.1:{server.port}/ws"}[request.param]


class Running:
    """A client in a pipe that is still open."""

    def __init__(self, *words, **streams):
        self.process = subprocess.Popen(command("chat", *words), stdin=subprocess.PIPE, text=True, bufsize=1,
                                        env=environment(), **streams)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        with self.process:
            self.process.kill()


def test_every_line_is_sent_and_the_last_one_needs_no_newline(server, address, request):
    with server.say(f"ear {request.node.name[-4:]}") as ear:
        done = pipe("deploy started\n\ndeploy done", address, "--name", "bot")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert ear.hear("bot: ") == "bot: deploy started"
        assert ear.hear("bot: ") == "bot: deploy done"
        assert ear.hear("-!- bot") == "-!- bot has left"


def test_a_name_may_have_spaces_and_letters_of_any_script(server, address):
    with server.say(f"listener{address[:2]}") as ear:
        assert pipe("schöne Grüße, 日本 🎉\n", address, "--name", "Zoë 李").returncode == 0
        assert ear.hear("Zoë 李: ") == "Zoë 李: schöne Grüße, 日本 🎉"


def test_the_input_may_be_a_file(server, tmp_path):
    (tmp_path / "lines").write_text("from a file\n")
    with server.say("reader") as ear, (tmp_path / "lines").open() as file:
        subprocess.run(command("chat", f"127.0.0.1:{server.lines_port}", "--name", "filed"), stdin=file, check=True,
                       env=environment(), timeout=PATIENCE)
        ear.hear("filed: from a file")


def test_messages_of_others_are_written_as_plain_lines(server, address):
    with Running(address, "--name", "pipe", stdout=subprocess.PIPE) as client:
        with server.say(f"ada{address[:2]}") as ada:
            client.stdin.write("I am here\n")
            ada.hear("pipe: I am here")
            ada.write("hello \x1b[31mred")
            ada.write("/msg pipe psst")
            heard = [client.stdout.readline() for _ in range(2)]
        name = f"ada{address[:2]}"
        assert heard == [f"{name}: hello \ufffd[31mred\n", f"[private] {name}: psst\n"]
        assert client.stdout.readline() == f"-!- {name} has left\n"


def test_a_server_that_limits_messages_gets_all_of_them():
    with Program("--message-rate", "20") as server, server.say("ear") as ear:
        for number, address in enumerate([f"127.0.0.1:{server.lines_port}", f"ws://127.0.0.1:{server.port}/ws"]):
            texts = [f"line {line}" for line in range(45)]
            done = pipe("\n".join(texts), address, "--name", f"bot{number}")
            assert (done.returncode, done.stderr) == (0, "")
            assert [ear.hear(f"bot{number}: ") for _ in texts] == [f"bot{number}: {text}" for text in texts]


def test_quit_in_the_input_ends_it(server, address):
    with server.say(f"witness{address[:2]}") as ear:
        assert pipe("before\nquit\nafter\n", address, "--name", "short").returncode == 0
        assert ear.hear("short[: ](?!has joined)") == "short: before"
        assert ear.hear("short") == "-!- short has left"


class TestRefusals:
    def test_a_refused_name_is_one_sentence_and_exit_status_1(self, server, address):
        with server.say("taken"):
            done = pipe("x", address, "--name", "taken")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "Somebody here already has that name.\n"

    def test_a_missing_or_wrong_password_is_one_sentence_and_exit_status_1(self, address):
        for variables in ({}, {"WEBCHAT_PASSWORD": "wrong"}):
            done = pipe("x", address, "--name", "Sandy", **variables)
            assert done.returncode == 1
            assert "WEBCHAT_PASSWORD is missing or wrong" in done.stderr

    def test_a_refused_message_does_not_stop_the_others(self, server, address):
        with server.say(f"hears{address[:2]}") as ear:
            done = pipe(f"one\n{'x' * 4097}\ntwo\n", address, "--name", "verbose")
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert done.stderr.startswith("A message has at most 4,096 characters")
            assert [ear.hear("verbose: ") for _ in range(2)] == ["verbose: one", "verbose: two"]

    @pytest.mark.parametrize("scheme", ["", "ws://"])
    def test_a_missing_server_is_one_sentence_and_exit_status_1(self, scheme):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            done = pipe("x", f"{scheme}127.0.0.1:{nobody.getsockname()[1]}", "--name", "bot")
        assert done.returncode == 1
        assert done.stderr.startswith("Cannot reach ") and done.stderr.endswith(": nobody listens there.\n")

    def test_a_web_server_without_a_chat_at_that_path_is_reported_with_its_status(self, server):
        done = pipe("x", f"ws://127.0.0.1:{server.port}/elsewhere", "--name", "bot")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "no chat there (HTTP 404)" in done.stderr


class TestRooms:
    def test_with_a_room_the_lines_are_sent_only_there(self, server, address):
        with server.say(f"outside{address[:2]}") as outside, server.say(f"guest{address[:2]}") as member:
            member.write("/login Sandy password")
            member.write("/join Taskmaster")
            member.hear("What you type goes to #Taskmaster")
            done = pipe("to the room\n", address, "--name", "Sue", "--room", "taskmaster", WEBCHAT_PASSWORD="password")
            assert (done.returncode, done.stderr) == (0, "")
            member.hear(r"^\[#Taskmaster\] Sue\*: to the room")
            member.write("/all the end")
            assert outside.hear("to the room|the end") == "Sandy*: the end"

    def test_with_a_room_that_refuses_the_user_nothing_is_sent(self, server, address):
        with server.say(f"public{address[:2]}") as ear:
            done = pipe("secret\n", address, "--name", "bot", "--room", "Taskmaster")
            assert (done.returncode, done.stderr) == (1, "#Taskmaster: You are not a member of that room.\n")
            ear.write("/users")
            assert "here: " in ear.hear("secret|here: ")


def test_wrong_usage_is_exit_status_2_and_explained():
    for words, missing in ((["localhost"], "--name is needed"), (["localhost:x", "--name", "a"], "no port between")):
        done = pipe("x", *words)
        assert done.returncode == 2
        assert missing in done.stderr


def test_the_password_has_no_flag():
    assert "password" not in [word.strip("-, ") for word in pipe("", "--help").stdout.split() if word.startswith("-")]


def test_a_restart_of_the_server_loses_no_line():
    with Program() as first:
        ports = ["--port", str(first.port), "--lines-port", str(first.lines_port), "--braces-port",
                 str(first.braces_port)]
        with Running(f"127.0.0.1:{first.lines_port}", "--name", "bot", stderr=subprocess.PIPE) as client:
            with first.say("ear") as ear:
                client.stdin.write("before\n")
                ear.hear("bot: before")
            first.stop(signal.SIGTERM)
            client.stdin.write("meanwhile\n")
            assert "Trying to come back" in client.stderr.readline()
            with Program(*ports), LineClient(first.lines_port) as ear:
                ear.write("ear")
                ear.hear("bot: meanwhile")
                client.stdin.close()
                ear.hear("bot has left")
                assert client.wait(PATIENCE) == 0


def test_the_input_is_sent_even_if_nobody_reads_the_output(server):
    read, write = os.pipe()
    with Running(f"127.0.0.1:{server.lines_port}", "--name", "deaf", stdout=write) as client:
        os.close(write)
        os.close(read)
        with server.say("talker") as talker:
            client.stdin.write("one\n")
            talker.hear("deaf: one")
            talker.write("/msg deaf are you there?")
            talker.write("/users")
            talker.hear("here: ")
            client.stdin.write("two\n")
            talker.hear("deaf: two")
            client.stdin.close()
            assert client.wait(PATIENCE) == 0


def test_nothing_is_written_to_disk(server, tmp_path):
    subprocess.run(command("chat", f"127.0.0.1:{server.lines_port}", "--name", "traceless"), input="x", text=True,
                   check=True, cwd=tmp_path, env=environment(HOME=str(tmp_path)), timeout=PATIENCE)
    assert list(Path(tmp_path).iterdir()) == []
