"""How additions to tasks' numbers reach the database: ``add_up``, the batch behind ``update_statistics``.

Additions of many callers to one task are one UPDATE; tasks are updated in the order of their uuids, so
that two batches never wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select, update

from daicho.core.errors import DaichoError, Invalid
from daicho.tasks.models import COUNTS, Task
from daicho.tasks.schemas import COUNT_MAX

ADD = (
    update(Task)
    .where(
        Task.uuid == bindparam("key"),
        *[func.coalesce(getattr(Task, name), 0) <= COUNT_MAX - bindparam(f"more_{name}") for name in COUNTS],
    )
    .values({name: func.coalesce(getattr(Task, name), 0) + bindparam(f"more_{name}") for name in COUNTS})
)


@dataclass(frozen=True, slots=True)
class Addition:
    """What one caller adds to a task's numbers, in the order of ``COUNTS``; no key: there is no such task."""

    key: str | None
    numbers: tuple[int, ...]


def add_up(connection: Connection, additions: Sequence[Addition]) -> list[bool | DaichoError]:
    """Add, and answer each caller: whether there is such a task, or Invalid for a sum that does not fit."""
    together: dict[str, list[int]] = {}
    for addition in additions:
        if addition.key is not None:
            sums = together.setdefault(addition.key, [0] * len(COUNTS))
            together[addition.key] = [one + more for one, more in zip(sums, addition.numbers, strict=True)]
    done = {key: _add(connection, key, together[key]) for key in sorted(together)}
    known = {key: done[key] or _is_there(connection, key) for key in done}
    return [_answer(connection, addition, done, known) for addition in additions]


def _answer(
    connection: Connection, addition: Addition, done: dict[str, bool], known: dict[str, bool]
) -> bool | DaichoError:
    key = addition.key
    if key is None or not known[key]:
        return False
    # A sum that did not fit with the others' may fit by itself.
    if done[key] or _add(connection, key, addition.numbers):
        return True
    too_many = [name for name, number in zip(COUNTS, addition.numbers, strict=True) if number]
    return Invalid(
        f"{', '.join(too_many)}: the sum would be more than {COUNT_MAX:,}",
        f"{', '.join(too_many)}: 合計が {COUNT_MAX:,} を超えます",
    )


def _add(connection: Connection, key: str, numbers: Sequence[int]) -> bool:
    if max(numbers) > COUNT_MAX:
        return False
    more = {f"more_{name}": number for name, number in zip(COUNTS, numbers, strict=True)}
    return connection.execute(ADD, {"key": key, **more}).rowcount > 0


def _is_there(connection: Connection, key: str) -> bool:
    return connection.scalar(select(Task.uuid).where(Task.uuid == key)) is not None
