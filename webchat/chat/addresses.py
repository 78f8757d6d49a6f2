"""Whose limit an IP address counts for."""

from ipaddress import IPv6Address, IPv6Network


def network_of(address: str) -> str:
    """Return what belongs to one subscriber: an IPv4 address, or the /64 network of an IPv6 address.

    A subscriber can use any address of their /64 (RFC 6177). An IPv4 address in IPv6 clothing (`::ffff:192.0.2.1`) is
    that IPv4 address. Link-local addresses share their /64 with everybody on the cable, so each stays as it is, and so
    does text that is no address.
    """
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    if parsed.is_link_local:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))
