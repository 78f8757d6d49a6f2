"""The HTTP server under the page, Socket.IO and `/ws`: Tornado's, with limits and a patient accept loop."""

from tornado import httpserver

from webchat.gateways.accept import PatientAccept

MAX_HEADER = 16 * 1024
"""Bytes of a request's headers."""

MAX_BODY = 256 * 1024
"""Bytes of a request's body; one long-polling POST holds several packets."""

BODY_TIME = 20.0
"""Seconds that a request's body may take to arrive."""

IDLE_TIME = 60.0
"""Seconds that a connection may wait for its next request."""


class HTTPServer(PatientAccept, httpserver.HTTPServer):
    """Who is behind a proxy is `webchat.gateways.proxies`' business: Tornado's `xheaders` stay off."""

    def initialize(self, application, ssl_options=None) -> None:
        super().initialize(application, ssl_options=ssl_options, max_header_size=MAX_HEADER, max_body_size=MAX_BODY,
                           body_timeout=BODY_TIME, idle_connection_timeout=IDLE_TIME)
