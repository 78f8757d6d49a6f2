"""Passwords and their hashes: Argon2id (RFC 9106), over text prepared as an OpaqueString (RFC 8265, section 4.2)."""

import re
from functools import cache
from typing import Any

import precis_i18n
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

MAX_PASSWORD_LENGTH = 1024
"""Characters. A longer password is always wrong."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""About 20 ms and 19 MiB for each hash on a laptop, so that two at once do not slow the chat down.

A hash in an accounts file may cost more.
"""

DUMMY_HASH = "$argon2id$v=19$m=19456,t=2,p=1$7+lKUbBmli3hJ8UukIKUAQ$dEqf2ZLJTT7+E/yARHSD+lcnip3vo3G7Z0uC5Hc2Fw8"
"""Compared with the password for an unknown name where there are no accounts, so that the refusal takes as long."""

HASH_FORMAT = re.compile(r"\$argon2id\$v=19\$m=\d{1,8},t=\d{1,4},p=\d{1,3}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}")


class BadPassword(ValueError):
    """A password that RFC 8265 does not allow; the text is a sentence for people."""


def hashed(password: str) -> str:
    """Return a hash of a new password. This is slow on purpose. Raises BadPassword."""
    return HASHER.hash(_prepared(password))


def matches(hash: str, password: str) -> bool:
    """Return whether this is the password of the hash. This is slow on purpose."""
    try:
        return HASHER.verify(hash, _prepared(password))
    except (VerificationError, InvalidHashError, BadPassword):
        return False


def is_hash(text: str) -> bool:
    """Return whether `matches` and `cost` can read this hash."""
    return HASH_FORMAT.fullmatch(text) is not None


def cost(hash: str) -> int:
    """Return the cost of a comparison: KiB of memory times passes over it. The time grows with it."""
    parameters = extract_parameters(hash)
    return parameters.memory_cost * parameters.time_cost


def _prepared(password: str) -> str:
    if len(password) > MAX_PASSWORD_LENGTH:
        raise BadPassword(f"A password has at most {MAX_PASSWORD_LENGTH:,} characters.")
    try:
        prepared: str = _opaque_string().enforce(password)
    except UnicodeEncodeError as error:
        wrong = f"contain U+{ord(error.object[error.start]):04X}" if password else "be empty"
        raise BadPassword(f"A password cannot {wrong}.") from error
    return prepared


@cache
def _opaque_string() -> Any:  # precis_i18n has no types
    return precis_i18n.get_profile("OpaqueString")
