"""Chat logs from one place to another, and the proof that they are there as they were.

Session by session: what the target has not got is put there, then the session is read back from the target
and compared, by count and checksum, with what was read from the source. The source is only read. All of it
may be stopped at any instant and run again: what is there and equal stays as it is.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from daicho.chats.copying_session import Outcome, SessionCopy
from daicho.chats.exchange import new_sessions
from daicho.chats.models import ChatSession
from daicho.chats.store import ChatStore
from daicho.core.operation import Sync
from daicho.core.types import now

AT_ONCE = 6
"""Sessions that are dealt with side by side: a request to DynamoDB takes its time, however little it does."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how it goes.

    Attributes:
        found: these sessions are to be dealt with.
        read: so many messages more of the source were read; called from any thread.
        done: a session was dealt with.
    """

    found: Callable[[Sequence[ChatSession]], None]
    read: Callable[[int], None]
    done: Callable[[Outcome], None]


class Copier:
    """Copies sessions from one place into another.

    Args:
        source, target: the same ledger's chat logs in two places.
        watch: is told how it goes.
        days: how long messages are kept: older ones stay where they are, they would be gone at once.
        copies: False only compares.
    """

    def __init__(
        self,
        source: ChatStore[Sync],
        target: ChatStore[Sync],
        watch: Watch,
        *,
        days: int | None = None,
        copies: bool = True,
    ) -> None:
        self._source, self._target = source, target
        self._watch = watch
        self._kept = None if days is None else timedelta(days=days)
        self._after = None if self._kept is None else now() - self._kept
        self._copies = copies
        self._stop = threading.Event()

    def run(self, sessions: Sequence[str] = (), prefix: str | None = None) -> set[str]:
        """Deal with the named sessions, else with all whose name begins so; return their names.

        Raises NotFound for a named session that the source has not got, Unavailable when a place is away.
        """
        lots: Iterable[Sequence[ChatSession]]
        if sessions:
            lots = [[self._source.session(name) for name in sessions]]
        else:
            lots = new_sessions(self._source, prefix, self._after)
        names: set[str] = set()
        for lot in lots:
            self._watch.found(lot)
            self._each([session.session_id for session in lot])
            names.update(session.session_id for session in lot)
        return names

    def only_in_target(self, names: set[str], prefix: str | None = None) -> list[str]:
        """Return the names of the target's sessions that are not among these."""
        lots = new_sessions(self._target, prefix, self._after)
        return [one.session_id for lot in lots for one in lot if one.session_id not in names]

    def _each(self, names: Sequence[str]) -> None:
        left = iter(names)
        running: set[Future[Outcome]] = set()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            try:
                while True:
                    running |= {
                        threads.submit(self._session, name) for name in islice(left, AT_ONCE - len(running))
                    }
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        self._watch.done(one.result())
            except BaseException:
                self._stop.set()
                raise

    def _session(self, session_id: str) -> Outcome:
        one = SessionCopy(
            self._source,
            self._target,
            session_id,
            kept=self._kept,
            after=self._after,
            read=self._watch.read,
            stopped=self._stop.is_set,
        )
        return one.copy() if self._copies else one.verify()
