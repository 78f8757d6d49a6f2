"""A real server, a real Chromium, and users of the page. They find everything by roles and accessible names."""

import asyncio
import itertools
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.program import ROOT

COMMAND = [sys.executable, "-m", "webchat.main"]
FLAGS = ["--lines-port", "0", "--braces-port", "0", "--message-rate", "0"]
CHROMIUM = "/usr/bin/chromium"
HEADLESS = "/usr/bin/chromium-headless-shell"
"""Chromium without a window around the page; tests take half the processor time with it."""

# Without these, Chromium sends requests to its vendor at each start, and waits for them on a machine without network.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
DESK = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"}
PASSWORDS = {"Alex": "password", "Sue": "password", "Sandy": "password", "admin": "admin"}

expect.set_options(timeout=5_000)
_serial = itertools.count(1)


class Server:
    """`python -m webchat.main` as an operator starts it. It keeps its port when it is started again."""

    def __init__(self):
        self.port = 0
        self._process: subprocess.Popen | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, if it is not running, and return when it has announced that its doors are open."""
        if self._process:
            return
        self._process = subprocess.Popen(
            [*COMMAND, "--port", str(self.port), *FLAGS], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        said = ""
        for line in self._process.stdout:
            said += line
            if address := re.search(r"http://[^\s/]+:(\d+)", line):
                self.port = int(address[1])
                return
        raise AssertionError(f"the server did not start:\n{said}")

    def kill(self) -> None:
        """Kill the server: it says goodbye to nobody."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop the server with SIGTERM."""
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
    """Somebody who uses the page."""

    def __init__(self, page: Page, url: str):
        self.page = page
        self.name = ""
        self.errors: list[str] = []
        self._listeners = {"pageerror": lambda error: self.errors.append(str(error)), "console": self._heard}
        for event, listener in self._listeners.items():
            page.on(event, listener)
        page.goto(f"{url}/chat/index.html")

    def _heard(self, message) -> None:
        # Ignore what Chromium reports when the server is down: that is not an error of the page.
        if message.type == "error" and "net::ERR" not in message.text and "WebSocket connection" not in message.text:
            self.errors.append(f"{message.text} {message.location}")

    def part(self) -> None:
        """Stop listening to the page, which another visitor may use next."""
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)

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
        """Fill in the login bar and press Join."""
        self.username.fill(name)
        self.password.fill(password)
        self.join_button.click()

    def join(self, name: str, password: str | None = None) -> "Visitor":
        """Log in, and wait until the chat has accepted the login."""
        self.login(name, PASSWORDS.get(name, "") if password is None else password)
        self.name = f"{name}*" if name in PASSWORDS else name
        self.status.filter(has_text="Connected as").wait_for()
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
        said = self.log(name).get_by_text(text, exact=True)
        if times:
            said.first.wait_for(timeout=5_000)
        expect(said).to_have_count(times)

    def open(self, name: str) -> None:
        self.users.select_option(name)
        expect(self.region(name)).to_be_visible()

    def close(self, name: str) -> None:
        self.region(name).get_by_role("button", name="Close", exact=True).click()
        expect(self.region(name)).to_have_count(0)


class Chromium:
    """One Chromium process for many tests, and a pool of clean browser contexts in it.

    Playwright's event loop is marked as running in this thread until Playwright stops. Meanwhile no other loop can run:
    every test that needs one would fail after the first page test. So the mark is set only while in use.
    """

    def __init__(self, program: str = CHROMIUM):
        self._playwright = sync_playwright().start()
        self._loop = asyncio.get_running_loop()
        self._browser = self._playwright.chromium.launch(executable_path=program, args=QUIET)
        self._idle: list[Page] = []

    @contextmanager
    def in_use(self) -> Iterator["Chromium"]:
        asyncio._set_running_loop(self._loop)
        try:
            yield self
        finally:
            asyncio._set_running_loop(None)

    def page(self, **options) -> Page:
        """Return a page in a browser context of its own; `options` are those of Playwright's contexts."""
        if self._idle and not options:
            return self._idle.pop()
        return self._browser.new_context(**DESK | options).new_page()

    def give_back(self, page: Page, origin: str) -> None:
        """Clean a context that was made without options, for another test: this is faster than a new one."""
        for other in page.context.pages:
            if other is not page:
                other.close()
        page.set_viewport_size(DESK["viewport"])
        # An address of the same origin, without scripts: for a blank page, Chromium would start a new process.
        page.goto(f"{origin}/chat/logo.svg")
        session = page.context.new_cdp_session(page)
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
        session.detach()
        self._idle.append(page)

    def close(self) -> None:
        with self.in_use():
            self._browser.close()
            self._playwright.stop()


