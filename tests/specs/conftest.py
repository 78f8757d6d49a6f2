from collections.abc import Callable, Iterator

import pytest

from tests.page.browser import chromium, guest, server, visit  # noqa: F401
from tests.program import Program


@pytest.fixture(scope="module")
def chat_server() -> Iterator[Program]:
    """A server without a browser, for the tests of one file; each test uses names of its own."""
    with Program("--message-rate", "0") as program:
        yield program


@pytest.fixture
def open_window() -> Iterator[Callable]:
    """Opens desktop windows; see `WindowUser` for the arguments."""
    from tests.clients.desktop.window_user import window_users

    with window_users() as open_window:
        yield open_window
