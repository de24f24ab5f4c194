"""PostgreSQL connections that notice when nobody answers any more.

A server that dies closes its connections, and a network that is cut lets TCP give up. But a host that hangs,
or a proxy that swallows what it is sent, acknowledges everything and answers nothing: libpq would wait for
ever. A bound on the answer itself would end what rightly takes long: an index that is built, a large report.
So whoever has waited for some seconds knocks: it opens a second connection and asks there. If nobody answers
at all, the first one is lost; so it is if the server, asked twice, does not work on what it was sent.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

R = TypeVar("R")

KEEPALIVES: dict[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""libpq's, in seconds, the last one in milliseconds: a network that is cut is noticed within 25 seconds."""
ASK = "SELECT pg_backend_pid(), (SELECT coalesce(state, 'active') FROM pg_stat_activity WHERE pid = %s)"
WORKING = frozenset({"active", "fastpath function call", "disabled"})
DOUBTS = 2
"""How often the server must say that it does not work on it: once, its answer may be on the way."""


class _Silence(Exception):
    """Nothing has come for a while. ``state`` is what is waited for."""

    def __init__(self, state: Wait) -> None:
        super().__init__()
        self.state = state


class _Knock(psycopg.Connection[Any]):
    """A second connection, which does not wait for ever either."""

    seconds = 5.0

    def wait(self, gen: PQGen[R], *args: Any, **options: Any) -> R:
        try:
            return super().wait(_until_silent(gen, self.seconds), *args, **options)
        except _Silence:
            self.close()
            raise psycopg.OperationalError(f"no answer within {self.seconds:.0f} s") from None


class _AsyncKnock(psycopg.AsyncConnection[Any]):
    """As ``_Knock``, for tasks."""

    async def wait(self, gen: PQGen[R], *args: Any, **options: Any) -> R:
        try:
            return await super().wait(_until_silent(gen, _Knock.seconds), *args, **options)
        except _Silence:
            await self.close()
            raise psycopg.OperationalError(f"no answer within {_Knock.seconds:.0f} s") from None


class Answered(psycopg.Connection[Any]):
    """A plain connection.

    Attributes:
        seconds: how long it waits for a sign of life before it knocks.
        place: how to connect a second time.
    """

    seconds = 15.0
    place: tuple[str, dict[str, Any]] = ("", {})

    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Self:
        """Connect, as psycopg does."""
        connection = super().connect(conninfo, **given)
        connection.place = _place(conninfo, given)
        return connection

    def wait(self, gen: PQGen[R], *args: Any, **options: Any) -> R:
        """As psycopg's: consume what operates on the connection."""
        doubts, turn = 0, _until_silent(gen, self.seconds)
        while True:
            try:
                return super().wait(turn, *args, **options)
            except _Silence as silence:
                turn = _until_silent(gen, self.seconds, silence.state)
            try:
                conninfo, given = self.place
                with _Knock.connect(conninfo, **given) as second:
                    said = second.execute(ASK, [self.pgconn.backend_pid]).fetchone()
                    doubts = doubts + 1 if _is_idle(said, second.pgconn.backend_pid) else 0
            except psycopg.OperationalError as error:
                if not _has_refused(error):
                    self.close()
                    raise _nobody_there(self.seconds, error) from None
            if doubts >= DOUBTS:
                self.close()
                raise _not_heard(self.seconds)


class AsyncAnswered(psycopg.AsyncConnection[Any]):
    """As ``Answered``, for tasks."""

    seconds = 15.0
    place: tuple[str, dict[str, Any]] = ("", {})

    @classmethod
    async def connect(cls, conninfo: str = "", **given: Any) -> Self:
        """Connect, as psycopg does."""
        connection = await super().connect(conninfo, **given)
        connection.place = _place(conninfo, given)
        return connection

    async def wait(self, gen: PQGen[R], *args: Any, **options: Any) -> R:
        """As psycopg's: consume what operates on the connection."""
        doubts, turn = 0, _until_silent(gen, self.seconds)
        while True:
            try:
                return await super().wait(turn, *args, **options)
            except _Silence as silence:
                turn = _until_silent(gen, self.seconds, silence.state)
            try:
                conninfo, given = self.place
                async with await _AsyncKnock.connect(conninfo, **given) as second:
                    said = await (await second.execute(ASK, [self.pgconn.backend_pid])).fetchone()
                    doubts = doubts + 1 if _is_idle(said, second.pgconn.backend_pid) else 0
            except psycopg.OperationalError as error:
                if not _has_refused(error):
                    await self.close()
                    raise _nobody_there(self.seconds, error) from None
            if doubts >= DOUBTS:
                await self.close()
                raise _not_heard(self.seconds)


def _until_silent(
    gen: PQGen[R], seconds: float, state: Wait | None = None
) -> Generator[Wait, Ready | int, R]:
    """Hand what a connection waits for on, and raise ``_Silence`` once nothing has come for so long.

    Args:
        gen: what operates on the connection; it can be gone on with afterwards.
        seconds: how long.
        state: what it waits for already, where it is gone on with.
    """
    try:
        if state is None:
            state = next(gen)
        since = monotonic()
        while True:
            ready = yield state
            if ready:
                since = monotonic()
            elif monotonic() - since >= seconds:
                raise _Silence(state)
            state = gen.send(ready)
    except StopIteration as done:
        result: R = done.value
        return result


def _place(conninfo: str, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """How to connect once more: the same way, without what belongs to the one connection's statements."""
    return conninfo, {**given, "context": None, "autocommit": True}


def _is_idle(said: tuple[Any, ...] | None, own: int) -> bool:
    """Whether a server that was asked works on nothing for the first connection.

    Behind a pooler nobody knows which backend that is: even the second connection's number is another's.
    """
    backend, state = said or (0, None)
    return backend == own and state not in WORKING


def _has_refused(error: psycopg.OperationalError) -> bool:
    """Whether a server has answered, though not as it was asked to."""
    return error.sqlstate is not None or "FATAL" in str(error)


def _nobody_there(seconds: float, error: psycopg.Error) -> psycopg.OperationalError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return psycopg.OperationalError(
        f"the server has said nothing for {seconds:.0f} s, and answers nobody else either ({reason})"
    )


def _not_heard(seconds: float) -> psycopg.OperationalError:
    return psycopg.OperationalError(
        f"the server has said nothing for {seconds:.0f} s and works on nothing: the connection is dead"
    )
