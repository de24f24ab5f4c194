"""The slow-query log: a line for each statement that took long. Values of parameters never stand in it."""

import logging
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from daicho.core.types import now

log = logging.getLogger("daicho.slow_query")

REMARKABLE_MS = 1000.0
"""From how many milliseconds on a statement is remembered, where no setting says so."""
REMEMBERED = 50
STATEMENT_CHARACTERS = 2_000
"""How much of a statement's text is kept."""

LITERALS = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SlowQuery:
    """A statement that took long.

    Attributes:
        at: when it ended.
        operation: the operation that it belongs to; empty for a session that a caller holds open.
        statement: its text in one line, without the values of its parameters.
        failed: whether it ended in an error.
    """

    at: datetime
    seconds: float
    operation: str
    statement: str
    failed: bool


class SlowQueries:
    """The latest slow statements, how many there were, and the log of them.

    Args:
        milliseconds: from how many milliseconds on a statement goes to the log (``database.slow_query_ms``);
            None: none does, and those of a second or more are remembered.
    """

    def __init__(self, milliseconds: float | None) -> None:
        self.logs = milliseconds is not None
        self.seconds = (REMARKABLE_MS if milliseconds is None else milliseconds) / 1000
        self._lock = threading.Lock()
        self._count = 0
        self._latest: deque[SlowQuery] = deque(maxlen=REMEMBERED)

    def take(self, seconds: float, operation: str, statement: str, *, failed: bool = False) -> None:
        """Remember a statement that took at least ``self.seconds``, and log it if that is asked for."""
        slow = SlowQuery(now(), seconds, operation, told(statement), failed)
        with self._lock:
            self._count += 1
            self._latest.append(slow)
        if self.logs:
            log.warning(
                "slow query: %.0f ms%s, %s: %s",
                seconds * 1000,
                " until it failed" if failed else "",
                operation or "session",
                slow.statement,
            )

    @property
    def count(self) -> int:
        """How many there were."""
        return self._count

    def latest(self) -> list[SlowQuery]:
        """The latest ones, newest first."""
        with self._lock:
            return list(reversed(self._latest))


def told(statement: str) -> str:
    """A statement's text in one line, no longer than it may be, its quoted literals left out."""
    text = " ".join(LITERALS.sub("'…'", statement).split())
    return text if len(text) <= STATEMENT_CHARACTERS else text[:STATEMENT_CHARACTERS] + "…"
