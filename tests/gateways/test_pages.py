"""The page over HTTP: caching, compression, security headers, health and metrics."""

import gzip
import json
import re
import tempfile
from ipaddress import ip_network
from pathlib import Path

import pytest
from tornado.testing import AsyncHTTPTestCase
from tornado.web import Application

from webchat.gateways import monitoring, pages
from webchat.gateways.monitoring import Health, Metrics
from webchat.net import assets
from webchat.net.proxies import Proxies

INDEX = b"""<!doctype html>
<link rel="stylesheet" href="style.css"><link rel="help" href="https://elsewhere.example/"><a href="#top">top</a>
<script type="module" src="js/main.js"></script><img src="logo.png">
"""
STYLE = b".box { margin: 0 }\n" * 200
PIXEL = bytes(range(256))


class PagesCase(AsyncHTTPTestCase):
    """An application that serves a small page from a temporary folder."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write({"chat/index.html": INDEX, "chat/style.css": STYLE, "chat/js/main.js": b"import './wire.js'\n",
                    "chat/logo.png": PIXEL, "chat/js/.draft": b"no", "private.txt": b"no"})
        self.metrics = Metrics()
        self.health = Health("ok", "1.2.3", 60, 3)
        super().setUp()

    def write(self, files):
        for name, body in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

    def options(self):
        return {}

    def get_app(self):
        rules = [*pages.routes(self.root), *monitoring.routes(health=lambda: self.health,
                                                              registry=self.metrics.registry, **self.options())]
        return Application(rules, default_handler_class=pages.NotFound, log_function=lambda handler: None)

    def ask(self, path, *, gzip=False, method="GET", **headers):
        """Send a request without following redirects or decoding the body."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if gzip:
            headers["Accept-Encoding"] = "gzip"
        return self.fetch(path, method=method, headers=headers, follow_redirects=False, decompress_response=False,
                          allow_nonstandard_methods=True)

    def version(self):
        return re.search(rb'href="([0-9a-f]{16})/style.css"', self.ask("/chat/index.html").body)[1].decode()


class EntryTest(PagesCase):
    def test_the_root_and_the_folder_redirect_to_the_page(self):
        for path in ("/", "/chat", "/chat/"):
            answer = self.ask(path)
            assert (answer.code, answer.headers["Location"]) == (302, "/chat/index.html"), path

    def test_the_icon_is_at_the_address_that_browsers_request_by_default(self):
        answer = self.ask("/favicon.ico")
        assert (answer.code, answer.headers["Location"]) == (302, "/chat/favicon.svg")
        assert (pages.find_static_root() / "chat/favicon.svg").exists()

    def test_the_page_is_html_in_utf_8_and_is_revalidated_each_time(self):
        answer = self.ask("/chat/index.html")
        assert answer.code == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"

    def test_links_to_the_pages_own_files_contain_the_version_and_other_links_do_not(self):
        body, version = self.ask("/chat/index.html").body.decode(), self.version()
        assert f'src="{version}/js/main.js"' in body and f'src="{version}/logo.png"' in body
        assert 'href="https://elsewhere.example/"' in body and 'href="#top"' in body


class CachingTest(PagesCase):
    def test_a_versioned_file_is_cached_forever(self):
        answer = self.ask(f"/chat/{self.version()}/js/main.js")
        assert answer.code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"

    def test_the_same_file_without_a_version_is_revalidated_each_time(self):
        answer = self.ask("/chat/style.css")
        assert (answer.body, answer.headers["Cache-Control"]) == (STYLE, "no-cache")

    def test_an_unknown_version_gets_the_current_file_without_caching(self):
        answer = self.ask("/chat/0123456789abcdef/style.css")
        assert (answer.body, answer.headers["Cache-Control"]) == (STYLE, "no-cache")

    def test_the_entry_page_has_no_versioned_address(self):
        assert self.ask(f"/chat/{self.version()}/index.html").code == 404

    def test_an_unchanged_file_is_answered_by_304_without_a_body(self):
        for gzipped in (False, True):
            first = self.ask("/chat/style.css", gzip=gzipped)
            again = self.ask("/chat/style.css", gzip=gzipped, If_None_Match=first.headers["Etag"])
            assert (again.code, again.body) == (304, b"")
            assert again.headers["Cache-Control"] == "no-cache" and again.headers["Vary"] == "Accept-Encoding"

    def test_another_etag_gets_the_file(self):
        assert self.ask("/chat/style.css", If_None_Match='"something-else"').body == STYLE

    def test_one_changed_file_changes_the_version_of_all(self):
        before = self.version()
        self.write({"chat/js/main.js": b"import './wires.js'\n"})
        assert assets.load(self.root / "chat").version != before

    def test_files_are_read_once_so_that_a_running_server_stays_consistent(self):
        self.write({"chat/style.css": b"changed"})
        assert self.ask("/chat/style.css").body == STYLE


class CompressionTest(PagesCase):
    def test_clients_that_accept_gzip_get_it_with_a_different_etag(self):
        plain, packed = self.ask("/chat/style.css"), self.ask("/chat/style.css", gzip=True)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body == STYLE
        assert packed.headers["Etag"] != plain.headers["Etag"]
        assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"

    def test_the_weights_of_accept_encoding_are_respected(self):
        for accepted, coding in {"br, gzip;q=0.5": "gzip", "*": "gzip", "gzip;q=0": None, "gzip; q=0.000, *": None,
                                 "br": None, "identity": None}.items():
            answer = self.ask("/chat/style.css", Accept_Encoding=accepted)
            assert answer.headers.get("Content-Encoding") == coding, accepted

    def test_a_file_that_gzip_does_not_shrink_is_sent_uncompressed(self):
        answer = self.ask("/chat/logo.png", gzip=True)
        assert answer.body == PIXEL and "Content-Encoding" not in answer.headers


