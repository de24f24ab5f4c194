"""Places beside the database, in which a room keeps its rows instead: ``core.operation`` for DynamoDB.

A room's operations are written once, against whatever they are handed: a session of the database, or the
place beside it. Which of the two, the room's runner decides.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from daicho.core.errors import DaichoError, Invalid
from daicho.core.threads import in_thread

if TYPE_CHECKING:
    from daicho.core.engine import Database
    from daicho.core.operation import Runner
    from daicho.core.settings import Settings


class Beside(ABC):
    """A place beside the database: safe to use from any number of threads."""

    @abstractmethod
    def translated(self, error: Exception) -> Exception:
        """Return the DaichoError that says what happened; an error that is not the place's, as it is."""

    @abstractmethod
    def close(self) -> None:
        """Let every connection go."""


Make = Callable[["Settings"], Beside]
"""Makes a place that the settings name, without touching it yet. Raises Invalid for what cannot be."""


class _NoSession:
    """What there is no room for: sessions of a database that is not used."""

    def transaction(self, room: str) -> Any:
        raise _no_database(room)

    def session(self, room: str) -> AbstractContextManager[Session]:
        raise _no_database(room)

    def async_session(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        raise _no_database(room)

    def enqueue(self, room: str, write: Any, item: Callable[[], Any]) -> Any:
        raise _no_database(room)


class BesideRunner(_NoSession):
    """``Ledger``: each operation on the place, in the caller's thread.

    Args:
        database: the ledger's, whose settings and change feed hold for the place too.
        name: of the place among those of a ledger.
        make: makes the place, when it is first used.
    """

    def __init__(self, database: "Database", name: str, make: Make) -> None:
        self.database = database
        self._name, self._make = name, make

    def call(self, room: str, work: Callable[[Any], Any], *, writes: bool, idempotent: bool) -> Any:
        result = self._run(work)
        if writes:
            self.database.changes.mark(frozenset({room}))
        return result

    def append(self, room: str, write: Any, item: Callable[[], Any]) -> Any:
        ready = item()
        return self.call(room, lambda place: _written(place, write, ready), writes=True, idempotent=False)

    def apart(self, work: Callable[[Any], Any]) -> Any:
        return self._run(work)

    def beside(self, name: str, make: Make) -> "Runner":
        return BesideRunner(self.database, name, make)

    def _run(self, work: Callable[[Any], Any]) -> Any:
        place = self.database.beside(self._name, self._make)
        try:
            return work(place)
        except Exception as error:
            raise place.translated(error) from None


class AsyncBesideRunner(_NoSession):
    """``AsyncLedger``: as ``BesideRunner``, each operation in a thread that the task waits for."""

    def __init__(self, database: "Database", name: str, make: Make) -> None:
        self.database = database
        self._sync = BesideRunner(database, name, make)

    async def call(self, room: str, work: Callable[[Any], Any], *, writes: bool, idempotent: bool) -> Any:
        return await self._in_thread(
            lambda: self._sync.call(room, work, writes=writes, idempotent=idempotent)
        )

    async def append(self, room: str, write: Any, item: Callable[[], Any]) -> Any:
        return await self._in_thread(lambda: self._sync.append(room, write, item))

    async def apart(self, work: Callable[[Any], Any]) -> Any:
        # A thread of its own: it may take long, and is not to keep the short ones waiting.
        return await asyncio.to_thread(self._sync.apart, work)

    def beside(self, name: str, make: Make) -> "Runner":
        return AsyncBesideRunner(self.database, name, make)

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await in_thread(self.database.beside_threads, call)


class BesideHeldRunner(_NoSession):
    """Within ``begin()``, whose transaction the place has no part in."""

    def __init__(self, database: "Database") -> None:
        self.database = database

    def call(self, room: str, work: Callable[[Any], Any], *, writes: bool, idempotent: bool) -> Any:
        raise _no_transaction(room)

    def append(self, room: str, write: Any, item: Callable[[], Any]) -> Any:
        raise _no_transaction(room)

    def apart(self, work: Callable[[Any], Any]) -> Any:
        raise _no_transaction(room="")

    def beside(self, name: str, make: Make) -> "Runner":
        return self


def _written(place: Beside, write: Callable[[Any, list[Any]], list[Any]], item: object) -> Any:
    result = write(place, [item])[0]
    if isinstance(result, DaichoError):
        raise result
    return result


def _no_database(room: str) -> Invalid:
    return Invalid(
        f"{room} are not kept in the database, so there is no session for them",
        f"{room} はデータベースの外にあるため、セッションはありません",
    )


def _no_transaction(room: str) -> Invalid:
    return Invalid(
        f"{room or 'this'}: kept outside of the database, where no transaction holds it; not within begin()",
        f"{room or 'これ'}: データベースの外にあり、トランザクションの対象外です。"
        "begin() の外で呼んでください",
    )
