"""The scripts that set webchat up, on machines that have only what a test gives them: run.sh and test.sh."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pexpect
import pytest

TOP = Path(__file__).resolve().parents[1]

NUMBER = len(re.findall("^[a-z0-9-]+==", (TOP / "requirements.txt").read_text(encoding="utf-8"), re.M))
"""How many packages webchat needs."""


class Machine:
    """A checkout on a machine that has only the given programs; each logs how it was called."""

    SHELL = ("bash", "cat", "cksum", "cut", "dirname", "env", "find", "grep", "mkdir", "readlink", "sed",
             "sort", "tail", "tr")
    TOOLS = ("mypy", "pip", "python", "ruff")

    def __init__(self, folder: Path, user: int, programs: tuple[str, ...]):
        self.folder = folder
        self.bin, self.venv = folder / "bin", folder / ".venv/bin"
        shutil.copytree(TOP / "scripts", folder / "scripts")
        for name in ("run.sh", "test.sh", "package.json", "package-lock.json", "requirements.txt",
                     "requirements-node.txt", "requirements-test.txt"):
            shutil.copy(TOP / name, folder)
        for path in (self.bin, self.venv, folder / "static/chat/vendor", folder / "tests/js", folder / "node_modules"):
            path.mkdir(parents=True)
        self.client = folder / "static/chat/vendor/socket.io.esm.min.js"
        self.client.touch()
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

    def python(self, *cases: str) -> None:
        """Let the Python of the virtual environment do this in these cases of its arguments, and else nothing."""
        self.write(self.venv / "python", f'case "$*" in {" ".join(f"{case} ;;" for case in cases)} esac')

    def test(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.start("test.sh", *arguments)

    def start(self, script: str | Path, *arguments: str, cwd: Path | None = None,
              **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.bin / "bash", script, *arguments], cwd=cwd or self.folder,
                              env={"PATH": str(self.bin), **variables}, capture_output=True, text=True)


@pytest.fixture
def machine(tmp_path):
    def make(user: int = 0, programs: tuple[str, ...] = ()) -> Machine:
        return Machine(tmp_path / "a checkout with ü", user, programs)
    return make


def said(done: subprocess.CompletedProcess) -> list[str]:
    """What a script itself said, without how programs were called."""
    return [line for line in done.stderr.splitlines() if not re.match(r"(python|npm|pip|apt-get|id) |[a-z]|$", line)]


NOT_THERE = "*has_client*) exit 1"
"""What Python answers if the page's Socket.IO client is missing."""


PACKAGES_ARRIVE = """*' install --require-hashes '*)
echo 'Collecting click==8 (from -r requirements.txt (line 3))'
echo '  Downloading click-8-py3-none-any.whl'
echo 'Ignoring uvloop: markers do not match'
echo 'Requirement already satisfied: redis==6 in /lib (from -r requirements.txt (line 9)) (6)'
echo 'Processing /a/wheels/h11-0.16.0-py3-none-any.whl (from -r requirements.txt (line 4))'
echo 'Installing collected packages: click'"""
"""What pip says of packages that it has to fetch, leaves out, has already, and finds in a folder."""


def write_wheel(folder: Path, name: str, version: str, *needs: str) -> str:
    """Make a package with nothing in it; return the line that pins it."""
    wheel, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        files.writestr(f"{info}/METADATA", "\n".join([
            "Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Provides-Extra: more",
            *(f"Requires-Dist: {each}" for each in needs)]))
        files.writestr(f"{info}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"


def test_what_is_pinned_is_installed_though_the_index_has_a_newer_version_of_what_it_needs(tmp_path):
    pins = [write_wheel(tmp_path, "outer", "1.0", "inner[more]>=1"), write_wheel(tmp_path, "inner", "1.0")]
    write_wheel(tmp_path, "inner", "2.0")
    (tmp_path / "pins.txt").write_text("".join(pins))
    script = f"""
        top=$PWD; . '{TOP}/scripts/environment.sh'; venv='{sys.prefix}'
        pip_pinned install pins.txt --no-index --find-links . --target installed"""
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "installed").glob("*.dist-info")} == {
        "outer-1.0.dist-info", "inner-1.0.dist-info"}


