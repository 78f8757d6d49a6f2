"""The rooms of the house and the arrows between them, read from the imports; and what keeps its files readable."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]

ARROWS = {
    "webchat.toml": (),
    "webchat.streams": (),
    "webchat.net": (),
    "webchat.chat": ("webchat.toml",),
    "webchat.codecs": ("webchat.chat", "webchat.net.frames", "webchat.net.errors", "webchat.net.proxy_protocol",
                       "webchat.net.tls_records"),
    "webchat.backplane": ("webchat.chat", "webchat.codecs.node"),
    "webchat.gateways": ("webchat.chat", "webchat.codecs", "webchat.net"),
    "webchat.clients": ("webchat.codecs", "webchat.net.frames"),
    "webchat.config": ("webchat.backplane.address", "webchat.net.hosts", "webchat.toml"),
    "webchat.accounts_command": ("webchat.chat", "webchat.streams", "webchat.toml"),
    "webchat.echo": ("webchat.config", "webchat.net", "webchat.streams"),
    "webchat.supervisor": ("webchat.streams",),
    "webchat.listeners": ("webchat.config", "webchat.net"),
    "webchat.web": ("webchat.chat", "webchat.codecs", "webchat.gateways", "webchat.net", "webchat.config"),
    "webchat.server": ("webchat.chat", "webchat.gateways", "webchat.net", "webchat.backplane", "webchat.config",
                       "webchat.supervisor", "webchat.listeners", "webchat.streams", "webchat.web"),
    "webchat.main": ("webchat.server", "webchat.config", "webchat.streams"),
    "webchat.__main__": ("webchat.main",),
}
"""Which rooms each room may import from, besides itself; docs/architecture.md draws them."""

PURE = ("webchat.chat", "webchat.codecs", "webchat.net.frames", "webchat.net.engineio.payload")
IO = {"asyncio", "concurrent", "selectors", "socket", "ssl", "subprocess", "threading", "urllib.request",
      "aiohttp", "click", "engineio", "prompt_toolkit", "PyQt5", "redis", "socketio", "tornado", "uvloop", "websockets"}
"""What the domain and the codecs may not know of: the outside world reaches them as arguments."""

LINES = 450
"""A file that is longer cannot be read in one sitting."""


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in sorted((TOP / "webchat").rglob("*.py"))}


def imports(tree: ast.AST, module: str, is_package: bool = False) -> Iterator[str]:
    """The full names that a module imports, wherever in it, relative ones resolved."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[:len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def tree_of(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def imported_by(module: str) -> list[str]:
    return list(imports(tree_of(module), module, modules()[module].name == "__init__.py"))


def within(name: str, rooms) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def room_of(module: str) -> str | None:
    return next((room for room in ARROWS if within(module, [room])), None)


def strays(module: str, names: list[str]) -> list[str]:
    """What the module imports from rooms that no arrow leads to; `webchat` itself holds only the version."""
    allowed = (room_of(module), *ARROWS[room_of(module)])
    return [name for name in names if room_of(name) is not None and not within(name, allowed)]


def test_every_module_is_in_a_room():
    assert [module for module in modules() if room_of(module) is None and module != "webchat"] == []


def test_imports_follow_the_arrows():
    found = {module: strays(module, imported_by(module)) for module in modules() if room_of(module)}
    assert {module: names for module, names in found.items() if names} == {}


@pytest.mark.parametrize(("module", "source"), [
    ("webchat.chat.hub", "from webchat.codecs import lines"),
    ("webchat.chat.hub", "from ..gateways.tcp import LineDoor"),
    ("webchat.codecs.lines", "import webchat.gateways.tcp"),
    ("webchat.gateways.tcp", "def late():\n    from webchat.config import Config"),
    ("webchat.backplane.redis", "from webchat.codecs import lines"),
    ("webchat.clients.terminal.main", "from webchat import server"),
])
def test_an_arrow_that_is_not_drawn_is_found(module, source):
    assert strays(module, list(imports(ast.parse(source), module)))


def test_the_domain_and_the_codecs_do_no_io():
    found = {module: [name for name in imported_by(module) if within(name, IO)]
             for module in modules() if within(module, PURE)}
    assert {module: names for module, names in found.items() if names} == {}


def test_modules_do_not_import_each_other_in_circles_not_even_for_their_types():
    graph = {module: {name for imported in imported_by(module)
                      for name in (imported, imported.rpartition(".")[0]) if name in modules() and name != module}
             for module in modules()}
    while leaves := [module for module, names in graph.items() if not names & graph.keys()]:
        for module in leaves:
            del graph[module]
    assert graph == {}


SHARED_NAMES = {
    "AsyncServer": "both stand in for the class of that name of the library that they extend",
    "log": "each module's logger",
}


def public_names(tree: ast.Module) -> Iterator[str]:
    """The classes, type aliases and constants that a module defines, without those for itself."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def test_one_name_is_one_thing():
    places = defaultdict(set)
    for module in modules():
        for name in public_names(tree_of(module)):
            if not name.startswith("_") and name not in SHARED_NAMES:
                places[name].add(module)
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}


def ours(*patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(TOP.glob(pattern))]


def test_no_file_is_too_long_to_read_in_one_sitting():
    long = {str(path.relative_to(TOP)): lines for path in ours("*.py", "webchat/**/*.py", "static/chat/js/**/*.js")
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES}
    assert long == {}


def test_every_module_says_what_it_is():
    assert [module for module in modules() if not ast.get_docstring(tree_of(module))] == []


def test_tests_hold_on_to_no_private_attribute():
    """Neither ours nor a library's; `self._x` is a test's own, and the two exceptions are documented by Python."""
    found = [(path.name, ast.unparse(node)) for path in ours("tests/**/*.py")
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.Attribute) and re.fullmatch("_[a-z].*", node.attr) and node.attr != "_replace"
             and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))]
    assert [each for each in found if each[1] != "asyncio._set_running_loop"] == []


def test_the_page_runs_no_text_as_code_or_markup():
    dangerous = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function")
    found = [(path.name, word) for path in ours("static/chat/js/**/*.js") for word in dangerous
             if word in path.read_text(encoding="utf-8")]
    assert found == []
