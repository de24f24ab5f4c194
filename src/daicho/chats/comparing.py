"""Whether two places have the same messages: by count and checksum, and where they differ one by one."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from daicho.chats.models import ChatLog
from daicho.core.types import json_value

FIELDS = ("role", "content", "author", "message_id", "details")
EXACT = Context(prec=10_000, Emax=999_999_999, Emin=-999_999_999)
"""More digits than a number that Python reads has: none is rounded."""


def canonical(message: ChatLog) -> str:
    """Write a message so that equal ones are equal, however a place writes their times and their JSON."""
    said_at = message.timestamp.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps([said_at, *(_value(message, name) for name in FIELDS)], ensure_ascii=False)


class Checksum:
    """The number of messages, and SHA-256 over them in their order.

    Attributes:
        count: how many there are.
        last: when the last one was said; None if there is none.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: datetime | None = None
        self._sum = hashlib.sha256()

    def add(self, messages: Iterable[ChatLog]) -> None:
        """Add the messages that come next."""
        for message in messages:
            self.count += 1
            self.last = message.timestamp
            self._sum.update(canonical(message).encode() + b"\n")

    @property
    def digest(self) -> str:
        """The checksum so far."""
        return self._sum.hexdigest()

    def same(self, other: "Checksum") -> bool:
        """Whether another one is of equal messages."""
        return (self.count, self.digest) == (other.count, other.digest)


def side_by_side(
    one: Iterator[ChatLog], other: Iterator[ChatLog]
) -> Iterator[tuple[ChatLog | None, ChatLog | None]]:
    """Pair the messages of two places that were said at the same instant.

    Args:
        one, other: oldest first.

    For one that a place has not got stands None; never for both.
    """
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.timestamp < right.timestamp):
            yield left, None
            left = next(one, None)
        elif left is None or right.timestamp < left.timestamp:
            yield None, right
            right = next(other, None)
        else:
            yield left, right
            left, right = next(one, None), next(other, None)


def differing(one: ChatLog, other: ChatLog) -> list[str]:
    """Return the names of what differs between two messages of the same instant."""
    return [name for name in FIELDS if _value(one, name) != _value(other, name)]


def _value(message: ChatLog, name: str) -> Any:
    value = getattr(message, name)
    return value if name != "details" or value is None else _plain(json_value(value))


def _plain(value: Any) -> Any:
    """JSON as nested lists that tell objects, numbers and texts apart: names sorted, numbers alike."""
    match value:
        case dict():
            return {"object": [[name, _plain(value[name])] for name in sorted(value)]}
        case list():
            return [_plain(held) for held in value]
        case bool() | str() | None:
            return value
        case _:
            number = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
            return {"number": "0" if not number else str(number.normalize(EXACT))}
