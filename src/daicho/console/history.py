"""The last quarter of an hour of what is measured, for the console: Prometheus keeps longer ones."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from daicho.core.engine import Database
from daicho.core.measure import Distribution, Labels
from daicho.core.types import now

STEP_SECONDS = 5.0
STEPS = 180


@dataclass(frozen=True, slots=True)
class Sample:
    """What had been counted at an instant."""

    at: datetime
    rows: int
    commits: Distribution
    operations: Mapping[Labels, Distribution]
    failures: Mapping[Labels, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation came to since some instant.

    Attributes:
        held: its durations, in seconds.
        failed: how many of them raised.
    """

    name: str
    held: Distribution
    failed: int


class History:
    """Samples of a database's measures, one every ``STEP_SECONDS``, as long as ``keep`` runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._samples: deque[Sample] = deque([_nothing(database)], maxlen=STEPS + 1)

    async def keep(self) -> None:
        """Take a sample now and again, for good."""
        while True:
            await asyncio.sleep(STEP_SECONDS)
            self._samples.append(self.now())

    def now(self) -> Sample:
        """A sample of this moment."""
        measures = self._database.measures
        return Sample(
            now(),
            sum(measures.rows.counts().values()),
            measures.commits.taken(),
            measures.operations.taken(),
            measures.failures.counts(),
        )

    def rates(self) -> list[tuple[datetime, float]]:
        """Rows written a second, in each step so far."""
        return [
            (later.at, (later.rows - before.rows) / max(0.1, (later.at - before.at).total_seconds()))
            for before, later in pairwise(self._samples)
        ]

    def rate(self, seconds: float = 60.0) -> float:
        """Rows written a second, of late."""
        here = self.now()
        steps = max(1, int(seconds / STEP_SECONDS))
        before = list(self._samples)[-steps:][0]
        return (here.rows - before.rows) / max(1.0, (here.at - before.at).total_seconds())

    def commits(self) -> Distribution:
        """Appends that shared a commit, of late."""
        return self.now().commits.since(self._samples[0].commits)

    def operations(self) -> list[Operation]:
        """What each operation came to of late, those that took most of the time first."""
        here, before = self.now(), self._samples[0]
        found = []
        for labels, held in here.operations.items():
            late = held.since(before.operations.get(labels))
            if late.count:
                found.append(Operation(labels[0], late, _failed(here, labels) - _failed(before, labels)))
        return sorted(found, key=lambda one: (-one.held.sum, one.name))


def _failed(sample: Sample, labels: Labels) -> int:
    return sum(count for (name, _), count in sample.failures.items() if (name,) == labels)


def _nothing(database: Database) -> Sample:
    measures = database.measures
    commits = measures.commits.taken()
    return Sample(measures.since, 0, Distribution(commits.bounds, (0,) * len(commits.counts), 0.0), {})
