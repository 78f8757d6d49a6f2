from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(scope="session")
def app():
    """Qt's application."""
    from tests.clients.desktop.window_user import qt_application

    return qt_application()


@pytest.fixture
def open_window(app) -> Iterator[Callable]:
    """Opens windows; see `WindowUser` for the arguments."""
    from tests.clients.desktop.window_user import window_users

    with window_users() as open_window:
        yield open_window