class TestRunScript:
    @pytest.mark.parametrize("script", ["run.sh", "test.sh", ".ci/run", "scripts/bundle.sh", "scripts/lock.sh"])
    def test_is_executable_like_the_others(self, script):
        assert os.access(TOP / script, os.X_OK)

    def test_names_the_python_that_it_needs_if_there_is_none(self, machine):
        machine = machine()
        shutil.rmtree(machine.venv)
        machine.write(machine.bin / "python3", "exit 1")
        done = machine.start("run.sh")
        assert (done.returncode, done.stderr) == (1, "webchat needs Python 3.11 or newer, and none was found; "
                                                     "name one with PYTHON=/path/to/python3.\n")

    def test_shows_each_step_in_a_line_without_control_characters(self, machine):
        machine = machine()
        machine.python(NOT_THERE, PACKAGES_ARRIVE)
        done = machine.start("run.sh", TERM="xterm")
        assert said(done) == [
            f"[1/4] The virtual environment is there: {machine.folder}/.venv",
            f"[2/4] Installing {NUMBER} packages …",
            "[3/4] Fetching the page's Socket.IO client with npm, in at most 20 s …",
            "[4/4] Installing webchat …",
        ]
        assert re.findall(r"[\r\033]", done.stderr) == []

    def test_says_nothing_if_everything_is_there(self, machine):
        machine = machine()
        machine.start("run.sh")
        done = machine.start("run.sh", "--port", "1")
        assert (done.returncode, said(done)) == (0, [])
        assert done.stderr.endswith("python -P -m webchat.main --port 1\n")

    @pytest.mark.parametrize("file", ["requirements.txt", "client"])
    def test_installs_again_what_has_changed_or_is_gone(self, machine, file):
        machine = machine()
        machine.python("'- '*) cat requirements.txt")
        machine.start("run.sh")
        if file == "client":
            machine.client.unlink()
        else:
            with (machine.folder / file).open("a") as changed:
                changed.write("more==1\n")
        assert "[4/4] Installing webchat …" in said(machine.start("run.sh"))

    def test_on_a_terminal_it_counts_the_packages(self, machine):
        machine = machine()
        machine.python(PACKAGES_ARRIVE)
        terminal = pexpect.spawn(str(machine.bin / "bash"), ["run.sh"], cwd=str(machine.folder), encoding="utf-8",
                                 env={"PATH": str(machine.bin), "TERM": "xterm"})
        terminal.expect(pexpect.EOF)
        live = terminal.before.partition("[2/4]")[2].partition("[3/4]")[0]
        assert re.findall(r"\r +(.+?)\033\[K", live) == [
            f"1 of {NUMBER}: click", f"2 of {NUMBER}: uvloop", f"3 of {NUMBER}: redis", f"4 of {NUMBER}: h11",
            "unpacking them"]
        assert "unpacking them\033[K\r\033[Kpython" in live, "the line is wiped before anything else is said"

    def test_shows_the_end_of_what_pip_said_and_what_to_do_if_it_fails(self, machine):
        machine = machine()
        machine.python("*' install '*) for each in 1 2 3 4 5 6 7 8 9; do echo NOTE $each; done; echo ERROR: no; exit 1")
        done = machine.start("run.sh")
        assert (done.returncode, "NOTE 1" in done.stderr) == (1, False)
        assert done.stderr.endswith("NOTE 9\nERROR: no\nThe packages could not be fetched: check the network, or start "
                                    "from an archive that scripts/bundle.sh made on another machine.\n")

    def test_ends_with_the_sentence_of_setup_py_if_the_client_cannot_be_fetched(self, machine):
        machine = machine()
        machine.python(NOT_THERE, "*fetch_client*) echo The client could not be fetched. >&2; exit 1")
        done = machine.start("run.sh")
        assert done.returncode == 1
        assert done.stderr.endswith("The client could not be fetched.\n")

    def test_without_npm_it_fetches_node_and_removes_it_after_use(self, machine):
        machine = machine()
        (machine.bin / "npm").unlink()
        machine.python(NOT_THERE, "*fetch_client*) echo fetched >&2", "*pip*) echo $* >>pip.log")
        assert "fetched" in machine.start("run.sh").stderr
        calls = (machine.folder / "pip.log").read_text().splitlines()
        assert [re.sub(r"^.*--no-input ", "", call).replace(f"{machine.folder}/", "") for call in calls] == [
            "install --require-hashes --no-deps -r requirements.txt",
            "install --require-hashes --no-deps -r requirements-node.txt",
            "uninstall --yes -r requirements-node.txt",
            f"install --no-deps --no-build-isolation --editable {machine.folder}",
        ]

    def test_pip_and_npm_trust_the_certificates_of_the_machine(self, machine, tmp_path):
        machine, own = machine(), tmp_path / "own.pem"
        own.touch()
        machine.python(NOT_THERE, "*fetch_client*) echo npm: $NODE_EXTRA_CA_CERTS $NODE_USE_SYSTEM_CA >&2",
                       "*' install '*) echo $REQUESTS_CA_BUNDLE >pip.log")
        assert f"npm: {own} 1\n" in machine.start("run.sh", SSL_CERT_FILE=str(own)).stderr
        assert (machine.folder / "pip.log").read_text() == f"{own}\n"
        (machine.venv.parent / ".installed-requirements.txt").unlink()
        told = machine.start("run.sh", SSL_CERT_FILE=str(own), NODE_EXTRA_CA_CERTS="/mine.pem").stderr
        assert "npm: /mine.pem 1\n" in told


class TestLinks:
    @pytest.mark.parametrize("script", ["run.sh", "test.sh"])
    @pytest.mark.parametrize("target", ["absolute", "relative", "a link to a link"])
    def test_a_script_may_be_called_through_a_link_from_anywhere(self, machine, tmp_path, script, target):
        machine, links = machine(), tmp_path / "links of Zoë"
        machine.python('*--editable*) echo "$*" >>"$(dirname "$0")/../../pip.log"')
        links.mkdir()
        relative = Path("..", machine.folder.name, script)
        (links / "webchat").symlink_to(machine.folder / script if target == "absolute" else relative)
        called = links / "webchat"
        if target == "a link to a link":
            (tmp_path / "linked").symlink_to(Path(links.name, "webchat"))
            called = tmp_path / "linked"
        done = machine.start(called.relative_to(tmp_path), cwd=tmp_path, CDPATH=str(links))
        assert done.returncode == 0, done.stderr
        assert f"--editable {machine.folder}\n" in (machine.folder / "pip.log").read_text()


class TestTestScript:
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
        assert "[2/4] Installing" in machine.test("--no-install").stderr
