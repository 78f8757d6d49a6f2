from tests.page.browser import browser, guest, own_server, server, visit  # noqa: F401
