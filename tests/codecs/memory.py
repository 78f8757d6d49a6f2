"""How much text an object holds on to, found without a look at its attributes."""

import gc
from types import FunctionType, ModuleType


def held_text(owner: object) -> int:
    """The total length of all strings and bytes that are reachable from an object."""
    total, seen, waiting = 0, set(), [owner]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | ModuleType | FunctionType):
            continue
        seen.add(id(each))
        if isinstance(each, str | bytes | bytearray):
            total += len(each)
        waiting += gc.get_referents(each)
    return total
