"""TLS for the clients: whose certificates they trust, and in words what is wrong with a connection."""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

CA_VARIABLE = "WEBCHAT_CA"

MAX_NAMES = 5
"""Names of a certificate that a sentence lists; there can be hundreds."""

ALERT_START = b"\x15\x03"
"""The beginning of a TLS alert (RFC 8446 sections 5.1 and 6)."""

# What OpenSSL calls its reasons, see X509_STORE_CTX_get_error(3) and the SSL_R_ constants in <openssl/sslerr.h>.
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_OTHER_NAME = (62, 64)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG",
                     "TLSV1_ALERT_PROTOCOL_VERSION"})


@dataclass(frozen=True)
class Trust:
    """Trusts the authorities of this system, and the certificates in the file `ca` (PEM) if there is one."""

    ca: Path | None = None

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Accepts servers with a trusted certificate for their name. Raises OSError if the file cannot be used."""
        context = ssl.create_default_context()
        if self.ca:
            context.load_verify_locations(self.ca)
            # Also the certificate of a single server may be in the file, and then no authority need be known.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def context_for_any_name(self) -> ssl.SSLContext:
        """Accepts trusted certificates for other names, too: only to find out these names, and never to chat."""
        context = Trust(self.ca).context
        context.check_hostname = False
        return context

    def problem(self, error: OSError, plain: object, names: Iterable[str] = ()) -> str | None:
        """What a failed TLS handshake means, as the end of a sentence; None if the connection failed before it.

        `plain` is the server's address without TLS. `names` are those of its certificate, if they are known.
        """
        match error:
            case ssl.SSLCertVerificationError():
                return self._refusal(error, tuple(names))
            case ssl.SSLError() if error.reason in _NO_TLS:
                return f"no TLS is spoken there; its address without encryption is {plain}"
            case ssl.SSLEOFError() | ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
                return ("it closed the connection during the TLS handshake; if it speaks no TLS, its address is "
                        f"{plain}, without encryption")
            case ssl.SSLError():
                return f"TLS failed with {(error.reason or str(error)).replace('_', ' ').lower()}"
        return None

    def _refusal(self, error: ssl.SSLCertVerificationError, names: tuple[str, ...]) -> str:
        code = error.verify_code
        if code in _UNKNOWN_AUTHORITY:
            knows = f"neither this system nor {self.ca} knows" if self.ca else "this system does not know"
            return (f"its certificate is from an authority that {knows}; ask its operator for the authority's "
                    "certificate, and name that file with --ca FILE")
        if code in _OTHER_NAME:
            if not names:
                return "its certificate is for other names than this one; use a name that it is for"
            listed = ", ".join(names[:MAX_NAMES]) + (f" and {len(names) - MAX_NAMES} more" * (len(names) > MAX_NAMES))
            return f"its certificate is for {listed}, and not for this name; use a name that it is for"
        if code == _EXPIRED:
            return "its certificate has expired; its operator has to renew it (or the clock of this machine is wrong)"
        if code == _NOT_YET_VALID:
            return "its certificate is not valid yet; check the clock of this machine"
        return f"its certificate is refused: {error.verify_message}"


SYSTEM_TRUST = Trust()


def is_other_name(error: OSError) -> bool:
    """Whether a trusted certificate was refused because it is for other names."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _OTHER_NAME


def certificate_names(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The host names and addresses that a certificate is for; `certificate` is what `getpeercert` returns."""
    return tuple(name for kind, name in (certificate or {}).get("subjectAltName", ()) if kind in ("DNS", "IP Address"))
