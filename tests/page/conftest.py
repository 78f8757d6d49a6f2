from tests.page.browser import chromium, guest, own_server, server, visit  # noqa: F401
