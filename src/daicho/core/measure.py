"""What a database's work comes to: how often, how long, how many rows. Counted here, read elsewhere.

Everything here is safe to use from any thread and costs about a microsecond an operation, whether or not
anybody reads it. Names of operations, tables and reasons are Daicho's own, so their number is bounded.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Protocol

from daicho.core.errors import DaichoError
from daicho.core.reasons import reason
from daicho.core.slow import SlowQueries
from daicho.core.types import now

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations."""
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
"""Upper bounds of the buckets of batches, in rows."""
Labels = tuple[str, ...]
UNFOLLOWED = nullcontext()

current: ContextVar[str] = ContextVar("daicho_operation", default="")
"""The operation that is under way: ``calls.append_log``; empty outside of any."""


class Tally:
    """Counts by labels, which only ever rise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Labels] = Counter()

    def add(self, *labels: str, count: int = 1) -> None:
        """Count something that has these labels."""
        with self._lock:
            self._counts[labels] += count

    def add_all(self, counts: Mapping[Labels, int]) -> None:
        """Count several things."""
        with self._lock:
            self._counts.update(counts)

    def counts(self) -> dict[Labels, int]:
        """What has been counted so far."""
        with self._lock:
            return dict(self._counts)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many values were at most each bound, those beyond the last one at the end; and their sum."""

    bounds: Sequence[float]
    counts: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def since(self, before: "Distribution | None") -> "Distribution":
        """What has been added since an earlier one."""
        if before is None:
            return self
        counts = tuple(mine - theirs for mine, theirs in zip(self.counts, before.counts, strict=True))
        return Distribution(self.bounds, counts, self.sum - before.sum)

    def quantile(self, share: float) -> float | None:
        """The value that a share of them (0.95) does not exceed, as near as the bounds tell; None of none.

        Of what is beyond the last bound nothing is known but that: the last bound is returned.
        """
        rank, below = share * self.count, 0
        if not self.count:
            return None
        for at, count in enumerate(self.counts[:-1]):
            if below + count >= rank and count:
                lower = self.bounds[at - 1] if at else 0.0
                return lower + (self.bounds[at] - lower) * (rank - below) / count
            below += count
        return self.bounds[-1]


class Histogram:
    """A distribution that grows.

    Args:
        bounds: the buckets' upper bounds, rising.
    """

    __slots__ = ("_bounds", "_counts", "_lock", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        at = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[at] += 1
            self._sum += value

    def taken(self) -> Distribution:
        """What it holds now."""
        with self._lock:
            return Distribution(self._bounds, tuple(self._counts), self._sum)


class Histograms:
    """A histogram for each combination of labels."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self._each: dict[Labels, Histogram] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Add a value to those with these labels."""
        histogram = self._each.get(labels)
        if histogram is None:
            with self._lock:
                histogram = self._each.setdefault(labels, Histogram(self._bounds))
        histogram.observe(value)

    def taken(self) -> dict[Labels, Distribution]:
        """What each holds now."""
        with self._lock:
            each = dict(self._each)
        return {labels: histogram.taken() for labels, histogram in each.items()}


class Tracer(Protocol):
    """What follows single operations, where somebody has asked for that (``ops.tracing``)."""

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Follow an operation from its begin to its end."""

    def batch(self, name: str, links: Sequence[object]) -> AbstractContextManager[object]:
        """Follow a transaction that carries what several operations wait for."""

    def link(self) -> object:
        """What is under way here, so that a batch can refer to it."""

    def repeats(self, why: str) -> None:
        """Note in what is under way that its transaction is tried again."""


class Measures:
    """What a database's work comes to since this process has opened it.

    Args:
        slow_query_ms: from how many milliseconds on a statement goes to the log; None: none does.
    """

    def __init__(self, slow_query_ms: float | None = None) -> None:
        self.since = now()
        self.operations = Histograms(SECONDS)
        """Seconds, by operation."""
        self.failures = Tally()
        """Operations that raised, by operation and class of the error."""
        self.rows = Tally()
        """Rows written and committed, by table and by ``insert``, ``update`` or ``delete``."""
        self.commits = Histogram(SIZES)
        """Appends that shared a commit."""
        self.flushes = Histogram(SIZES)
        """Buffered items that were written together."""
        self.retries = Tally()
        """Transactions that were tried again, by reason."""
        self.errors = Tally()
        """Errors of the database, by reason, whether or not the transaction was tried again."""
        self.ingested = Tally()
        """Records that came in from elsewhere, by source and by what became of them."""
        self.slow = SlowQueries(slow_query_ms)
        self.tracer: Tracer | None = None

    def timing(self, name: str) -> "Timing":
        """Measure an operation from the begin of a ``with`` block to its end."""
        return Timing(self, name)

    def batch(self, name: str, links: Sequence[object]) -> AbstractContextManager[object]:
        """Follow a transaction that carries what several operations wait for, if anybody follows these."""
        return UNFOLLOWED if self.tracer is None else self.tracer.batch(name, links)

    def repeats(self, error: BaseException) -> None:
        """Count a transaction that is tried again because of an error."""
        why = reason(error)
        self.retries.add(why)
        if self.tracer is not None:
            self.tracer.repeats(why)

    @property
    def deadlocks(self) -> int:
        """Deadlocks that this process was the victim of."""
        return self.errors.counts().get(("deadlock",), 0)


class Timing:
    """One operation: its name is known to all that it does, and its duration is counted at its end."""

    __slots__ = ("_begun", "_former", "_measures", "_name", "_span")

    def __init__(self, measures: Measures, name: str) -> None:
        self._measures, self._name = measures, name

    def __enter__(self) -> None:
        self._former = current.get()
        current.set(self._name)
        tracer = self._measures.tracer
        self._span = None if tracer is None else tracer.operation(self._name)
        if self._span is not None:
            self._span.__enter__()
        self._begun = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._measures.operations.observe((self._name,), perf_counter() - self._begun)
        current.set(self._former)
        if isinstance(error, Exception):
            known = isinstance(error, DaichoError)
            self._measures.failures.add(self._name, type(error).__name__ if known else "other")
        if self._span is not None:
            self._span.__exit__(kind, error, trace)
