"""The names of the request headers that browsers, proxies and clients of this server send.

What is made of a header's name is made once for these. For other names it is made each time and kept nowhere: an
`lru_cache` would keep what strangers send in memory.
"""

from collections.abc import Callable
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")
ValueT = TypeVar("ValueT")

HEADER_NAMES = (
    "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Connection", "Content-Length",
    "Content-Type", "Cookie", "Date", "Dnt", "Expect", "Forwarded", "From", "Host", "If-Modified-Since",
    "If-None-Match", "Keep-Alive", "Origin", "Pragma", "Priority", "Range", "Referer", "Sec-Ch-Ua",
    "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
    "Sec-Gpc", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Protocol",
    "Sec-Websocket-Version", "Te", "Transfer-Encoding", "Upgrade", "Upgrade-Insecure-Requests", "User-Agent", "Via",
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Requested-With",
)
"""In the spelling of Tornado's `HTTPHeaders`."""

SPELLINGS = (
    *HEADER_NAMES, *map(str.lower, HEADER_NAMES), "DNT", "Sec-WebSocket-Accept", "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key", "Sec-WebSocket-Protocol", "Sec-WebSocket-Version", "Sec-GPC", "TE", "X-Real-IP",
)
"""The spellings in which they are sent."""


class KnownNames(dict[ArgumentT, ValueT]):
    """The values of a function for some arguments, made beforehand; for any other argument it is called each time."""

    def __init__(self, function: Callable[[ArgumentT], ValueT], known: tuple[ArgumentT, ...]):
        super().__init__((name, function(name)) for name in known)
        self._function = function

    def __missing__(self, name: ArgumentT) -> ValueT:
        return self._function(name)
