"""Names that are made of parts: ``chat:discord:123:456``."""

import re
from collections.abc import Sequence


def with_alias(name: str, persons: Sequence[str], alias: str) -> str:
    """Return a name with each part of it that is a person's replaced.

    >>> with_alias("chat:discord:123:456", ["123"], "x")
    'chat:discord:x:456'
    """
    parts = re.split(r"([:/])", name)
    return "".join(alias if part in persons else part for part in parts)


def names_part(name: str, persons: Sequence[str]) -> bool:
    """Whether a part of a name is a person's."""
    return any(part in persons for part in re.split(r"[:/]", name))
