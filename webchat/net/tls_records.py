"""The few bytes of TLS that are known to those who do not speak it (RFC 8446)."""

HANDSHAKE = b"\x16"
"""The first byte of a connection that begins with TLS (section 5.1)."""

NO_TLS_HERE = bytes.fromhex("15 0301 0002 02 46")
"""A fatal alert, protocol_version (section 6)."""
