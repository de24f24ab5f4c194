"""PostgreSQL connections that notice when nobody answers any more.

A server that dies closes its connections, and a network that is cut lets TCP give up. But a host that hangs,
or a proxy that swallows what it is sent, acknowledges everything and answers nothing: libpq would wait for
ever. A bound on the answer itself would end what rightly takes long: an index that is built, a large report.
So whoever has waited for some seconds knocks: it opens a second connection. As long as the server answers
there, it is waited for; if it does not, the first one counts as lost.
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


class _Silence(Exception):
    """Nothing has come for a while. ``state`` is what is waited for."""

    def __init__(self, state: Wait) -> None:
        super().__init__()
        self.state = state


class _Knocking:
    """What the two kinds of connection have in common.

    Attributes:
        seconds: how long it waits for a sign of life before it knocks.
        place: how to connect, for the second connection.
    """

    seconds = 15.0
    place: tuple[str, dict[str, Any]] = ("", {})

    def lost(self, error: psycopg.Error | None) -> psycopg.OperationalError:
        """The error that says so."""
        reason = (str(error).strip().splitlines() or ["?"])[0] if error else "?"
        return psycopg.OperationalError(
            f"the server has said nothing for {self.seconds:.0f} s, and answers nobody else either ({reason})"
        )


class Answered(_Knocking, psycopg.Connection[Any]):
    """A plain connection."""

    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Self:
        """Connect, as psycopg does."""
        connection = super().connect(conninfo, **given)
        connection.place = (conninfo, _plain(given))
        return connection

    def wait(self, gen: PQGen[R], *args: Any, **options: Any) -> R:
        """As psycopg's: consume what operates on the connection."""
        turn = _until_silent(gen, self.seconds)
        while True:
            try:
                return super().wait(turn, *args, **options)
            except _Silence as silence:
                turn = _until_silent(gen, self.seconds, silence.state)
            try:
                conninfo, given = self.place
                psycopg.connect(conninfo, **given).close()
            except psycopg.OperationalError as error:
                if not _has_answered(error):
                    self.close()
                    raise self.lost(error) from None


class AsyncAnswered(_Knocking, psycopg.AsyncConnection[Any]):
    """A connection for tasks."""

    @classmethod
    async def connect(cls, conninfo: str = "", **given: Any) -> Self:
        """Connect, as psycopg does."""
        connection = await super().connect(conninfo, **given)
        connection.place = (conninfo, _plain(given))
        return connection

    async def wait(self, gen: PQGen[R], *args: Any, **options: Any) -> R:
        """As psycopg's: consume what operates on the connection."""
        turn = _until_silent(gen, self.seconds)
        while True:
            try:
                return await super().wait(turn, *args, **options)
            except _Silence as silence:
                turn = _until_silent(gen, self.seconds, silence.state)
            try:
                conninfo, given = self.place
                await (await psycopg.AsyncConnection.connect(conninfo, **given)).close()
            except psycopg.OperationalError as error:
                if not _has_answered(error):
                    await self.close()
                    raise self.lost(error) from None


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


def _has_answered(error: psycopg.OperationalError) -> bool:
    """Whether a server has refused a connection, rather than not been heard at all."""
    return "FATAL" in str(error) or error.sqlstate is not None


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "context"}
