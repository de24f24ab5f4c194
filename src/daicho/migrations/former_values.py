"""Values as another system may have kept them, read as what they mean here."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

from daicho.core.errors import Invalid
from daicho.core.types import utc


def texts(value: object) -> list[str] | None:
    """A list of texts, from what a former system kept for one.

    An array of the database, a JSON array, or texts between commas or on lines of their own. NULL inside
    a list carries nothing and is left out; a list in a list is one list.

    Raises ValueError for what is none of these.
    """
    found = _parsed(value) if isinstance(value, str) else value
    return None if found is None else list(_flat(found))


def json_list(value: object) -> str | None:
    """``texts`` as SQLite is to keep them."""
    found = texts(value)
    return None if found is None else json.dumps(found)


def _parsed(value: str) -> object:
    if value.strip() == "null" or value.lstrip().startswith(("[", "{", '"')):
        return json.loads(value, parse_int=str, parse_float=str)
    return [text for part in re.split("[,、，\n]", value) if (text := str(part).strip())]


def _flat(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float):
        yield json.dumps(value)
    elif value is not None:
        raise ValueError(value)


def instant(value: object) -> str | None:
    """A time as SQLite is to keep it, UTC where it names no zone; None for what is no time."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value.strip())
        at = utc(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, Invalid):
        return None
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")
