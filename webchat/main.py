"""The command line: `webchat` starts the server; `webchat chat`, `desktop` and `accounts` start other programs."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import Field
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import webchat
from webchat.config import FILE, REPEATABLE, SETTINGS, SWITCH, ConfigError, flag, load, mistyped_variables, variable
from webchat.streams import say, standard_streams


class Program(click.Command):
    """A subcommand that is the click command `main` of another module.

    The module is imported only when the subcommand is called. It parses all its arguments itself.
    """

    def __init__(self, name: str, module: str, help: str):
        super().__init__(name, help=help)
        self._module = module

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep all arguments, `--help` included, for the program itself."""
        ctx.args = list(args)
        return []

    def invoke(self, ctx: click.Context) -> Any:
        """Run the module's click command `main`."""
        try:
            command = import_module(self._module).main
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "PyQt5":
                raise
            remedy = shlex.join([sys.executable, "-m", "pip", "install", "PyQt5"])
            raise click.ClickException(f"`{ctx.command_path}` needs PyQt5: {remedy}") from error
        return command.main(ctx.args, prog_name=ctx.command_path, standalone_mode=False)


class ServerFirst(click.Group):
    """A group whose default command is `serve`: `webchat --port 80` means `webchat serve --port 80`.

    The server's flags belong to `serve` and not to the group, so they cannot clash with those of other commands.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0].startswith("-") and args[0] not in ("-h", "--help", "--version"):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the server's flags in the help of `webchat` itself, too."""
        with formatter.section("Server"):
            formatter.write_dl([record for param in serve.params if (record := param.get_help_record(ctx))])
        super().format_options(ctx, formatter)


@click.group(cls=ServerFirst, context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.version_option(webchat.__version__, prog_name="webchat", message="%(prog)s %(version)s")
def cli() -> None:
    """One chat, every client, nothing stored.

    Without a command, start the server and print a line for each open port. Every flag of the server can also be set
    in the environment (WEBCHAT_LINES_PORT) and in the file given with --config (lines-port = 7007). Use one of these
    for secrets: other users of this machine can see the command line.
    """


def _option(setting: Field[Any]) -> click.Option:
    """Return the flag for a setting. Its value stays text: `config.load` parses the values of all sources alike."""
    kind, default = setting.metadata["kind"], setting.default
    shown = f" [{default}]" if default not in (None, False, ()) else ""
    names, help = [flag(setting.name), setting.name], setting.metadata["help"] + shown
    if kind is SWITCH:
        return click.Option(names, help=help, is_flag=True, default=None)
    if kind in REPEATABLE:
        return click.Option(names, help=f"{help} Repeatable.", metavar=kind.metavar, multiple=True)
    return click.Option(names, help=help, metavar=kind.metavar)


@cli.command(params=[_option(setting) for setting in SETTINGS])
@click.option("--config", type=click.Path(path_type=Path), metavar=FILE.metavar,
              help=f"Read settings from this TOML file, too. Also {variable('config')}.")
def serve(config: Path | None, **flags: Any) -> int:
    """Start the server; the default command."""
    settings = load(flags, file=config)
    for notice in (*mistyped_variables(), *settings.notices):
        say(notice, sys.stderr)
    from webchat import server

    return server.run(settings)


cli.add_command(Program("chat", "webchat.clients.terminal.main", "Chat in this terminal."))
cli.add_command(Program("desktop", "webchat.clients.desktop.main", "Chat in a window (needs PyQt5)."))
cli.add_command(Program("accounts", "webchat.accounts_command", "Create and change the accounts file."))


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0; after one sentence on stderr, 2 for wrong usage, else 1."""
    with standard_streams():
        return _run(args)


def _run(args: Sequence[str] | None) -> int:
    try:
        status = cli.main(args, prog_name="webchat", standalone_mode=False)
    except click.ClickException as error:
        say(error.format_message(), sys.stderr)
        return error.exit_code
    except ConfigError as error:
        say(str(error), sys.stderr)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
