"""Why a connection could not be opened, whatever its protocol."""

import asyncio
from contextlib import suppress

from webchat.clients.address import Address
from webchat.clients.link import ANSWER_TIMEOUT, ConnectionLost, unreachable
from webchat.clients.trust import Trust, certificate_names, is_other_name


async def failure(address: Address, trust: Trust, error: OSError) -> ConnectionLost:
    """A failed attempt to connect, as a sentence for people."""
    if address.encrypted:
        names = await _names(address, trust) if is_other_name(error) else ()
        if reason := trust.problem(error, address.without_tls, names):
            return ConnectionLost(f"Cannot reach {address}: {reason}")
    return unreachable(address, error)


async def _names(address: Address, trust: Trust) -> tuple[str, ...]:
    """The names of the server's certificate, empty if they cannot be found out.

    They take another connection, because a handshake that fails does not show the certificate.
    """
    with suppress(OSError):
        async with asyncio.timeout(ANSWER_TIMEOUT):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=trust.context_for_any_name())
            writer.close()
            return certificate_names(writer.get_extra_info("peercert"))
    return ()
