"""Following a session: its messages as they come.

A message says itself when it was said, and clocks differ: one may come whose time is before another's that
has been told of. So every look goes back a little, and tells what has not been told yet.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import itemgetter

from daicho.chats.models import ChatLog
from daicho.chats.needs import LiveChatLedger
from daicho.chats.store import ChatStore
from daicho.core.changes import until_changed
from daicho.core.errors import Outdated, Unavailable
from daicho.core.operation import Async
from daicho.core.types import now

OVERLAP = timedelta(seconds=10)
"""How far back a look goes: as far as the clocks of those who write may be apart."""
KEPT = 2_000
"""How many messages it goes back at most: so many may have come within these seconds that reading all of
them again, at each look, would take longer than they took to come."""
FIRST = datetime.min.replace(tzinfo=UTC) + OVERLAP
PAGE = 500
"""Messages that are read at once."""
TOLD_SECONDS = 5.0
"""The longest time without a look where everybody's writes are announced."""
UNTOLD_SECONDS = 1.0
"""The same where nobody tells of others' writes."""
Key = tuple[datetime, str]
_AT = itemgetter(0)


def patience(chats: ChatStore[Async]) -> float:
    """Return the seconds after which to look again, whether or not something was announced."""
    return TOLD_SECONDS if chats.tells else UNTOLD_SECONDS


class Told:
    """What a reader has been told of, as far as something may still come between.

    Args:
        after: it wants nothing from up to this instant.
        newest: the latest instant of what it was told before.
        floor: the instant up to which it counts as told, however near it is to the newest.
    """

    def __init__(
        self, after: datetime | None = None, newest: datetime | None = None, floor: datetime | None = None
    ) -> None:
        self.after = after
        self.newest = newest and min(newest, now())
        self._floor = floor
        self._recent: list[Key] = []

    @property
    def horizon(self) -> datetime | None:
        """The instant up to which it is told nothing more."""
        return later(self.newest and before(self.newest), later(self.after, self._floor))

    @property
    def floor(self) -> datetime | None:
        """The horizon, where it is so near because there were so many messages; else None."""
        near = self._floor is not None and self.newest is not None and self._floor > before(self.newest)
        return self._floor if near else None

    @property
    def count(self) -> int:
        """How many messages it has between the horizon and the newest instant."""
        return 0 if self.newest is None else bisect_right(self._recent, self.newest, key=_AT)

    def has(self, message: ChatLog) -> bool:
        """Whether the reader has a message."""
        if self.horizon is not None and message.timestamp <= self.horizon:
            return True
        at = bisect_left(self._recent, key_of(message))
        return self._recent[at : at + 1] == [key_of(message)]

    def note(self, message: ChatLog) -> None:
        """Note that the reader has a message."""
        # One of tomorrow keeps none of today's from being told.
        self.newest = later(self.newest, min(message.timestamp, now()))
        insort(self._recent, key_of(message))
        if (more := self.count - KEPT) > 0:
            self._floor = later(self._floor, self._recent[more - 1][0])
        if (horizon := self.horizon) is not None:
            del self._recent[: bisect_right(self._recent, horizon, key=_AT)]


class Follower:
    """Reads what has come to a session since it was last asked.

    Args:
        chats: where the session is kept.
        session_id: the session; it may not be there yet.
        told: what is not to be told again.
    """

    def __init__(self, chats: ChatStore[Async], session_id: str, told: Told | None = None) -> None:
        self._chats, self._session_id = chats, session_id
        self._told = told or Told()

    async def begin(self, count: int) -> list[ChatLog]:
        """Return the last ``count`` messages that are there, oldest first; ``look`` tells of later ones."""
        found: list[ChatLog] = []
        cursor: str | None = None
        while True:
            page = await self._chats.history(
                self._session_id, after=self._told.after, newest_first=True, limit=PAGE, cursor=cursor
            )
            found += page.items
            cursor = page.next
            if cursor is None or (len(found) >= count and _goes_back(found)):
                break
        for message in reversed(found):
            self._told.note(message)
        if cursor is not None:
            self._told.after = later(self._told.after, found[-1].timestamp - timedelta(microseconds=1))
        return found[:count][::-1]

    async def look(self) -> list[ChatLog]:
        """Return the messages that were not told of before, oldest first."""
        found = [message async for message in self.untold()]
        for message in found:
            self._told.note(message)
        return found

    async def untold(self) -> AsyncIterator[ChatLog]:
        """Give the messages that were not told of before, oldest first, for the caller to note."""
        after = self._told.horizon
        cursor: str | None = None
        while True:
            page = await self._chats.history(self._session_id, after=after, limit=PAGE, cursor=cursor)
            for message in page.items:
                if not self._told.has(message):
                    yield message
            if (cursor := page.next) is None:
                return


async def follow(
    ledger: LiveChatLedger, session_id: str, *, history: int, away: Callable[[Unavailable | None], None]
) -> AsyncIterator[ChatLog]:
    """Give a session's messages as they come, until nobody asks any more.

    Args:
        history: how many of the messages that are there already come first.
        away: told once when the messages cannot be read for now, and with None once they can be again.
    """
    follower = Follower(ledger.chats, session_id)
    changes = ledger.changes()
    look: Callable[[], Awaitable[list[ChatLog]]] = partial(follower.begin, history)
    waiting = False
    while True:
        try:
            messages = await look()
        except Outdated:
            raise  # which does not pass by itself
        except Unavailable as error:
            if not waiting:
                away(error)
            waiting = True
        else:
            if waiting:
                away(None)
            look, waiting = follower.look, False
            for message in messages:
                yield message
        await until_changed(changes, "chats", patience(ledger.chats))


def before(newest: datetime) -> datetime:
    """Return the instant from which on there may still come messages, if the newest one is of another."""
    return max(newest, FIRST) - OVERLAP


def key_of(message: ChatLog) -> Key:
    """Return what tells a message of a session from its others, and sorts them."""
    return message.timestamp, message.message_id


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later one of two instants, of which there may be one or none."""
    return max(one, other) if one is not None and other is not None else one or other


def _goes_back(found: list[ChatLog]) -> bool:
    """Whether messages, newest first, go back as far as a look does."""
    present = now()
    if sum(message.timestamp <= present for message in found) >= KEPT:
        return True
    return found[-1].timestamp < before(min(found[0].timestamp, present))
