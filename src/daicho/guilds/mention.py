"""Discord ids as people copy them."""

import re

MENTION = re.compile(r"<(?:@[!&]?|#)([0-9]{1,19})>|([0-9]{1,19})")
"""Digits, or a user, role or channel as Discord writes it in a message."""


def copied_id(text: str) -> int | None:
    """Return the number of an id or a mention, which may be too large for an id; None for what is neither."""
    found = MENTION.fullmatch(text)
    return None if found is None else int(found[1] or found[2])
