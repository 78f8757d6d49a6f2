"""The server, with a thread beside it that answers questions about its memory: `python -m tests.observed [FLAG…]`.

The garbage collector is off, so that an object which only reference cycles keep stays. A question is a line of standard
input, its answer a line of JSON on standard output:

    words    the texts in memory that contain the word "canary" and a number, each with the object that refers to it
    live     how many objects there are of each kind that belongs to a connection
"""

import gc
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from webchat.main import cli

WORD = re.compile(r"c[a]nary\d+")  # so that this pattern is not found itself


def texts() -> Iterator[tuple[str, Any]]:
    """Yield every text and every piece of binary data that an object refers to, with that object."""
    gc.unfreeze()
    pending = gc.get_objects()
    seen = {id(pending)}
    while pending:
        parent = pending.pop()
        if id(parent) in seen or parent is seen:
            continue
        seen.add(id(parent))
        for child in gc.get_referents(parent):
            if isinstance(child, str):
                yield child, parent
            elif isinstance(child, bytes | bytearray):
                yield child.decode("latin-1"), parent
            else:
                pending.append(child)


def words() -> list[str]:
    found = [(match[0], holder) for text, holder in texts() if (match := WORD.search(text))]
    return sorted({f"{word} in {type(holder).__name__} {repr(holder)[:200]}" for word, holder in found})


def live() -> dict[str, int]:
    gc.unfreeze()
    kinds = (type(each) for each in gc.get_objects())
    return Counter(kind.__name__ for kind in kinds
                   if str(kind.__module__).startswith(("webchat.", "tornado.")) or kind.__name__ == "Task")


def answer_questions() -> None:
    questions: dict[str, Callable[[], Any]] = {"words": words, "live": live}
    for question in sys.stdin:
        try:
            print(json.dumps(questions[question.strip()]()), flush=True)
        except Exception as error:
            print(json.dumps(repr(error)), flush=True)


if __name__ == "__main__":
    gc.disable()
    threading.Thread(target=answer_questions, daemon=True).start()
    cli()
