"""A colour for each person."""

from collections import Counter
from zlib import crc32

PALETTE = (
    "#d7005f", "#008700", "#005fff", "#af5f00", "#875fd7", "#008787", "#d700d7", "#5f8700", "#0087af", "#af5f5f",
)
"""Ten colours of xterm's 256 that stand out from black and from white alike, by a contrast of 4 to 1 at least."""


class Colours:
    """Who has which colour: the same on every screen where that is possible, and none twice before all are used."""

    def __init__(self, palette: tuple[str, ...] = PALETTE):
        self._palette = palette
        self._given: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The colour of a shown name; a badge does not change it."""
        person = name.rstrip("*").casefold()
        if person not in self._given:
            self._given[person] = self._choose(person)
        return self._given[person]

    def _choose(self, person: str) -> str:
        wearers = Counter(self._given.values())
        start = crc32(person.encode())
        turned = [self._palette[(start + step) % len(self._palette)] for step in range(len(self._palette))]
        return min(turned, key=lambda colour: wearers[colour])
