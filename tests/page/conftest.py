"""The tests in this folder run in Chromium without a window; those in `tests/specs` run in Chromium as users do."""

from tests.page.browser import guest, own_server, server, visit  # noqa: F401
from tests.page.browser import headless as chromium  # noqa: F401
