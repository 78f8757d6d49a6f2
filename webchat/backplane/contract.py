"""The contract of a backplane: what joins the hubs of several processes to one chat."""

from collections import Counter
from typing import Any, Protocol

from webchat.backplane.hub import BackplaneHub
from webchat.chat.ports import HubBackplane


class Backplane(HubBackplane, Protocol):
    """What the hub calls (see `HubBackplane`), and what the server needs to start, stop and watch a backplane.

    `counts` are the numbers that `/metrics` shows for this backplane, by name.
    """

    counts: Counter[str]

    def attach(self, hub: BackplaneHub) -> None:
        """Report what happens in the other processes to this hub. Call it once, before `start`."""

    async def start(self) -> None:
        """Connect to the other processes."""

    async def stop(self) -> None:
        """Disconnect from the other processes; the names that this process held are free at once."""

    def health(self) -> dict[str, Any]:
        """Return what `/healthz` shows of the backplane: at least `status`, which is "ok" or "degraded"."""
