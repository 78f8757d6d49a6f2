"""A folder of files that is read once and served from memory: no request reads the disk."""

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""Media types by suffix. `mimetypes` depends on tables of the operating system, these are the same everywhere."""

WORTH_COMPRESSING = 0.9
"""A compressed body is kept if it is smaller than this share of the plain one."""

LINK = re.compile(rb'(\s(?:src|href)=")([^"]+)(")')
"""An HTML attribute with a link, as (text before the target, target, closing quote)."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent. `gzipped` is None if compressing it saves too little."""

    type: str
    body: bytes
    etag: str
    gzipped: bytes | None

    def coded(self, accepts_gzip: bool) -> tuple[bytes, str, str | None]:
        """Return (body, ETag, content coding or None) for a client that accepts gzip or does not.

        The ETags are strong, so each coding has its own (RFC 9110, 8.8.3.3).
        """
        if accepts_gzip and self.gzipped is not None:
            return self.gzipped, f'"{self.etag}-gz"', "gzip"
        return self.body, f'"{self.etag}"', None


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a folder by relative path, and a hash of all of them together."""

    version: str
    assets: Mapping[str, Asset]


def load(root: Path, entry: str = "index.html") -> Tree:
    """Read all files below `root`, except hidden ones and those in hidden folders.

    In the entry page, links to these files get the tree's version as their first folder. All files share one version,
    because scripts import each other by relative paths: one changed file changes the address of all.
    Raises FileNotFoundError if there is no entry page.
    """
    bodies = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    if entry not in bodies:
        raise FileNotFoundError(f"The page is missing: there is no {root / entry}.")
    version = _hash(piece for name, body in bodies.items() for piece in (name.encode(), _hash([body]).encode()))
    bodies[entry] = _with_version(bodies[entry], version, bodies.keys())
    return Tree(version, {name: _asset(name, body) for name, body in bodies.items()})


def _hash(pieces: Iterable[bytes]) -> str:
    return hashlib.sha256(b"\0".join(pieces)).hexdigest()[:16]


def _with_version(html: bytes, version: str, names: Iterable[str]) -> bytes:
    """Put the version in front of links to files of the tree, and of no others."""
    ours = {name.encode() for name in names}

    def versioned(link: re.Match[bytes]) -> bytes:
        before, target, after = link.groups()
        return before + version.encode() + b"/" + target + after if target in ours else link[0]

    return LINK.sub(versioned, html)


def _asset(name: str, body: bytes) -> Asset:
    packed = gzip.compress(body, mtime=0)
    return Asset(
        type=TYPES.get(Path(name).suffix, "application/octet-stream"),
        body=body,
        etag=_hash([body]),
        gzipped=packed if len(packed) < WORTH_COMPRESSING * len(body) else None,
    )
