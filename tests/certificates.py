"""Certificates for one test: an authority, and what it signs. `openssl` makes them."""

import shutil
import ssl
import subprocess
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Certificate(NamedTuple):
    """The files of a certificate and its key (PEM)."""

    cert: Path
    key: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags with which a server has this certificate."""
        return "--tls-cert", str(self.cert), "--tls-key", str(self.key)


class Authority:
    """Signs certificates; its own is `file`."""

    def __init__(self, folder: Path, name: str = "authority"):
        self.folder = folder
        self.file, self._key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        _openssl("req", "-x509", *NEW_KEY, "-keyout", self._key, "-out", self.file, "-days", "2",
                 "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")

    @cached_property
    def context(self) -> ssl.SSLContext:
        """That of a client which trusts this authority alone."""
        return ssl.create_default_context(cafile=self.file)

    def sign(self, *names: str, file: str = "server", days: int = 1,
             key: tuple[str, ...] = NEW_KEY) -> Certificate:
        """A certificate for these names (`IP:127.0.0.1`, `DNS:localhost`); with -1 day it has expired."""
        made = Certificate(self.folder / f"{file}.pem", self.folder / f"{file}-key.pem")
        request, extensions = self.folder / f"{file}.csr", self.folder / f"{file}.ext"
        extensions.write_text(f"subjectAltName={','.join(names)}\nauthorityKeyIdentifier=keyid\n")
        _openssl("req", "-new", *key, "-keyout", made.key, "-out", request, "-subj", f"/CN={file}")
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-CAcreateserial",
                 "-days", str(days), "-extfile", extensions, "-out", made.cert)
        return made


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
