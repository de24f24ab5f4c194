"""Places beside the database: the same operations on both faces, and what there cannot be of them."""

import asyncio
import threading
from pathlib import Path

import pytest

from daicho import AsyncLedger, Invalid, Ledger, Unavailable
from daicho.core.beside import Beside
from daicho.core.errors import NotFound
from daicho.core.language import Text
from daicho.core.operation import Mode, Runner, Store, apart, grouped, operation, query
from daicho.core.settings import Settings


class Shelf(Beside):
    """A place that keeps texts, and notes who came."""

    def __init__(self, settings: Settings) -> None:
        self.texts: list[str] = []
        self.threads: set[str] = set()
        self.closed = False

    def translated(self, error: Exception) -> Exception:
        return Unavailable(f"the shelf: {error}") if isinstance(error, OSError) else error

    def close(self) -> None:
        self.closed = True


def put(shelf: Shelf, texts: list[str]) -> list[str | NotFound]:
    shelf.threads.add(threading.current_thread().name)
    if texts == ["lost"]:
        return [NotFound(Text("text", "文"), "lost")]
    shelf.texts += texts
    return list(texts)


class Shelves(Store[Mode]):
    """A room beside the database."""

    room = "shelves"

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner.beside("shelf", Shelf))

    @grouped(put)
    def add(self, text: str) -> str:
        if not text:
            raise Invalid("nothing to add")
        return text

    @operation
    def clear(self, shelf: Shelf) -> int:
        gone = len(shelf.texts)
        shelf.texts.clear()
        return gone

    @query
    def all(self, shelf: Shelf) -> list[str]:
        return list(shelf.texts)

    @query
    def broken(self, shelf: Shelf) -> None:
        raise ConnectionError("fell down")

    @apart
    def place(self, shelf: Shelf) -> Shelf:
        return shelf


def test_threads_use_a_place_directly_and_the_database_is_not_touched(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        shelves: Shelves = Shelves(ledger.calls.runner)
        assert shelves.add("one") == "one"
        assert shelves.all() == ["one"]
        assert shelves.place().threads == {threading.current_thread().name}
        assert shelves.clear() == 1
    assert not (tmp_path / "ledger.db").exists()


def test_tasks_use_a_place_in_threads_side_by_side() -> None:
    async def run() -> Shelf:
        async with AsyncLedger("sqlite://") as ledger:
            shelves: Shelves = Shelves(ledger.calls.runner)
            await asyncio.gather(*[shelves.add(str(number)) for number in range(50)])
            assert sorted(await shelves.all(), key=int) == [str(number) for number in range(50)]
            return await shelves.place()

    shelf = asyncio.run(run())
    assert shelf.closed
    assert all(name.startswith("daicho-beside") for name in shelf.threads)


def test_errors_say_what_happened_to_the_place() -> None:
    with Ledger("sqlite://") as ledger:
        shelves: Shelves = Shelves(ledger.calls.runner)
        with pytest.raises(Unavailable, match="the shelf: fell down"):
            shelves.broken()
        with pytest.raises(NotFound, match="no such text: lost"):
            shelves.add("lost")
        with pytest.raises(Invalid, match="nothing to add"):
            shelves.add("")


def test_a_place_ends_with_its_ledger_and_is_not_made_again() -> None:
    ledger = Ledger("sqlite://")
    shelves: Shelves = Shelves(ledger.calls.runner)
    shelf = shelves.place()
    ledger.close()
    assert shelf.closed
    with pytest.raises(Unavailable, match="closed"):
        shelves.all()


def test_two_stores_of_a_ledger_share_a_place() -> None:
    with Ledger("sqlite://") as ledger:
        Shelves(ledger.calls.runner).add("one")
        assert Shelves(ledger.calls.runner).all() == ["one"]


def test_no_transaction_of_the_database_holds_a_place() -> None:
    with Ledger("sqlite://") as ledger, ledger.begin() as tx:
        held: Shelves = Shelves(tx.calls.runner)
        for attempt in (lambda: held.add("one"), held.all, held.place):
            with pytest.raises(Invalid, match="not within begin"):
                attempt()


def test_nor_does_one_of_an_async_ledger() -> None:
    async def run() -> None:
        async with AsyncLedger("sqlite://") as ledger, ledger.begin() as tx:
            held: Shelves = Shelves(tx.calls.runner)
            with pytest.raises(Invalid, match="not within begin"):
                await held.add("one")

    asyncio.run(run())


def test_there_are_no_sessions_of_what_is_not_in_the_database() -> None:
    with Ledger("sqlite://") as ledger:
        shelves: Shelves = Shelves(ledger.calls.runner)
        for open_session in (
            shelves.runner.transaction,
            shelves.runner.session,
            shelves.runner.async_session,
        ):
            with pytest.raises(Invalid, match="shelves are not kept in the database"):
                open_session("shelves")


def test_writes_to_a_place_wake_those_who_watch() -> None:
    async def run() -> frozenset[str]:
        async with AsyncLedger("sqlite://") as ledger:
            changes = ledger.changes()
            await Shelves(ledger.calls.runner).add("one")
            async with asyncio.timeout(10):
                return await anext(changes)

    assert asyncio.run(run()) == {"shelves"}
