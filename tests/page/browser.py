"""A real server, a real Chromium, and people who use the page as one does: by roles and accessible names only."""

import asyncio
import itertools
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

COMMAND = [sys.executable, "-m", "webchat.main"]
FLAGS = ["--lines-port", "0", "--braces-port", "0", "--message-rate", "0"]
CHROMIUM = "/usr/bin/chromium"
# Chromium asks its maker's hosts for this and that at each start; a machine in an air-gapped network need not wait.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
PASSWORDS = {"Alex": "password", "Sue": "password", "Sandy": "password", "admin": "admin"}

expect.set_options(timeout=5_000)
_serial = itertools.count(1)


class Server:
    """`python -m webchat.main` as its user starts it, on a port that stays its own when it is started again."""

    def __init__(self):
        self.port = 0
        self._process: subprocess.Popen | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when the doors are open: the server says so, with the address, when and only when they are."""
        self._process = subprocess.Popen(
            [*COMMAND, "--port", str(self.port), *FLAGS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        said = ""
        for line in self._process.stdout:
            said += line
            if address := re.search(r"http://[^\s/]+:(\d+)", line):
                self.port = int(address[1])
                return
        raise AssertionError(f"the server did not start:\n{said}")

    def kill(self) -> None:
        """End at once, without a goodbye to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End in good order."""
        self._end(signal.SIGTERM)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process:
            process, self._process = self._process, None
            process.send_signal(with_signal)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise


class Visitor:
    """Somebody at the page."""

    def __init__(self, page: Page, url: str):
        self.page = page
        self.url = url
        self.name = ""
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        page.goto(f"{url}/chat/index.html")

    def _heard(self, message) -> None:
        # What Chromium says of a server that is down is the network's affair, not the page's.
        if message.type == "error" and "net::ERR" not in message.text and "WebSocket connection" not in message.text:
            self.errors.append(message.text)

    @property
    def username(self) -> Locator:
        return self.page.get_by_role("textbox", name="Username", exact=True)

    @property
    def password(self) -> Locator:
        return self.page.get_by_role("textbox", name="Password", exact=True)

    @property
    def join_button(self) -> Locator:
        return self.page.get_by_role("button", name="Join", exact=True)

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def alert(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def users(self) -> Locator:
        return self.page.get_by_role("combobox", name="Users", exact=True)

    @property
    def rooms(self) -> Locator:
        return self.page.get_by_role("combobox", name="Rooms", exact=True)

    @property
    def past(self) -> Locator:
        return self.page.get_by_role("combobox", name="Past conversations", exact=True)

    @property
    def regions(self) -> Locator:
        return self.page.get_by_role("region")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def region(self, name: str = "Everyone") -> Locator:
        return self.page.get_by_role("region", name=name, exact=True)

    def log(self, name: str = "Everyone") -> Locator:
        return self.region(name).get_by_role("log")

    def message(self, name: str = "Everyone") -> Locator:
        return self.region(name).get_by_role("textbox", name="Message", exact=True)

    def send_to(self) -> Locator:
        return self.region().get_by_role("textbox", name="Send to", exact=True)

    def login(self, name: str, password: str = "") -> None:
        """Fill the bar and join, whatever comes of it."""
        self.username.fill(name)
        self.password.fill(password)
        self.join_button.click()

    def join(self, name: str, password: str | None = None) -> "Visitor":
        """Log in and be in the chat."""
        self.login(name, PASSWORDS.get(name, "") if password is None else password)
        self.name = f"{name}*" if name in PASSWORDS else name
        expect(self.status).to_have_text(f"Connected as {self.name}")
        return self

    def leave(self) -> None:
        self.button("Leave").click()
        expect(self.join_button).to_be_visible()

    def say(self, text: str, name: str = "Everyone", *, to: str | None = None) -> None:
        if to is not None:
            self.send_to().fill(to)
        self.message(name).fill(text)
        self.message(name).press("Enter")

    def hears(self, text: str, name: str = "Everyone", times: int = 1) -> None:
        expect(self.log(name).get_by_text(text, exact=True)).to_have_count(times)

    def open(self, name: str) -> None:
        self.users.select_option(name)
        expect(self.region(name)).to_be_visible()

    def close(self, name: str) -> None:
        self.region(name).get_by_role("button", name="Close", exact=True).click()
        expect(self.region(name)).to_have_count(0)


class Chromium:
    """The one Chromium process of all page tests.

    Playwright's own event loop counts as running for as long as Playwright does, and no other can run in its thread
    meanwhile: tests that need a loop of theirs would fail after the first page test. So it counts only while in use.
    """

    def __init__(self):
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        self.browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)

    @contextmanager
    def in_use(self) -> Iterator[Browser]:
        asyncio._set_running_loop(self._loop)
        try:
            yield self.browser
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        with self.in_use():
            self.browser.close()
            self._playwright.stop()


_CHROMIUM = pytest.StashKey[Chromium]()


@pytest.fixture
def browser(pytestconfig) -> Iterator[Browser]:
    """Chromium, started by the first test that wants it, in whichever folder that is."""
    if _CHROMIUM not in pytestconfig.stash:
        pytestconfig.stash[_CHROMIUM] = chromium = Chromium()
        pytestconfig.add_cleanup(chromium.close)
    with pytestconfig.stash[_CHROMIUM].in_use() as browser:
        yield browser


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The server of a module's tests."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may kill and start again."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def visit(browser, server) -> Iterator[Callable[..., Visitor]]:
    """Opens the page in a browser of one's own: `visit()` at the login bar, `visit("ada")` in the chat.

    `of` is a visitor whose browser the new page shares, `at` another server; the rest goes to Playwright's context.
    A page that logs an error or violates its own Content-Security-Policy fails the test.
    """
    contexts, visitors = [], []

    def visit(name: str = "", *, of: Visitor | None = None, at: Server = server, **options) -> Visitor:
        if of:
            context = of.page.context
        else:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"} | options)
            contexts.append(context)
        visitor = Visitor(context.new_page(), at.url)
        visitors.append(visitor)
        return visitor.join(name) if name else visitor

    yield visit
    errors = [error for visitor in visitors for error in visitor.errors]
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def guest() -> Callable[[str], str]:
    """Names that no other test of this run uses, so that nobody has to wait until an earlier one is gone."""
    return lambda name: f"{name} {next(_serial)}"
