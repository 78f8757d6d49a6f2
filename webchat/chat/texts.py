"""The text of messages: which characters are replaced, and which texts are refused.

Text stays as it was typed and is not normalised. Only characters that could break a line, reach a terminal as an
escape sequence, or not be encoded at all are replaced. A line or paragraph separator (U+2028, U+2029) becomes a
newline, so that gateways for line protocols put the sender's name before the text that follows. Bidirectional controls
stay, because some languages need them; their effect ends with the line (Unicode Standard Annex #9, rule X8), and the
sender's name comes before them.
"""

import re

from webchat.chat.errors import Empty, TooLong

MAX_TEXT_LENGTH = 4096
"""Characters (Unicode code points)."""

REPLACEMENT = "\ufffd"

LINE_SEPARATOR = re.compile("\r\n|[\u2028\u2029]")
UNSENDABLE = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (C0, C1, DEL) other than newline and tab, and unpaired surrogates, which UTF-8 cannot encode."""


def clean(text: str) -> str:
    """Return the text as it will be sent.

    Raises Empty when it is blank, TooLong when it has more than `MAX_TEXT_LENGTH` characters after the replacements.
    """
    if not text.isprintable():
        text = LINE_SEPARATOR.sub("\n", text)
        text = UNSENDABLE.sub(REPLACEMENT, text)
    if len(text) > MAX_TEXT_LENGTH:
        raise TooLong(f"A message has at most {MAX_TEXT_LENGTH:,} characters, and this one has {len(text):,}.")
    if not text or text.isspace():
        raise Empty
    return text
