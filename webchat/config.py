"""The settings. The command line overrides `WEBCHAT_*` variables, which override a TOML file and the defaults.

Each setting is one field of `Config`, which defines its flag (`--lines-port`), its variable (`WEBCHAT_LINES_PORT`), its
key in the file (`lines-port = 7007`), its default, its range and its help.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from webchat import toml
from webchat.backplane import address
from webchat.backplane.address import BadRedisAddress, RedisAddress
from webchat.net import hosts
from webchat.toml import TomlError


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


def _own_host(raw: Any) -> str:
    """Return an address or a host name; an IPv6 address may be in brackets. Nothing means every address."""
    text = _text(raw)
    bracketed = text.startswith("[") and text.endswith("]")
    try:
        address = ip_address(text[1:-1] if bracketed else text)
    except ValueError:
        if bracketed or any(char in "[]:/@*," or char.isspace() for char in text):
            raise
        return hosts.known_name(text.encode("idna").decode())
    return str(getattr(address, "ipv4_mapped", None) or address)


def _path(raw: Any) -> Path:
    if not _text(raw):
        raise ValueError
    return Path(os.path.expanduser(raw))


def _words(raw: Any) -> tuple[str, ...]:
    """Return the values of a list, or of one string in which commas separate them."""
    if not isinstance(raw, str | list | tuple):
        raise ValueError
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
    hosts.host_name(parts.netloc)  # raises ValueError for what browsers do not send
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default_port) else "")


def _host(raw: str) -> str:
    """Return a host name or address without brackets and the final dot; `*` stands for any."""
    if not re.fullmatch(r"\*|\[[0-9a-f:.]+\]|[a-z0-9._-]+|[0-9a-f:]+[0-9a-f:.]*", raw.lower()):
        raise ValueError
    return hosts.known_name(raw)


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
HOST = Kind("an address or a host name, without a port", "HOST", _own_host)
REDIS_URL = Kind("the URL of a Redis", "URL", address.parse)
FILE = Kind("a file's path", "FILE", _path)
ORIGINS = Kind("an origin such as https://chat.example", "ORIGIN", lambda raw: tuple(map(_origin, _words(raw))))
HOSTS = Kind("a host name such as chat.example", "HOST", lambda raw: tuple(map(_host, _words(raw))))
NETWORKS = Kind("an IP address or network such as 10.0.0.0/8", "NETWORK", _networks)

REPEATABLE = (ORIGINS, HOSTS, NETWORKS)
LOG_LEVELS = ("debug", "info", "warning", "error")

OTHER_VARIABLES = ("CONFIG", "PASSWORD", "CA")
"""The ends of variables that are no settings: WEBCHAT_CONFIG, and WEBCHAT_PASSWORD and WEBCHAT_CA of the clients."""


def _setting(default: Any, kind: Kind, help: str, *, secret: bool = False, **limits: Any) -> Any:
    return field(default=default, repr=not secret, metadata={"kind": kind, "help": help} | limits)


def _port(default: int, help: str) -> Any:
    return _setting(default, INTEGER, help, at_least=0, at_most=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings, with values that have been checked. Raises ConfigError."""

    host: str = _setting("127.0.0.1", HOST, "Address to listen on; :: is every address, 0.0.0.0 every one of IPv4.")
    port: int = _port(8000, "Port of the page, Socket.IO and WebSocket; 0 takes any free one.")
    lines_port: int = _port(7007, "Port for telnet, nc and other line clients; 0 turns it off.")
    braces_port: int = _port(33002, "Port for the {HEADER}body protocol; 0 turns it off.")
    accounts: Path | None = _setting(
        None, FILE, "Accounts file, made by `webchat accounts`; it replaces the demo accounts.")
    demo_accounts: bool = _setting(False, SWITCH, "Keep the demo accounts on an address that is not loopback.")
    history: int = _setting(10, INTEGER, "Messages kept of each room, in memory.", at_least=0, at_most=1000)
    message_rate: float = _setting(100.0, NUMBER, "Messages per second and user; 0 means no limit.",
                                   at_least=0, at_most=1e6)
    address_rate: float | None = _setting(
        None, NUMBER, "Messages per second and IP address; by default ten times a user's.", at_least=0, at_most=1e7)
    max_connections: int = _setting(20_000, INTEGER, "Most connections at the same time; more are refused.",
                                    at_least=1, at_most=1_000_000)
    max_per_address: int = _setting(
        250, INTEGER, "Most connections from one address at the same time; 0 means no limit.",
        at_least=0, at_most=1_000_000)
    allow_origin: tuple[str, ...] = _setting((), ORIGINS, "Allow pages of this origin to connect, too; * allows any.")
    allow_host: tuple[str, ...] = _setting((), HOSTS, "Answer requests for this host name, too; * allows any.")
    trusted_proxy: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (), NETWORKS, "Trust X-Forwarded-For and PROXY headers from this proxy.")
    tls_cert: Path | None = _setting(None, FILE, "Certificate chain (PEM): every door speaks TLS.")
    tls_key: Path | None = _setting(None, FILE, "The certificate's private key (PEM).")
    metrics_token: str | None = _setting(
        None, STRING, "Bearer token for /metrics; without one, only this machine may read it.", secret=True)
    redis: RedisAddress | None = _setting(
        None, REDIS_URL, "Join several servers into one chat through this Redis.", secret=True)
    redis_key: str | None = _setting(None, STRING, "Key that signs the messages between servers.", secret=True)
    workers: int = _setting(1, INTEGER, "Processes that share the ports; more than one needs --redis.",
                            at_least=1, at_most=256)
    log_level: str = _setting("info", STRING, f"One of {', '.join(LOG_LEVELS)}.", choices=LOG_LEVELS)

    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where the operator gave each setting, by the name of the field: see `where`."""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ConfigError(problem)

    def where(self, name: str) -> str:
        """Return what errors call a setting: the flag, the variable, or the key and line that it was given with."""
        return self.sources.get(name, flag(name))

    @property
    def has_demo_accounts(self) -> bool:
        """Whether the demo accounts, whose passwords are public, can log in."""
        return self.accounts is None and (self.demo_accounts or is_loopback(self.host))

    @property
    def notices(self) -> tuple[str, ...]:
        """Sentences that the operator should read when the server starts."""
        return tuple(_notices(self))


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on `host` can be reached from this machine only."""
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def flag(name: str) -> str:
    """Return a setting's flag: `lines_port` → `--lines-port`."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """Return a setting's environment variable: `lines_port` → `WEBCHAT_LINES_PORT`."""
    return f"WEBCHAT_{name.upper()}"


