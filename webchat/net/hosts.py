"""The host names that this server answers to: the defence against DNS rebinding.

A page of a stranger can let its own name lead to this machine once it has been loaded. To the browser it is then of the
same origin as this server, and only the `Host` header still tells the difference: it has the stranger's name.
"""

import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Thread

AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._~!$&'()*+;=%-]*))(?::[0-9]{0,5})?")
"""`uri-host [":" port]` (RFC 9110 section 7.2), without the comma: in a combined header it separates two hosts."""


class Hosts:
    """Admits loopback names, this machine's own names and addresses, and the names in `allowed`; `*` admits every one.

    `allowed` may have ports, which are not compared. `advice` completes the sentence for those who come by another
    name, which replaces `{name}` in it.
    """

    def __init__(self, allowed: Iterable[str] = (), *, advice: str = ""):
        self._names = {"localhost", "127.0.0.1", "::1", *_machine_names()} | {known_name(host) for host in allowed}
        self._advice = advice
        if "*" not in self._names:
            # The resolver may take long, and a thread that is not a daemon would delay the end of the process.
            Thread(target=self._learn_domain_name, name="domain name", daemon=True).start()

    def admits(self, name: str, reached: str) -> bool:
        """Whether to serve a request for this name (see `host_name`).

        `reached` is the address at which the client reached this machine: so it is one of the machine's own, even if
        they change.
        """
        return (name in self._names or name == reached != "" or name.endswith(".localhost") or "*" in self._names
                or _is_own(name, reached))

    def refusal(self, name: str) -> str:
        """The sentence for somebody who came by a name that is not admitted."""
        known = name or "an empty name"
        return f"This server does not answer to {known}. {self._advice.replace('{name}', name or 'NAME')}".rstrip()

    def _learn_domain_name(self) -> None:
        with suppress(ValueError):
            self._names.add(host_name(socket.getfqdn() or "localhost"))


def host_name(authority: str) -> str:
    """The host of a `Host` header or URL: in lower case, without port, brackets and the final dot.

    Raises ValueError.
    """
    match = AUTHORITY.fullmatch(authority)
    if match is None:
        raise ValueError("not a host")
    literal, name = match.groups()
    return str(IPv6Address(literal)) if literal else name.lower().removesuffix(".")


def known_name(host: str) -> str:
    """The same for a name that the operator gave: they need not put an IPv6 address in brackets. Raises ValueError."""
    address = _address(host)
    return str(address) if address else host_name(host)


def _machine_names() -> set[str]:
    """What this machine is called in its local network: by itself, and with mDNS."""
    name = socket.gethostname().lower()
    return {name, f"{name.partition('.')[0]}.local"} if name else set()


def _is_own(name: str, reached: str) -> bool:
    """Whether a name is an address of this machine: of its loopback, the one that was reached, or another."""
    address = _address(name)
    return address is not None and (address.is_loopback or address == _address(reached) or _can_bind(address))


def _can_bind(address: IPv4Address | IPv6Address) -> bool:
    """Whether a socket of this machine may have this address."""
    if address.is_unspecified:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind((str(address), 0))
        return True
    return False


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])  # a link-local address names its interface after the %
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
