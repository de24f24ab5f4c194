"""One implementation, two faces.

A store method is written once, against a sync ``Session``. ``@operation`` (it writes), ``@query``
(it reads) and ``@grouped`` (single appends that share commits) make of it a plain call on
``Ledger`` and an awaitable one on ``AsyncLedger``, and type checkers see the right one of the two::

    class CallStore(Store[Mode]):
        @operation
        def complete(self, session: Session, call_id: str) -> Call: ...

    ledger.calls.complete("call-123")            # Ledger       -> Call
    await ledger.calls.complete("call-123")      # AsyncLedger  -> Awaitable[Call]
"""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast, overload

from sqlalchemy import Connection, Delete, Select, Update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from daicho.core.beside import Make
from daicho.core.buffer import Receipt
from daicho.core.engine import Database
from daicho.core.errors import DaichoError, NotFound, Unavailable
from daicho.core.language import Text
from daicho.core.manners import Naive, with_zones
from daicho.core.measure import Timing
from daicho.core.types import uuid_text
from daicho.core.writer import BatchWrite


class Sync:
    """The mode of ``Ledger``: an operation returns its result."""


class Async:
    """The mode of ``AsyncLedger``: an operation returns an awaitable."""


Mode = TypeVar("Mode", Sync, Async)
P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Store[Any]")
Item = TypeVar("Item")
Narrow = TypeVar("Narrow", Select[Any], Update, Delete)


