"""A folder of files, read once and answered from memory: no request ever touches the disk."""

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
"""Media types by suffix, the same on every machine (`mimetypes` reads the system's own tables)."""

WORTH_COMPRESSING = 0.9
"""A compressed body is kept where it is smaller than this share of the plain one."""

LINK = re.compile(rb'(\s(?:src|href)=")([^"]+)(")')


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent; the ETags are strong, so each coding has its own (RFC 9110, 8.8.3.3)."""

    type: str
    body: bytes
    etag: str
    gzipped: bytes | None

    def coded(self, gzip: bool) -> tuple[bytes, str, str | None]:
        """The body, its ETag and its content coding, for a client that reads gzip or not."""
        if gzip and self.gzipped is not None:
            return self.gzipped, f'"{self.etag}-gz"', "gzip"
        return self.body, f'"{self.etag}"', None


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder's files by relative path, and the hash that names this very state of all of them together."""

    version: str
    assets: Mapping[str, Asset]


def load(root: Path, entry: str = "index.html") -> Tree:
    """The files below `root`; the entry page's own links get the tree's version before them.

    The hash is of the whole tree, because a script imports others by relative paths: one changed file moves them all.
    Hidden files are left out. Raises FileNotFoundError when there is no entry page.
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
    """Links to files of the tree, and to nothing else, lead into the versioned folder."""
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
