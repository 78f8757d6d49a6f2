"""The settings. The command line overrides `WEBCHAT_*` variables, which override a TOML file and the defaults.

Each setting is one field of `Config`, which defines its flag (`--lines-port`), its variable (`WEBCHAT_LINES_PORT`), its
key in the file (`lines-port = 7007`), its default, its range and its help.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class ConfigError(Exception):
    """A setting cannot be used; the text is one sentence for the operator."""


def _integer(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise ValueError
    return int(raw)


def _number(raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        raise ValueError
    return float(raw)


def _switch(raw: Any) -> bool:
    return {"true": True, "yes": True, "on": True, "1": True,
            "false": False, "no": False, "off": False, "0": False}[str(raw).lower()]


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError
    return raw


def _path(raw: Any) -> Path:
    return Path(_text(raw)).expanduser()


def _words(raw: Any) -> tuple[str, ...]:
    """Return the values of a list, or of one string in which commas separate them."""
    words = raw.split(",") if isinstance(raw, str) else map(_text, raw)
    return tuple(word.strip() for word in words if word.strip())


def _origin(raw: str) -> str:
    """Return an origin as browsers send it: in lower case, without the scheme's default port (RFC 6454, 6.1)."""
    if raw == "*":
        return raw
    parts = urlsplit(raw.lower())
    default_port = {"http": 80, "https": 443}[parts.scheme]
    if not parts.hostname or "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default_port) else "")


def _networks(raw: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(word, strict=False) for word in _words(raw))


class Kind(NamedTuple):
    """A type of values: its name in error messages and in the help, and the function that parses it.

    `parse` raises ValueError, KeyError or TypeError for a value that is not of this kind.
    """

    noun: str
    metavar: str
    parse: Callable[[Any], Any]


INTEGER = Kind("a whole number", "N", _integer)
NUMBER = Kind("a number", "N", _number)
SWITCH = Kind("true or false", "", _switch)
STRING = Kind("text", "TEXT", _text)
URL = Kind("a URL", "URL", _text)
FILE = Kind("a file's path", "FILE", _path)
ORIGINS = Kind("an origin such as https://chat.example", "ORIGIN", lambda raw: tuple(map(_origin, _words(raw))))
NETWORKS = Kind("an IP address or network such as 10.0.0.0/8", "NETWORK", _networks)

REPEATABLE = (ORIGINS, NETWORKS)
LOG_LEVELS = ("debug", "info", "warning", "error")


def _setting(default: Any, kind: Kind, help: str, *, secret: bool = False, **limits: Any) -> Any:
    return field(default=default, repr=not secret, metadata={"kind": kind, "help": help} | limits)


def _port(default: int, help: str) -> Any:
    return _setting(default, INTEGER, help, at_least=0, at_most=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, with values that have been checked. Raises ConfigError."""

    host: str = _setting("127.0.0.1", STRING, "Address to listen on.")
    port: int = _port(8000, "Port of the page, Socket.IO and WebSocket; 0 takes any free one.")
    lines_port: int = _port(7007, "Port for telnet, nc and other line clients; 0 turns it off.")
    braces_port: int = _port(33002, "Port for the {HEADER}body protocol; 0 turns it off.")
    accounts: Path | None = _setting(
        None, FILE, "Accounts file, made by `webchat accounts`; it replaces the demo accounts.")
    demo_accounts: bool = _setting(False, SWITCH, "Keep the demo accounts on an address that is not loopback.")
    history: int = _setting(10, INTEGER, "Messages kept of each room, in memory.", at_least=0, at_most=1000)
    message_rate: float = _setting(100.0, NUMBER, "Messages per second and user; 0 means no limit.",
                                   at_least=0, at_most=1e6)
    max_connections: int = _setting(20_000, INTEGER, "Most connections at the same time; more are refused.",
                                    at_least=1, at_most=1_000_000)
    allow_origin: tuple[str, ...] = _setting((), ORIGINS, "Allow pages of this origin to connect, too; * allows any.")
    trusted_proxy: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (), NETWORKS, "Trust the X-Forwarded-For header from this proxy.")
    tls_cert: Path | None = _setting(None, FILE, "Certificate chain (PEM): serve HTTPS.")
    tls_key: Path | None = _setting(None, FILE, "The certificate's private key (PEM).")
    metrics_token: str | None = _setting(
        None, STRING, "Bearer token for /metrics; without one, only this machine may read it.", secret=True)
    redis: str | None = _setting(None, URL, "Join several servers into one chat through this Redis.", secret=True)
    redis_key: str | None = _setting(None, STRING, "Key that signs the messages between servers.", secret=True)
    workers: int = _setting(1, INTEGER, "Processes that share the ports; more than one needs --redis.",
                            at_least=1, at_most=256)
    log_level: str = _setting("info", STRING, f"One of {', '.join(LOG_LEVELS)}.", choices=LOG_LEVELS)

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ConfigError(problem)

    @property
    def has_demo_accounts(self) -> bool:
        """Whether the demo accounts, whose passwords are public, can log in."""
        return self.accounts is None and (self.demo_accounts or is_loopback(self.host))

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences that the operator should read when the server starts."""
        if self.accounts or self.has_demo_accounts:
            return ()
        return (f"The demo accounts are off, because {self.host or 'every address'} is not loopback; "
                "--accounts FILE brings your own, --demo-accounts keeps them.",)


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on `host` can be reached from this machine only."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def flag(name: str) -> str:
    """Return a setting's flag: `lines_port` → `--lines-port`."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return a setting's environment variable: `lines_port` → `WEBCHAT_LINES_PORT`."""
    return f"WEBCHAT_{name.upper()}"


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ, file: Path | None = None) -> Config:
    """Return the settings from all sources; each overrides the next: flags, environment, file, defaults.

    `flags` maps a field's name to its text on the command line; None and an empty tuple mean that the flag was not
    given. An empty variable counts as not set. Raises ConfigError, with the source of the bad value.
    """
    file = file or (Path(environ["WEBCHAT_CONFIG"]) if environ.get("WEBCHAT_CONFIG") else None)
    in_file = _read(file) if file else {}
    values = {}
    for each in fields(Config):
        sources = ((flag(each.name), flags.get(each.name)),
                   (variable(each.name), environ.get(variable(each.name)) or None),
                   (f"{each.name.replace('_', '-')} in {file}", in_file.get(each.name)))
        given = next(((where, raw) for where, raw in sources if raw is not None and raw != ()), None)
        if given:
            values[each.name] = _parse(each, *given)
    return Config(**values)


