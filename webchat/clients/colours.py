"""A colour for each person's name."""

from collections import Counter
from zlib import crc32

PALETTE = (
    "#d7005f", "#008700", "#005fff", "#af5f00", "#875fd7", "#008787", "#d700d7", "#5f8700", "#0087af", "#af5f5f",
)
"""Ten of xterm's 256 colours, each with a contrast of at least 4:1 on black and on white."""


class Colours:
    """Assigns a colour to each name.

    The choice depends on the name, so a person usually has the same colour in every client. No colour is assigned twice
    before all are in use.
    """

    def __init__(self, palette: tuple[str, ...] = PALETTE):
        self._palette = palette
        self._assigned: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The colour of a shown name, as `#rrggbb`. The badge (`*`) and the case of letters make no difference."""
        person = name.rstrip("*").casefold()
        if person not in self._assigned:
            self._assigned[person] = self._choose(person)
        return self._assigned[person]

    def _choose(self, person: str) -> str:
        uses = Counter(self._assigned.values())
        start = crc32(person.encode()) % len(self._palette)
        candidates = self._palette[start:] + self._palette[:start]
        return min(candidates, key=lambda colour: uses[colour])