class Runner(Protocol):
    """How a face carries out an operation. ``database`` is the ledger's."""

    @property
    def database(self) -> Database: ...

    def call(self, room: str, work: Callable[[Session], Any], *, writes: bool, idempotent: bool) -> Any:
        """Run one operation's work in a transaction."""

    def append(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        """Append one item through the group-commit writer."""

    def enqueue(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        """Put one item into the buffer and return its receipt."""

    def apart(self, work: Callable[[Database], Any]) -> Any:
        """Do what concerns the database as a whole, outside of any transaction."""

    def beside(self, name: str, make: Make) -> "Runner":
        """Return the runner that carries operations out on a place beside the database."""

    def transaction(self, room: str) -> Any:
        """Open a transaction that the caller holds: a context manager of its session."""

    def session(self, room: str) -> AbstractContextManager[Session]:
        """Open a plain session that the caller commits."""

    def async_session(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        """Open an async session that the caller commits."""


class Store(Generic[Mode]):
    """A room's operations on one face. ``room`` names it in the change feed; ``naive`` is what times
    without a zone mean among the arguments, where that is not Invalid.

    Args:
        runner: carries operations out.
        tenant: the only tenant that they know of; None: all.
    """

    room: ClassVar[str]
    naive: ClassVar[Naive | None] = None

    def __init__(self, runner: Runner, tenant: str | None = None) -> None:
        self.runner = runner
        self.tenant = tenant
        self.is_awaited = inspect.iscoroutinefunction(runner.call)

    def whose(self, tenant_id: str | None) -> str | None:
        """Return the tenant that an operation is about; None: all.

        Raises NotFound for one that a scoped store does not know, whether there is one or not.
        """
        if tenant_id is None:
            return self.tenant
        wanted = uuid_text(tenant_id)
        if wanted is None or self.tenant not in {None, wanted}:
            raise NotFound(Text("tenant", "テナント"), tenant_id)
        return wanted

    def narrowed(self, statement: Narrow, column: Any, tenant_id: str | None = None) -> Narrow:
        """Return a statement that is about one tenant's rows only, if the store or the caller names one."""
        whose = self.whose(tenant_id)
        return statement if whose is None else statement.where(column == whose)


class TwoFaced(ABC, Generic[S, P, R]):
    """A store method that is a plain call on one face and an awaitable one on the other."""

    __name__: str

    def __init__(self, body: Callable[..., Any]) -> None:
        functools.update_wrapper(cast("Callable[..., Any]", self), body)

    @overload
    def __get__(self, store: None, owner: type) -> Self: ...
    @overload
    def __get__(self, store: Store[Sync], owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, store: Store[Async], owner: type) -> Callable[P, Awaitable[R]]: ...
    def __get__(self, store: Store[Any] | None, owner: type) -> Any:
        if store is None:
            return self
        call = functools.partial(self._measured, store)
        return call if store.naive is None else with_zones(call, store.naive)

    def _measured(self, store: Store[Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Carry it out and count it, under its name: ``calls.append_log``."""
        timing = store.runner.database.measures.timing(f"{store.room}.{self.__name__}")
        if store.is_awaited:
            return _awaited(timing, self._call(store, *args, **kwargs))
        with timing:
            return self._call(store, *args, **kwargs)

    @abstractmethod
    def _call(self, store: Store[Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Carry it out by the store's runner."""


async def _awaited(timing: Timing, doing: Awaitable[R]) -> R:
    with timing:
        return await doing


class Operation(TwoFaced[S, P, R]):
    """A method that runs in a transaction. ``body`` is the function itself."""

    def __init__(
        self, body: Callable[Concatenate[S, Session, P], R], *, writes: bool, idempotent: bool
    ) -> None:
        super().__init__(body)
        self.body = body
        self._writes = writes
        self._idempotent = idempotent

    def _call(self, store: Store[Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        given = [_once(argument) for argument in args]
        named = {name: _once(argument) for name, argument in kwargs.items()}
        return store.runner.call(
            store.room,
            lambda session: cast("Callable[..., R]", self.body)(store, session, *given, **named),
            writes=self._writes,
            idempotent=self._idempotent,
        )


class Apart(TwoFaced[S, P, R]):
    """A method on the database as a whole, which takes its time. ``body`` is the function itself."""

    def __init__(self, body: Callable[Concatenate[S, Database, P], R]) -> None:
        super().__init__(body)
        self.body = body

    def _call(self, store: Store[Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return store.runner.apart(lambda database: self.body(cast("S", store), database, *args, **kwargs))


class OneTime(Iterator[Any]):
    """What can be read once: a transaction that would have to read it again is not repeated."""

    def __init__(self, source: Iterator[Any]) -> None:
        self._source = source
        self._begun = False

    def __iter__(self) -> Iterator[Any]:
        if self._begun:
            raise Unavailable(
                "the database went away while an iterator was being read, which cannot begin again;"
                " nothing of it was written: send it again",
                "読み取りの途中でデータベースが応答しなくなりました。イテレーターは最初から読み直せないため、"
                "何も書き込まれていません。もう一度送ってください",
            )
        self._begun = True
        return self._source

    def __next__(self) -> Any:
        return next(self._source)


def _once(argument: Any) -> Any:
    return OneTime(argument) if isinstance(argument, Iterator) else argument


class Grouped(TwoFaced[S, P, R]):
    """A method whose calls share commits. ``item`` is the function that checks and gives what to write."""

    def __init__(self, item: Callable[Concatenate[S, P], Any], write: BatchWrite) -> None:
        super().__init__(item)
        self.item = item
        self._write = write

    def _call(self, store: Store[Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return store.runner.append(
            store.room, self._write, lambda: self.item(cast("S", store), *args, **kwargs)
        )


class Buffered(TwoFaced[S, P, R]):
    """A method whose calls are not waited for. As ``Grouped``, but what it gives is a ``Receipt``."""

    def __init__(self, item: Callable[Concatenate[S, P], Any], write: BatchWrite) -> None:
        super().__init__(item)
        self.item = item
        self._write = write

    def _call(self, store: Store[Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        return store.runner.enqueue(
            store.room, self._write, lambda: self.item(cast("S", store), *args, **kwargs)
        )


def operation(body: Callable[Concatenate[S, Session, P], R]) -> Operation[S, P, R]:
    """A method that writes: one transaction, repeated only where its commit surely did not happen."""
    return Operation(body, writes=True, idempotent=False)


def idempotent(body: Callable[Concatenate[S, Session, P], R]) -> Operation[S, P, R]:
    """A method that writes what it may write twice: repeated even when its commit went unanswered."""
    return Operation(body, writes=True, idempotent=True)


def query(body: Callable[Concatenate[S, Session, P], R]) -> Operation[S, P, R]:
    """A method that only reads."""
    return Operation(body, writes=False, idempotent=True)


def apart(body: Callable[Concatenate[S, Database, P], R]) -> Apart[S, P, R]:
    """A method outside of any transaction: in the caller's thread, or in one that a task waits for."""
    return Apart(body)


def grouped(
    write: Callable[[Connection, Sequence[Item]], Sequence[R | DaichoError]],
) -> Callable[[Callable[Concatenate[S, P], Item]], Grouped[S, P, R]]:
    """A method whose single calls share commits with others.

    The method itself runs in the caller: it checks its arguments and returns an item. ``write`` puts
    a batch of items into the database and returns each one's result or error, in their order.
    """
    return lambda item: Grouped(item, write)


def buffered(
    write: Callable[[Connection, Sequence[Item]], Sequence[R | DaichoError]],
) -> Callable[[Callable[Concatenate[S, P], Item]], Buffered[S, P, Receipt[R]]]:
    """A method like a ``grouped`` one that nobody waits for: it gives a ``Receipt`` at once.

    What it writes must be safe to write twice: an item carries its own id.
    """
    return lambda item: Buffered(item, write)