_CHROMIUM = pytest.StashKey[Chromium]()
_HEADLESS = pytest.StashKey[Chromium]()
_SERVER = pytest.StashKey[Server]()
_OWN_SERVER = pytest.StashKey[Server]()


def _shared(config: pytest.Config, key: pytest.StashKey, make: Callable) -> Any:
    """Return an object that all page tests share, and make it for the first test that needs it."""
    if key not in config.stash:
        config.stash[key] = made = make()
        config.add_cleanup(made.close)
    return config.stash[key]


def shared_chromium(config: pytest.Config) -> Chromium:
    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed")
    return _shared(config, _CHROMIUM, Chromium)


@pytest.fixture
def chromium(pytestconfig) -> Iterator[Chromium]:
    """Chromium as users run it."""
    with shared_chromium(pytestconfig).in_use() as chromium:
        yield chromium


@pytest.fixture
def headless(pytestconfig) -> Iterator[Chromium]:
    """Chromium without a window, if it is installed; otherwise the normal one."""
    if not Path(HEADLESS).exists():
        headless = shared_chromium(pytestconfig)
    else:
        headless = _shared(pytestconfig, _HEADLESS, partial(Chromium, HEADLESS))
    with headless.in_use():
        yield headless


@pytest.fixture
def server(pytestconfig) -> Server:
    """The server that tests share."""
    return _shared(pytestconfig, _SERVER, Server)


@pytest.fixture
def own_server(pytestconfig) -> Server:
    """A server that the test can kill and start again, because no other test uses it at the same time."""
    server = _shared(pytestconfig, _OWN_SERVER, Server)
    server.start()
    return server


class Visits:
    """Opens the page: `visit()` at the login bar, `visit("ada")` in the chat."""

    def __init__(self, chromium: Chromium, server: Server):
        self._chromium = chromium
        self._server = server
        self._visitors: list[Visitor] = []
        self._own: list[Page] = []
        self._lent: list[Page] = []

    def __call__(
        self, name: str = "", *, of: Visitor | None = None, at: Server | None = None, fresh: bool = False, **options,
    ) -> Visitor:
        """Open the page and, with `name`, log in.

        `of` is a visitor whose browser context the new page shares. With `fresh`, the context is not used again
        afterwards, because the test changes it. `at` is another server. `options` are those of Playwright's contexts.
        """
        visitor = Visitor(self._page(of, fresh, options), (at or self._server).url)
        self._visitors.append(visitor)
        return visitor.join(name) if name else visitor

    def _page(self, of: Visitor | None, fresh: bool, options: dict) -> Page:
        if of:
            return of.page.context.new_page()
        page = self._chromium.page(**DESK if fresh else options)
        (self._own if fresh or options else self._lent).append(page)
        return page

    def end(self) -> list[str]:
        """Close all pages. Returns the errors that they have logged."""
        for visitor in self._visitors:
            visitor.part()
        for page in self._own:
            page.context.close()
        for page in self._lent:
            if page.is_closed():
                page.context.close()
            else:
                self._chromium.give_back(page, self._server.url)
        return [error for visitor in self._visitors for error in visitor.errors]


@pytest.fixture
def visit(chromium, server) -> Iterator[Visits]:
    """Opens pages. A page that logs an error, or violates its Content Security Policy, fails the test."""
    visits = Visits(chromium, server)
    yield visits
    errors = visits.end()
    assert not errors, errors


@pytest.fixture
def guest() -> Callable[[str], str]:
    """Makes names that no other test of this run uses, so that none is still taken."""
    return lambda name: f"{name} {next(_serial)}"
