"""The page's own tests run in Chromium without its window; those in `tests/specs` and across the doors with it."""

from tests.page.browser import guest, own_server, server, visit  # noqa: F401
from tests.page.browser import headless as chromium  # noqa: F401