def _parse(setting: Field[Any], where: str, raw: Any) -> Any:
    kind = setting.metadata["kind"]
    try:
        return kind.parse(raw)
    except (ValueError, KeyError, TypeError):
        shown = ", ".join(map(str, raw)) if isinstance(raw, list | tuple) else raw
        raise ConfigError(f"{where} must be {kind.noun}, not {shown!r}.") from None


def _read(file: Path) -> dict[str, Any]:
    """Return the file's settings by field name. Paths in the file are relative to its folder."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The configuration {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"The configuration {file} is not TOML: {error}.") from error
    known = {each.name.replace("_", "-"): each for each in fields(Config)}
    settings = {}
    for key, raw in table.items():
        if key not in known:
            close = get_close_matches(key, known, 1)
            raise ConfigError(f"{file} sets {key!r}, which is no setting" + (f"; {close[0]}?" if close else "."))
        if known[key].metadata["kind"] is FILE and isinstance(raw, str):
            raw = str(file.parent / Path(raw).expanduser())
        settings[known[key].name] = raw
    return settings


def _problems(config: Config) -> Iterator[str]:
    """Yield a sentence for each value that is not allowed."""
    for each in fields(config):
        yield from _out_of_limits(flag(each.name), getattr(config, each.name), each.metadata)
    ports = [port for port in (config.port, config.lines_port, config.braces_port) if port]
    if len(set(ports)) < len(ports):
        yield "Each door needs a port of its own: --port, --lines-port and --braces-port differ."
    if (config.tls_cert is None) != (config.tls_key is None):
        yield "HTTPS needs both --tls-cert and --tls-key."
    if config.redis is not None and not config.redis.startswith(("redis://", "rediss://", "unix://")):
        yield "--redis must be a URL that begins with redis://, rediss:// or unix://."
    if config.workers > 1 and config.redis is None:
        yield f"--workers {config.workers} needs --redis URL, which makes its processes one chat."
    if config.workers > 1 and config.port == 0:
        yield f"--workers {config.workers} needs a --port other than 0, because its processes share it."


def _out_of_limits(flag: str, value: Any, limits: Mapping[str, Any]) -> Iterator[str]:
    if "at_least" in limits and not limits["at_least"] <= value <= limits["at_most"]:
        yield f"{flag} must be between {limits['at_least']} and {limits['at_most']:,.0f}, not {value}."
    if "choices" in limits and value not in limits["choices"]:
        yield f"{flag} must be one of {', '.join(limits['choices'])}, not {value!r}."
    if limits["kind"] is FILE and value is not None and not value.is_file():
        yield f"{flag}: there is no file {value}."
    if value == "" and flag != "--host":
        yield f"{flag} is empty."
