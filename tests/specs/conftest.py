from tests.page.browser import chromium, guest, server, visit  # noqa: F401
