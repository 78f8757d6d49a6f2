"""TOML files that people write: reading them, and the line of each key, so that errors can name it."""

import re
import tomllib
from pathlib import Path
from typing import Any

TABLE_HEADER = re.compile(r"\s*(\[[^\[].*\])\s*(#.*)?")
KEY_ASSIGNMENT = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")


class TomlError(Exception):
    """The file is not TOML; the text is one sentence, with the file and the line."""


def read(path: Path) -> str:
    """Return a file's text, without the byte order mark that Windows puts in front. Raises TomlError, OSError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise TomlError(f"{path}, line {line}: This is not UTF-8.") from error


def parse(text: str, source: str) -> dict[str, Any]:
    """Return what the text of a file sets; `source` is its name in errors. Raises TomlError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        end = f"at the end, line {len(text.rstrip().splitlines()) or 1}"  # Python gives no line there
        raise TomlError(f"{source}: {str(error).replace('at end of document', end)}.") from error
    except (ValueError, RecursionError) as error:
        raise TomlError(f"{source}: A number is too long, or something is nested too deeply.") from error


def line(text: str, path: tuple[str, ...]) -> int:
    """Return the line of a key, or of the innermost table around it when the key is part of an inline table."""
    lines = _lines_by_path(text)
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _lines_by_path(text: str) -> dict[tuple[str, ...], int]:
    """Return the line on which each table begins and each key is set, found by reading line by line."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := TABLE_HEADER.fullmatch(line):
            table = path = _keys(header[1])
        elif assignment := KEY_ASSIGNMENT.match(line):
            path = (*table, *_keys(f"{assignment[1]} = 0"))
        else:
            continue
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], number)
    return lines


def _keys(toml: str) -> tuple[str, ...]:
    """Return the nested keys that one line of TOML sets; none when the line is only part of a value."""
    try:
        value: Any = tomllib.loads(toml)
    except (ValueError, RecursionError):
        return ()
    keys = []
    while isinstance(value, dict) and value:
        (key, value), = value.items()
        keys.append(key)
    return tuple(keys)
