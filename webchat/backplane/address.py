"""The URL of a Redis: where it is, how to log in, and nothing else. Its errors never repeat a part of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote

REDIS_PORT = 6379

URL_FORM = re.compile(r"""
    (?P<scheme>rediss?|unix)://
    (?: (?P<username>[^:/?\#]*?) (?: :(?P<password>[^/?\#]*) )? @ )?
    (?P<host>\[[^][@/?\#]+\] | [^][:@/?\#]*) (?: :(?P<port>[0-9]{1,5}) )?
    (?P<path>/[^@?\#]*)?
    (?: \?(?P<options>[^@\#]*) )?
    """, re.VERBOSE | re.IGNORECASE | re.ASCII)
"""A last @ ends the password, which may contain others. None may follow, because a raw / in the password hides it."""

DATABASE = re.compile("[0-9]{1,9}")

WRONG_SCHEME = "must be a URL that begins with redis://, rediss:// or unix://"
WRONG_FORM = ("must be a URL such as redis://user:password@host:6379/0 or unix:///path?db=0; in a password, "
              "write / ? # % and spaces as %2F %3F %23 %25 %20")


class BadRedisAddress(ValueError):
    """A URL that cannot be used. The text follows the name of the setting in a sentence; it contains no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where a Redis is: a host and port, with or without TLS, or a Unix socket (`path`), and a database of it.

    `tls` are the arguments ssl_… of redis-py, None without TLS.
    """

    host: str | None = None
    port: int = REDIS_PORT
    path: str | None = None
    database: int = 0
    username: str | None = field(default=None, repr=False)  # a password without a colon before it would be one
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, str] | None = None

def parse(raw: Any) -> RedisAddress:
    """Return the address in a URL: redis://, rediss:// (with TLS) or unix://. Raises BadRedisAddress."""
    if not isinstance(raw, str) or not raw.lower().startswith(("redis://", "rediss://", "unix://")):
        raise BadRedisAddress(WRONG_SCHEME)
    found = URL_FORM.fullmatch(raw)
    if not found or " " in raw or not raw.isprintable():
        raise BadRedisAddress(WRONG_FORM)
    scheme = found["scheme"].lower()
    parts = {name: _decoded(part) for name, part in found.groupdict().items() if part and name != "options"}
    options = _options(found["options"] or "", tls=scheme == "rediss")
    where = _socket(parts, options) if scheme == "unix" else _server(parts, options)
    return RedisAddress(**where, username=parts.get("username"), password=parts.get("password"),
                        tls=options if scheme == "rediss" else None)


def _socket(parts: Mapping[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Unix socket's address; takes the database out of the options."""
    path = parts.get("path", "/")
    if path == "/" or "host" in parts or "port" in parts:
        raise BadRedisAddress(WRONG_FORM)
    return {"path": path, "database": options.pop("db", 0)}


def _server(parts: Mapping[str, str], options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a server's address; takes the database out of the options, unless the path names it."""
    database = parts.get("path", "/").removeprefix("/")
    if database and "db" in options:
        raise BadRedisAddress("names the database twice")
    if database and not DATABASE.fullmatch(database):
        raise BadRedisAddress(WRONG_FORM)
    port = int(parts.get("port", REDIS_PORT))
    if not 0 < port < 65536:
        raise BadRedisAddress("must have a port between 1 and 65,535")
    return {"host": _host(parts.get("host", "localhost")), "port": port,
            "database": int(database) if database else options.pop("db", 0)}


def _decoded(text: str) -> str:
    """Decode what is percent-encoded; a % that begins no code must be encoded itself."""
    if re.search("%(?![0-9A-Fa-f]{2})", text):
        raise BadRedisAddress(WRONG_FORM)
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise BadRedisAddress(WRONG_FORM) from None


def _host(host: str) -> str:
    """Check a host's name or address; an IPv6 address is in brackets, which are removed."""
    try:
        if host.startswith("["):
            return str(ip_address(host[1:-1]))
        if host.isprintable() and host.encode("idna"):
            return host
    except ValueError:
        pass
    raise BadRedisAddress(WRONG_FORM)


def _options(query: str, *, tls: bool) -> dict[str, Any]:
    """Return the options after the question mark, with their parsed values."""
    options: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        name, _, value = pair.partition("=")
        parse_value = (OPTIONS | TLS_OPTIONS if tls else OPTIONS).get(name)
        if parse_value is None:
            known = ", ".join(OPTIONS | TLS_OPTIONS)
            raise BadRedisAddress(f"needs rediss:// for the option {name}" if name in TLS_OPTIONS else
                                  f"has the option {ascii(_decoded(name))}, which is none of {known}")
        if name in options:
            raise BadRedisAddress(f"has the option {name} twice")
        try:
            options[name] = parse_value(_decoded(value))
        except BadRedisAddress as error:
            raise BadRedisAddress(f"has a bad option: {name} {error}") from None
    return options


def _database(text: str) -> int:
    if not DATABASE.fullmatch(text):
        raise BadRedisAddress("must be the number of a database")
    return int(text)


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise BadRedisAddress("must be a file's path")
    return text


def _certificate_check(text: str) -> str:
    if text not in ("required", "none"):
        raise BadRedisAddress("must be required or none")
    return text


OPTIONS: dict[str, Callable[[str], Any]] = {"db": _database}
TLS_OPTIONS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": _file, "ssl_certfile": _file, "ssl_keyfile": _file, "ssl_cert_reqs": _certificate_check}
"""What may follow the question mark, and the function that parses it; redis-py uses the same names."""