SETTINGS = tuple(each for each in fields(Config) if each.metadata)
"""The fields of `Config` that an operator can set."""


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ, file: Path | None = None) -> Config:
    """Return the settings from all sources; each overrides the next: flags, environment, file, defaults.

    `flags` maps a field's name to its text on the command line; None and an empty tuple mean that the flag was not
    given. An empty variable counts as not set. Raises ConfigError, with the source of the bad value.
    """
    in_file: dict[str, tuple[str, Any]] = {}
    if file:
        in_file = _read(file, flag("config"))
    elif named := environ.get(variable("config")):
        in_file = _read(Path(named), variable("config"))
    sources, values = {}, {}
    for each in SETTINGS:
        given = ((flag(each.name), flags.get(each.name)),
                 (variable(each.name), environ.get(variable(each.name)) or None),
                 in_file.get(each.name, ("", None)))
        for where, raw in given:
            if raw is not None and raw != ():
                sources[each.name], values[each.name] = where, _parse(each, where, raw)
                break
    return Config(**values, sources=sources)


def mistyped_variables(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield a sentence for each variable that looks like a setting and is none."""
    prefix = variable("")
    known = [*(each.name.upper() for each in SETTINGS), *OTHER_VARIABLES]
    for name in sorted(environ):
        if name.startswith(prefix) and (rest := name.removeprefix(prefix)) not in known:
            yield f"The variable {name} is no setting{_closest(rest, known, prefix)}"


def _closest(word: str, known: Iterable[str], prefix: str = "") -> str:
    """Return the end of a sentence about a word that is not known."""
    close = get_close_matches(word, known, 1)
    return f"; did you mean {prefix}{close[0]}?" if close else "."


def _parse(setting: Field[Any], where: str, raw: Any) -> Any:
    kind = setting.metadata["kind"]
    try:
        return kind.parse(raw)
    except BadRedisAddress as error:
        raise ConfigError(f"{where} {error}.") from None
    except (ValueError, KeyError, TypeError):
        shown = ", ".join(map(str, raw)) if isinstance(raw, list | tuple) else raw
        given = f", not {shown!r}" if setting.repr else ""  # a secret is never shown
        raise ConfigError(f"{where} must be {kind.noun}{given}.") from None


def _read(file: Path, where: str) -> dict[str, tuple[str, Any]]:
    """Return the file's settings by field name, each after what errors call it. Paths are relative to its folder.

    `where` is what the file was named with. Raises ConfigError.
    """
    file = Path(os.path.expanduser(file))
    try:
        text = toml.read(file)
        table = toml.parse(text, str(file))
    except OSError as error:
        raise ConfigError(f"{where}: {file} cannot be read: {error.strerror}.") from error
    except TomlError as error:
        raise ConfigError(str(error)) from error
    known = {each.name.replace("_", "-"): each for each in SETTINGS}
    settings = {}
    for key, raw in table.items():
        line = toml.line(text, (key,))
        if key not in known:
            raise ConfigError(f"{file}, line {line}: {key!r} is no setting{_closest(key, known)}")
        if known[key].metadata["kind"] is FILE and isinstance(raw, str) and raw:
            raw = str(file.parent / os.path.expanduser(raw))
        settings[known[key].name] = f"{key} in {file} (line {line})", raw
    return settings


def _problems(config: Config) -> Iterator[str]:
    """Yield a sentence for each value that is not allowed."""
    where = config.where
    for each in SETTINGS:
        yield from _out_of_limits(where(each.name), getattr(config, each.name), each.metadata)
    doors: dict[int, str] = {}  # the setting of each port so far
    for setting in ("port", "lines_port", "braces_port"):
        if (port := getattr(config, setting)) and (other := doors.setdefault(port, setting)) != setting:
            yield f"Each door needs a port of its own: {where(other)} and {where(setting)} are both {port}."
    if (config.tls_cert is None) != (config.tls_key is None):
        yield f"TLS needs both {where('tls_cert')} and {where('tls_key')}."
    if config.workers > 1 and config.redis is None:
        yield f"{where('workers')}: {config.workers} processes need --redis URL, which makes them one chat."
    if config.workers > 1 and config.port == 0:
        yield f"{where('port')} cannot be 0 with {config.workers} processes, because they share the port."


def _notices(config: Config) -> Iterator[str]:
    """Yield a sentence for each setting that is allowed, but perhaps not what the operator wants."""
    if not (config.accounts or config.has_demo_accounts):
        yield (f"The demo accounts are off, because {config.host or 'every address'} is not loopback; "
               "--accounts FILE brings your own, --demo-accounts keeps them.")
    doors = (  # whether passwords reach it, and another remedy than TLS; a trusted proxy may encrypt HTTP
        (not config.trusted_proxy, ""),
        (config.lines_port, "--lines-port 0 turns lines off"),
        (config.braces_port, "--braces-port 0 turns braces off"),
    )
    plain = [remedy for is_open, remedy in doors if is_open and not config.tls_cert]
    if plain and not is_loopback(config.host) and (config.accounts or config.has_demo_accounts):
        remedies = ["--tls-cert and --tls-key encrypt every door", *filter(None, plain)]
        yield f"Passwords cross the network unencrypted, so others can read them: {', '.join(remedies)}."
    redis_host = config.redis.host if config.redis else None
    if redis_host and not is_loopback(redis_host) and config.redis_key is None:
        yield (f"Other machines may reach the Redis on {redis_host}, and there is no --redis-key: whoever can publish "
               f"there can speak in anybody's name. Set {variable('redis_key')} on all servers.")
    if redis_host and not is_loopback(redis_host) and config.redis and config.redis.tls is None:
        yield (f"The connection to the Redis on {redis_host} is not encrypted: its password, what people say, and the "
               "tokens that prove who they are can be read on the way. rediss:// encrypts it.")


def _out_of_limits(where: str, value: Any, limits: Mapping[str, Any]) -> Iterator[str]:
    if "at_least" in limits and value is not None and not limits["at_least"] <= value <= limits["at_most"]:
        yield f"{where} must be between {limits['at_least']} and {limits['at_most']:,.0f}, not {value}."
    if "choices" in limits and value not in limits["choices"]:
        yield f"{where} must be one of {', '.join(limits['choices'])}, not {value!r}."
    if limits["kind"] is FILE and value is not None:
        yield from _unreadable(where, value)
    if value == "" and limits["kind"] is not HOST:
        yield f"{where} is empty."


def _unreadable(where: str, file: Path) -> Iterator[str]:
    try:
        if file.is_file():
            file.open("rb").close()
        else:
            yield f"{where}: there is no file {file}."
    except OSError as error:
        yield f"{where}: {file} cannot be read: {error.strerror}."