class RefusalTest(PagesCase):
    def test_only_files_of_the_page_can_be_read(self):
        for path in ("/chat/../private.txt", "/chat/..%2fprivate.txt", "/chat/%2e%2e/private.txt", "/chat//etc/passwd",
                     "/chat/js/.draft", "/chat/js", "/chat/js/", "/private.txt", "/chat/index.html/", "/chat/%00"):
            assert self.ask(path).code == 404, path

    def test_other_methods_get_405_with_the_allowed_ones(self):
        for path in ("/", "/chat/index.html", "/healthz", "/metrics"):
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
                answer = self.ask(path, method=method)
                assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD"), (method, path)

    def test_head_returns_the_headers_of_get_without_the_body(self):
        for path in ("/chat/index.html", "/healthz"):
            head, get = self.ask(path, method="HEAD"), self.ask(path)
            assert (head.code, head.body) == (200, b"")
            assert head.headers["Content-Length"] == str(len(get.body))
            assert head.headers.get("Etag") == get.headers.get("Etag")

    def test_every_answer_has_the_security_headers_and_does_not_name_the_server_software(self):
        for path, method in (("/", "GET"), ("/chat/index.html", "GET"), ("/chat/style.css", "HEAD"), ("/none", "GET"),
                             ("/chat/none", "GET"), ("/healthz", "POST"), ("/metrics", "GET")):
            headers = self.ask(path, method=method).headers
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy, path
            assert "frame-ancestors 'none'" in policy and "connect-src 'self'" in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert "Server" not in headers

    def test_what_a_stranger_asks_for_is_not_logged(self):
        with self.assertNoLogs():
            assert self.ask("/chat/%ff").code == 400
            assert self.ask("/healthz", method="POST", Content_Type="multipart/form-data; boundary=x").code == 400

    def test_errors_are_one_line_of_text(self):
        answer = self.ask("/chat/none")
        assert answer.body == b"404 Not Found\n"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


class HealthTest(PagesCase):
    def test_health_is_the_status_the_version_the_uptime_and_the_number_of_users(self):
        body = json.loads(self.ask("/healthz").body)
        assert body == {"status": "ok", "version": "1.2.3", "uptime": 60, "users": 3}

    def test_health_is_json_and_is_not_cached(self):
        answer = self.ask("/healthz")
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_degraded_server_still_answers_with_200_for_load_balancers(self):
        self.health = self.health._replace(status="degraded")
        answer = self.ask("/healthz")
        assert (answer.code, json.loads(answer.body)["status"]) == (200, "degraded")


class MetricsTest(PagesCase):
    def test_counts_are_shown_in_prometheus_text(self):
        self.metrics.messages["room"] += 2
        self.metrics.watch("users", "People logged in.", lambda: 7)
        answer = self.ask("/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        lines = answer.body.decode().splitlines()
        assert 'webchat_messages_total{kind="room"} 2.0' in lines
        assert "# TYPE webchat_messages_total counter" in lines
        assert "webchat_users 7.0" in lines
        assert "# TYPE webchat_users gauge" in lines

    def test_values_that_were_never_counted_are_not_shown(self):
        assert b"webchat_refusals" not in self.ask("/metrics").body

    def test_counts_of_another_component_are_shown(self):
        self.metrics.refusals = refused = {}
        refused["slow-down"] = 4
        assert b'webchat_refusals_total{code="slow-down"} 4.0\n' in self.ask("/metrics").body

    def test_two_servers_in_one_process_count_separately(self):
        self.metrics.messages["room"] += 1
        assert Metrics().messages["room"] == 0

    def test_requests_that_an_unknown_proxy_forwards_are_refused(self):
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            assert self.ask("/metrics", **{header: "127.0.0.1"}).code == 403, header


class MetricsFromElsewhereTest(PagesCase):
    def options(self):
        return {"proxies": Proxies([ip_network("127.0.0.1")])}

    def test_behind_a_trusted_proxy_the_clients_own_address_decides(self):
        assert self.ask("/metrics", X_Forwarded_For="203.0.113.7").code == 403
        assert self.ask("/metrics", X_Forwarded_For="127.0.0.1, 203.0.113.7").code == 403
        assert self.ask("/metrics", X_Forwarded_For="::1").code == 200


class MetricsTokenTest(PagesCase):
    def options(self):
        return {"metrics_token": "kä5e"}

    def test_only_the_right_token_is_accepted(self):
        right = "kä5e".encode().decode("latin-1")
        for given, code in {f"Bearer {right}": 200, f"bearer  {right}": 200, "Bearer other": 403, f"Basic {right}": 403,
                            "Bearer": 403, "": 403}.items():
            assert self.ask("/metrics", Authorization=given).code == code, given
        assert self.ask("/metrics").code == 403


def test_a_missing_page_is_reported_when_the_server_starts(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"The page is missing: there is no .*index\.html"):
        assets.load(tmp_path)
