"""Passwords and their hashes: Argon2id (RFC 9106), over text prepared as an OpaqueString (RFC 8265, section 4.2)."""

import re
from functools import cache

import precis_i18n
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LONGEST = 1024
"""Characters; a longer password is a wrong one."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""About 20 ms and 19 MiB a hash on a laptop: two at once leave it a chat server. A hash in a file may cost more."""

DECOY = "$argon2id$v=19$m=19456,t=2,p=1$7+lKUbBmli3hJ8UukIKUAQ$dEqf2ZLJTT7+E/yARHSD+lcnip3vo3G7Z0uC5Hc2Fw8"
"""What a password is compared with where there is no account at all."""

HASH = re.compile(r"\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=\d{1,3}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}")


class BadPassword(ValueError):
    """A password that cannot be typed everywhere; the text is a sentence."""


def hashed(password: str) -> str:
    """The hash to keep of a new password. Takes its time. Raises BadPassword."""
    return HASHER.hash(_prepared(password))


def matches(hash: str, password: str) -> bool:
    """Whether this is the password. Takes as long for a wrong one as for the right one."""
    try:
        return HASHER.verify(hash, _prepared(password))
    except (VerificationError, InvalidHashError, BadPassword):
        return False


def is_hash(text: str) -> bool:
    """Whether this is a hash that `matches` can work with."""
    return HASH.fullmatch(text) is not None


def work(hash: str) -> int:
    """KiB that a comparison fills, pass after pass; its time goes with them."""
    memory, passes = map(int, HASH.fullmatch(hash).groups())
    return memory * passes


def _prepared(password: str) -> str:
    if len(password) > LONGEST:
        raise BadPassword(f"A password has at most {LONGEST:,} characters.")
    try:
        return _opaque().enforce(password)
    except UnicodeEncodeError as error:
        wrong = f"contain U+{ord(error.object[error.start]):04X}" if password else "be empty"
        raise BadPassword(f"A password cannot {wrong}.") from error


@cache
def _opaque():
    return precis_i18n.get_profile("OpaqueString")
