"""Clients in processes of their own, and what they say."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from daicho import Ledger
from tests.survival.counting import Said, discrepancies, read
from tests.survival.small import environment
from tests.survival.writes import KINDS, prepare

END_SECONDS = 90


class Load:
    """Clients that write until they are told to stop.

    Args:
        folder: where they put down what they do.
        kinds: what they write; everything, if none.
    """

    def __init__(self, folder: Path, kinds: Sequence[str] = KINDS) -> None:
        self._folder, self._kinds = folder, kinds
        self._clients: subprocess.Popen[bytes] | None = None
        self._errors = folder / "clients.err"

    def start(self, url: str, processes: int = 2) -> None:
        """Start clients in so many processes. They read ``config.yaml`` of the folder, if there is one."""
        command = [sys.executable, "-m", "tests.survival.client", url, str(self._folder), str(processes)]
        with self._errors.open("wb") as errors:
            self._clients = subprocess.Popen(
                [*command, *self._kinds],
                stdin=subprocess.PIPE,
                stderr=errors,
                cwd=self._folder,
                env=environment(),
                start_new_session=True,
            )

    def said(self) -> Said:
        """What they have put down so far."""
        return read(self._folder.glob("*.diary"))

    def wait_for(self, more: int, *, seconds: float = 60) -> Said:
        """Wait until so many further writes are acknowledged; raise if that takes too long."""
        wanted = len(self.said().done) + more
        return self._wait(lambda said: len(said.done) >= wanted, seconds)

    def wait_for_away(self, more: int = 1, *, seconds: float = 60) -> Said:
        """Wait until so many further tries were told that the database is away."""
        wanted = len(self.said().away) + more
        return self._wait(lambda said: len(said.away) >= wanted, seconds)

    def _wait(self, enough: Callable[[Said], bool], seconds: float) -> Said:
        end = time.monotonic() + seconds
        while True:
            said = self.said()
            assert not said.failed, said.failed
            if enough(said):
                return said
            assert time.monotonic() < end, f"{len(said.done)} acknowledged; last: {said.away[-3:]}"
            time.sleep(0.02)

    def stop(self) -> Said:
        """Let every client finish what it is at, and end; return what they have put down."""
        assert self._clients is not None
        self._clients.communicate(timeout=END_SECONDS)
        assert "Traceback" not in (complaints := self._errors.read_text()), complaints[-2_000:]
        return self.said()

    def kill(self) -> None:
        """End those that still run, at once."""
        if self._clients is not None and self._clients.poll() is None:
            os.killpg(self._clients.pid, signal.SIGKILL)
            self._clients.wait()


@contextmanager
def load(url: str, folder: Path, kinds: Sequence[str] = KINDS) -> Iterator[Load]:
    """Prepare a database for clients, and see to it that all of them end."""
    with Ledger(url) as ledger:
        prepare(ledger)
    running = Load(folder, kinds)
    try:
        yield running
    finally:
        running.kill()


def finished(running: Load, url: str) -> Said:
    """Stop the clients and count: whatever they sent is there, once, and nothing else."""
    said = running.stop()
    assert discrepancies(url, said) == []
    for kind in KINDS:
        sent, done = said.of(kind)
        assert kind == "count" or sent == done, sorted(sent - done)
    return said
