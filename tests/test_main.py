"""The command line: what starts the server, what starts the other programs, and what errors look like."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

import webchat
from webchat.config import SETTINGS, Config, flag
from webchat.main import Program, cli, main

TOP = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch):
    for each in [*(f.name for f in SETTINGS), "config"]:
        monkeypatch.delenv(f"WEBCHAT_{each.upper()}", raising=False)


@pytest.fixture
def started(monkeypatch):
    """The settings that the server was started with; it returns status 7 each time."""
    configs = []
    server = ModuleType("webchat.server")
    server.run = lambda config: configs.append(config) or 7
    monkeypatch.setitem(sys.modules, "webchat.server", server)
    monkeypatch.setattr(webchat, "server", server, raising=False)
    return configs


@pytest.fixture
def program(monkeypatch):
    """A program `webchat probe` that records its arguments; the server has a flag of the same name."""
    calls = []

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.option("--port")
    @click.argument("rest", nargs=-1)
    def command(port, rest):
        calls.append((port, rest))

    module = ModuleType("probe")
    module.main = command
    monkeypatch.setitem(sys.modules, "probe", module)
    monkeypatch.setitem(cli.commands, "probe", Program("probe", "probe", "A probe."))
    return calls


def printed(capsys) -> str:
    """What was written to stderr; nothing may have been written to stdout."""
    out, err = capsys.readouterr()
    assert out == ""
    return err


class TestServer:
    def test_without_arguments_it_starts_with_the_defaults(self, started):
        assert main([]) == 7
        assert started == [Config()]

    def test_flags_need_no_command_word(self, started):
        main(["--port", "9000", "--lines-port=0", "--allow-origin", "http://a", "--allow-origin", "http://b"])
        assert started == [Config(port=9000, lines_port=0, allow_origin=("http://a", "http://b"))]

    def test_the_command_serve_may_be_named(self, started):
        main(["serve", "--port", "9000"])
        assert started == [Config(port=9000)]

    def test_variables_set_what_no_flag_sets(self, started, monkeypatch):
        monkeypatch.setenv("WEBCHAT_PORT", "1")
        monkeypatch.setenv("WEBCHAT_HISTORY", "2")
        main(["--port", "9000"])
        assert started == [Config(port=9000, history=2)]

    def test_a_file_sets_what_nothing_else_sets(self, started, tmp_path):
        (tmp_path / "chat.toml").write_text("history = 4\nport = 1\n")
        main(["--config", str(tmp_path / "chat.toml"), "--port", "9000"])
        assert started == [Config(port=9000, history=4)]

    def test_on_a_public_address_it_starts_without_the_demo_accounts_and_says_so_in_one_line(self, started, capsys):
        main(["--host", "0.0.0.0"])
        assert not started[0].has_demo_accounts
        assert re.fullmatch(r"The demo accounts are off, .*--demo-accounts keeps them\.\n", printed(capsys))

    def test_a_mistyped_variable_is_no_error_but_one_line_says_so(self, started, monkeypatch, capsys):
        monkeypatch.setenv("WEBCHAT_HISTROY", "3")
        assert main([]) == 7
        assert started == [Config()]
        assert printed(capsys) == "The variable WEBCHAT_HISTROY is no setting; did you mean WEBCHAT_HISTORY?\n"

    def test_on_loopback_it_prints_no_notice(self, started, capsys):
        main([])
        assert printed(capsys) == ""


class TestErrors:
    @pytest.mark.parametrize(("args", "sentence"), [
        (["--port", "eighty"], "--port must be a whole number, not 'eighty'."),
        (["--port"], "Option '--port' requires an argument."),
        (["--tls-cert", __file__], "TLS needs both --tls-cert and --tls-key."),
        (["--workers", "2"], "--workers: 2 processes need --redis URL, which makes them one chat."),
        (["--config", "/nowhere.toml"], "--config: /nowhere.toml cannot be read: No such file or directory."),
        (["caht"], "No such command 'caht'. Did you mean 'chat'?"),
        (["--prot", "1"], "No such option '--prot'. (Did you mean one of: '--host', '--port'?)"),
    ])
    def test_of_usage_are_one_sentence_on_stderr_and_status_2(self, args, sentence, started, capsys):
        assert main(args) == 2
        assert printed(capsys) == sentence + "\n"
        assert started == []

    def test_of_a_variable_or_a_file_are_usage_too(self, started, monkeypatch, tmp_path, capsys):
        monkeypatch.setenv("WEBCHAT_HISTORY", "-3")
        assert main([]) == 2
        assert printed(capsys) == "WEBCHAT_HISTORY must be between 0 and 1,000, not -3.\n"
        (tmp_path / "chat.toml").write_text("lines-port = 7007\nhistory = -3\n")
        monkeypatch.setenv("WEBCHAT_HISTORY", "")
        monkeypatch.setenv("WEBCHAT_CONFIG", str(tmp_path / "chat.toml"))
        assert main([]) == 2
        assert printed(capsys) == f"history in {tmp_path}/chat.toml (line 2) must be between 0 and 1,000, not -3.\n"

    def test_reach_the_shell_from_python_dash_m(self):
        for module in ("webchat.main", "webchat"):
            command = [sys.executable, "-m", module, "--port", "x"]
            done = subprocess.run(command, cwd=TOP, capture_output=True, text=True)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr == "--port must be a whole number, not 'x'.\n"


class TestPrograms:
    def test_get_their_own_arguments_and_flags(self, program, started):
        assert main(["probe", "host:7007", "--port", "1", "--name", "bot"]) == 0
        assert program == [("1", ("host:7007", "--name", "bot"))]
        assert started == []

    def test_ignore_the_servers_variables(self, program, monkeypatch):
        monkeypatch.setenv("WEBCHAT_PORT", "nonsense")
        assert main(["probe"]) == 0
        assert program == [(None, ())]

    def test_print_their_own_help(self, program, capsys):
        assert main(["probe", "--help"]) == 0
        assert "Usage: webchat probe" in capsys.readouterr().out

    def test_fail_with_one_sentence_too(self, program, capsys):
        assert main(["probe", "--port"]) == 2
        assert printed(capsys) == "Option '--port' requires an argument.\n"

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, click.Abort])
    def test_end_with_status_130_when_they_are_interrupted(self, monkeypatch, interruption, capsys):
        @click.command()
        def interrupted():
            raise interruption

        module = ModuleType("probe")
        module.main = interrupted
        monkeypatch.setitem(sys.modules, "probe", module)
        monkeypatch.setitem(cli.commands, "probe", Program("probe", "probe", ""))
        assert main(["probe"]) == 130
        assert printed(capsys).strip() == ""

    def test_say_what_to_install_if_pyqt5_is_missing(self, monkeypatch, capsys):
        monkeypatch.setitem(cli.commands, "probe", Program("probe", "PyQt5.missing", ""))
        assert main(["probe"]) == 1
        remedy = shlex.join([sys.executable, "-m", "pip", "install", "PyQt5"])
        assert printed(capsys) == f"`webchat probe` needs PyQt5: {remedy}\n"

    def test_are_imported_only_when_they_are_called(self):
        code = "import sys, webchat.main; print(*[name for name in sys.modules if name.startswith('webchat.')])"
        done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
        settings = {"webchat.config", "webchat.backplane", "webchat.backplane.address", "webchat.net",
                    "webchat.net.hosts", "webchat.toml"}
        assert set(done.stdout.split()) == {"webchat.main", "webchat.streams"} | settings


class TestHelp:
    def test_version(self, capsys):
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"webchat {webchat.__version__}\n"

    @pytest.mark.parametrize("args", [[], ["serve"], ["--port", "9"], ["chat"], ["accounts"], ["accounts", "add"]])
    def test_is_shown_by_dash_h_everywhere(self, args, started, capsys):
        assert main([*args, "-h"]) == 0
        assert re.search(r"^Usage: webchat[^\n]*\n.*^  -h, --help  ", capsys.readouterr().out, re.M | re.S)
        assert started == []

    def test_lists_every_setting_and_every_program(self, capsys):
        assert main(["--help"]) == 0
        out = capsys.readouterr().out
        assert [each.name for each in SETTINGS if flag(each.name) not in out] == []
        assert re.findall(r"^  (accounts|chat|desktop|serve) ", out, re.M) == ["accounts", "chat", "desktop", "serve"]

    def test_the_readme_lists_every_setting_with_its_default(self):
        text = (TOP / "README.md").read_text(encoding="utf-8")
        for each in SETTINGS:
            row = re.search(rf"^\|.*`{flag(each.name)}( \w+)?`.*\|(.*)\|.*\|$", text, re.M)
            assert row, each.name
            if isinstance(each.default, int | float) and not isinstance(each.default, bool):
                assert row[2].strip() == f"{each.default:g}", each.name
