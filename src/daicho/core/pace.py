"""How long work that writes a lot holds others up: short transactions, and a pause after each."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

AIM = 0.1
"""Seconds that a transaction should take at most."""
MOST, LEAST = 1_000, 20
"""Rows of one transaction."""


class Pace:
    """How many rows the next transaction takes: fewer, the longer the last one took.

    After each there is a pause as long as it took: on SQLite those who wait for the right to write ask from
    time to time, and would hardly ever meet the moment between two transactions.
    """

    def __init__(self) -> None:
        self.size = MOST

    @contextmanager
    def step(self) -> Iterator[None]:
        """One transaction."""
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.size = max(LEAST, min(MOST, int(self.size * AIM / max(took, 0.001))))
        time.sleep(min(took, AIM))
