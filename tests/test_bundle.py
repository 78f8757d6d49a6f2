"""The archive that scripts/bundle.sh makes, unpacked and started where there is no network, npm or Node.js."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.program import free_ports

TOP = Path(__file__).resolve().parents[1]
LOCK = json.loads((TOP / "package-lock.json").read_text(encoding="utf-8"))
CLIENT = f"Socket.IO v{LOCK['packages']['node_modules/socket.io-client']['version']}\n"
SHELL = ("bash", "cat", "dirname", "env", "grep", "readlink", "tail")

DEAD = "http://127.0.0.1:9"
"""A proxy where nobody answers, for a machine that does not let a test take the network away."""

VISIT = """
import fcntl, json, socket, struct, subprocess, sys, urllib.request
port, *command = sys.argv[1:]
with socket.socket() as any:
    request = bytearray(struct.pack("16sh22x", b"lo", 0))
    fcntl.ioctl(any, 0x8913, request)
    flags, = struct.unpack_from("h", request, 16)
    if not flags & 1:
        fcntl.ioctl(any, 0x8914, struct.pack("16sh22x", b"lo", flags | 1))
server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
seen = {"announced": [server.stdout.readline()]}
if seen["announced"] != [""]:
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in ("healthz", "chat/index.html", "chat/vendor/socket.io.esm.min.js"):
        with browser.open(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            seen[path] = answer.read().decode()
    server.terminate()
rest, seen["said"] = server.communicate(timeout=60)
seen["status"] = server.returncode
print(json.dumps(seen))
"""
"""Brings loopback up if this is a new network, starts the server, asks for three files, and stops it with SIGTERM."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The archive, for the Python that runs the tests. Making it takes the network."""
    path = tmp_path_factory.mktemp("made") / "webchat.tar.gz"
    done = subprocess.run([TOP / "scripts/bundle.sh", path], env=os.environ | {"PYTHON": sys.executable},
                          capture_output=True, text=True)
    if "could not be fetched: check the network" in done.stderr and "CI" not in os.environ:
        pytest.skip(f"the packages for an archive could not be fetched: {done.stderr.splitlines()[-2]}")
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    return path


@pytest.fixture
def unpacked(archive, tmp_path):
    target = tmp_path / "a folder of Zoë"
    target.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", target], check=True)
    folder, = target.iterdir()
    return folder


@pytest.fixture
def alone(tmp_path):
    """The environment of a machine with a shell and Python, where nothing answers beyond it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in SHELL:
        (programs / name).symlink_to(shutil.which(name))
    return {"PATH": str(programs), "HOME": str(tmp_path), "PYTHON": sys.executable, "http_proxy": DEAD,
            "https_proxy": DEAD, "all_proxy": DEAD, "LC_ALL": "C.UTF-8"}


def without_network() -> list[str]:
    """The command that starts another one without a network, if this machine lets us; else the dead proxy has to do."""
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode:
            return [shutil.which("unshare"), *command[1:]]
    return []


def visit(script: Path, env: dict[str, str]) -> dict:
    """Start a server with the script, visit it, and stop it."""
    port, lines_port, braces_port = map(str, free_ports(3))
    flags = ["--port", port, "--lines-port", lines_port, "--braces-port", braces_port]
    done = subprocess.run([*without_network(), sys.executable, "-c", VISIT, port, script, *flags],
                          cwd=script.parent, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_starts_through_a_link_without_a_network_and_serves_the_page_with_its_client(unpacked, alone, tmp_path):
    link = tmp_path / "webchat"
    link.symlink_to(unpacked / "run.sh")
    first = visit(link, alone)
    steps = re.sub(r"\d+ packages", "N packages", first["said"]).splitlines()[:3]
    assert steps == [f"[1/3] Making a virtual environment in {unpacked}/.venv …", "[2/3] Installing N packages …",
                     "[3/3] Installing webchat …"]
    assert first["status"] == 0
    assert json.loads(first["healthz"])
    assert first["chat/index.html"].startswith("<!doctype html>")
    assert CLIENT in first["chat/vendor/socket.io.esm.min.js"][:200]
    second = visit(link, alone)
    assert second["status"] == 0 and "[1/3]" not in second["said"]


def test_a_damaged_package_is_not_installed(unpacked, alone):
    wheel, = (unpacked / "wheels").glob("click-*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"damage")
    found = visit(unpacked / "run.sh", alone)
    assert found["status"] == 1 and found["announced"] == [""]
    assert "DO NOT MATCH THE HASHES" in found["said"]
    assert found["said"].endswith("The packages of this archive could not be installed; unpack it again.\n")


def test_on_another_version_of_python_it_says_which_one_it_is_for(unpacked, alone):
    (unpacked / "wheels/PYTHON").write_text("CPython 2.7 on Windows AMD64\n")
    found = visit(unpacked / "run.sh", alone)
    assert found["status"] == 1
    assert found["said"] == (
        "This archive is for CPython 2.7 on Windows AMD64, which was not found; name it with PYTHON=/path/to/python3, "
        "or make an archive for this machine: scripts/bundle.sh in a checkout does.\n")


def test_it_has_the_licences_and_documents_but_nothing_of_the_machine_that_made_it(archive):
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"LICENSE", "README.md", "docs/protocols.md", "run.sh", "requirements.txt"} <= names
    assert [name for name in names if "pycache" in name or ".venv" in name or name.startswith("tests")] == []
