"""A client: it writes by names of its own, says what it has sent and what was acknowledged, and never gives up.

``python -m tests.survival.client URL FOLDER PROCESSES KIND …`` writes until its standard input ends. Of its processes,
forked once everything is imported, every other one writes from threads (``Ledger``), the rest from tasks
(``AsyncLedger``); each takes the kinds in turn. ``Unavailable`` is answered by
the same write under the same name; any other error is put down, and fails the test.
"""

import asyncio
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from daicho import AsyncLedger, Ledger, Unavailable
from tests.survival.writes import PAIR, WRITES, pair_line, pair_record

PAUSE = 0.05
AT_ONCE = 4
"""Threads or tasks of a process."""
PATIENCE = 60.0
"""How long one write is repeated; longer counts as never."""


class Diary:
    """What is put down: one line at a time, each by a single write to the file's end."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def put(self, sign: str, name: str, more: str = "") -> None:
        os.write(self._file, f"{sign}\t{name}\t{' '.join(more.split())}\n".encode())


class Client:
    """Writers in turn, over all kinds, until told to stop."""

    def __init__(self, diary: Diary, name: str, kinds: list[str]) -> None:
        self._diary, self._name, self._kinds = diary, name, kinds
        self.stopping = threading.Event()

    def thread(self, ledger: Ledger, number: int) -> None:
        for kind, name in self._names(f"{self._name}-t{number}"):
            if self._steps(kind, name, lambda: _write(ledger, kind, name)):  # noqa: B023
                continue
            time.sleep(PAUSE)

    async def task(self, ledger: AsyncLedger, number: int) -> None:
        for kind, name in self._names(f"{self._name}-a{number}"):
            self._diary.put("sent", name)
            began = time.monotonic()
            while True:
                try:
                    await _write_async(ledger, kind, name)
                except Unavailable as error:
                    if not self._goes_on(kind, name, began, error):
                        break
                    await asyncio.sleep(PAUSE)
                except BaseException as error:
                    self._failed(name, error)
                else:
                    self._diary.put("done", name)
                    break

    def _names(self, client: str) -> Any:
        for number, kind in zip(itertools.count(), itertools.cycle(self._kinds), strict=False):
            if self.stopping.is_set():
                return
            yield kind, f"{client}/{kind}/{number}"

    def _steps(self, kind: str, name: str, write: Callable[[], object]) -> bool:
        self._diary.put("sent", name)
        began = time.monotonic()
        while True:
            try:
                write()
            except Unavailable as error:
                if not self._goes_on(kind, name, began, error):
                    return False
                time.sleep(PAUSE)
            except BaseException as error:
                self._failed(name, error)
            else:
                self._diary.put("done", name)
                return True

    def _goes_on(self, kind: str, name: str, began: float, error: Unavailable) -> bool:
        self._diary.put("away", name, str(error))
        if kind == "count":  # it has no name: it may have happened, and must not be repeated
            return False
        if time.monotonic() - began > PATIENCE:
            self._failed(name, error)
        return True

    def _failed(self, name: str, error: BaseException) -> None:
        self._diary.put("FAIL", name, f"{type(error).__name__}: {error}")
        os._exit(3)


def _write(ledger: Ledger, kind: str, name: str) -> None:
    if kind == PAIR:
        with ledger.begin() as tx:
            pair_line(tx, name)
            pair_record(tx, name)
        return
    answer = WRITES[kind](ledger, name)
    if kind == "enqueue":
        answer.result(PATIENCE)


async def _write_async(ledger: AsyncLedger, kind: str, name: str) -> None:
    if kind == PAIR:
        async with ledger.begin() as tx:
            await pair_line(tx, name)
            await pair_record(tx, name)
        return
    answer = await WRITES[kind](ledger, name)
    if kind == "enqueue":
        await answer


def in_threads(client: Client, url: str) -> None:
    with Ledger(url) as ledger:
        workers = [threading.Thread(target=client.thread, args=(ledger, n)) for n in range(AT_ONCE)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def in_tasks(client: Client, url: str) -> None:
    async def run() -> None:
        async with AsyncLedger(url) as ledger:
            await asyncio.gather(*[client.task(ledger, n) for n in range(AT_ONCE)])

    asyncio.run(run())


def main() -> None:
    url, folder, processes, *kinds = sys.argv[1:]
    children = []
    for number in range(int(processes)):
        if child := os.fork():
            children.append(child)
            continue
        client = Client(Diary(f"{folder}/c{number}.diary"), f"c{number}", kinds)

        def until_told(stopping: threading.Event = client.stopping) -> None:
            sys.stdin.read()
            stopping.set()

        threading.Thread(target=until_told, daemon=True).start()
        (in_tasks if number % 2 else in_threads)(client, url)
        return
    ends = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(ends))


if __name__ == "__main__":
    main()
