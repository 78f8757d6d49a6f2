"""The text of a message: what is let through, and what is replaced.

Content is left as it was typed, not even normalised (NFC): only what could break a line, reach a terminal as an escape
sequence, or not be sent at all is changed. A paragraph or line separator (U+2029, U+2028) becomes the newline that it
means, so that the doors that speak in lines put the sender's name before what follows. Bidirectional controls stay:
their effect ends with the line (Unicode Standard Annex #9, X8), behind the name that every line begins with, and
languages need them.
"""

import re

from webchat.chat.errors import Empty, TooLong

LONGEST = 4096
"""Characters (Unicode code points)."""

REPLACEMENT = "\ufffd"

LINE_BREAK = re.compile("\r\n|[\u2028\u2029]")
UNSENDABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (C0, C1, DEL) other than newline and tab, and halves of surrogate pairs."""


def clean(text: str) -> str:
    """The text as everybody gets it. Raises Empty when it is blank, TooLong over 4,096 characters."""
    if not text.isprintable():
        text = LINE_BREAK.sub("\n", text)
        text = UNSENDABLE.sub(REPLACEMENT, text)
    if len(text) > LONGEST:
        raise TooLong(f"A message has at most {LONGEST:,} characters, and this one has {len(text):,}.")
    if not text or text.isspace():
        raise Empty
    return text
