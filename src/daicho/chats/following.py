"""Following a session: its messages as they come.

A message says itself when it was said, and clocks differ: one may come whose time is before another's that
has been told of. So every look goes back a little, and tells what it has not told yet.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from daicho.chats.models import ChatLog
from daicho.chats.needs import LiveChatLedger
from daicho.chats.store import ChatStore
from daicho.core.changes import until_changed
from daicho.core.operation import Async
from daicho.core.page import LIMIT_MAX
from daicho.core.types import now

OVERLAP = timedelta(seconds=10)
"""How far back a look goes: as far as the clocks of those who write may be apart."""
FIRST = datetime.min.replace(tzinfo=UTC) + OVERLAP
TOLD_SECONDS = 5.0
"""The longest time without a look where everybody's writes are announced."""
UNTOLD_SECONDS = 1.0
"""The same where nobody tells of others' writes."""
Key = tuple[datetime, str]


def patience(chats: ChatStore[Async]) -> float:
    """Return the seconds after which to look again, whether or not something was announced."""
    return TOLD_SECONDS if chats.tells else UNTOLD_SECONDS


class Follower:
    """Reads what has come to a session since it was last asked.

    Args:
        chats: where the session is kept.
        session_id: the session; it may not be there yet.
        after: tell of nothing that was said up to this instant.
    """

    def __init__(self, chats: ChatStore[Async], session_id: str, after: datetime | None = None) -> None:
        self._chats, self._session_id = chats, session_id
        self._start = after
        self._newest: datetime | None = None
        self._told: set[Key] = set()

    async def begin(self, count: int) -> list[ChatLog]:
        """Return the last ``count`` messages that are there, oldest first; ``look`` tells of later ones."""
        found: list[ChatLog] = []
        cursor: str | None = None
        while True:
            page = await self._chats.history(
                self._session_id, after=self._start, newest_first=True, limit=LIMIT_MAX, cursor=cursor
            )
            found += page.items
            cursor = page.next
            enough = len(found) >= max(count, 1)
            if cursor is None or (enough and found[-1].timestamp < before(found[0].timestamp)):
                break
        self._note(found)
        if self._start is None:
            self._start = found[-1].timestamp - timedelta(microseconds=1) if cursor else None
        return found[:count][::-1]

    async def look(self) -> list[ChatLog]:
        """Return the messages that were not told of before, oldest first."""
        found: list[ChatLog] = []
        cursor: str | None = None
        while True:
            page = await self._chats.history(
                self._session_id, after=self._after(), limit=LIMIT_MAX, cursor=cursor
            )
            found += [message for message in page.items if key_of(message) not in self._told]
            if (cursor := page.next) is None:
                break
        self._note(found)
        return found

    def _after(self) -> datetime | None:
        back = None if self._newest is None else before(self._newest)
        if back is None or self._start is None:
            return back or self._start
        return max(back, self._start)

    def _note(self, messages: list[ChatLog]) -> None:
        if not messages:
            return
        newest = max(message.timestamp for message in messages)
        self._newest = newest if self._newest is None else max(self._newest, newest)
        self._told |= {key_of(message) for message in messages}
        oldest = before(self._newest)
        self._told = {key for key in self._told if key[0] >= oldest}


async def follow(ledger: LiveChatLedger, session_id: str, *, history: int) -> AsyncIterator[ChatLog]:
    """Give a session's messages as they come, until nobody asks any more.

    Args:
        history: how many of the messages that are there already come first.
    """
    follower = Follower(ledger.chats, session_id)
    changes = ledger.changes()
    messages = await follower.begin(history)
    while True:
        for message in messages:
            yield message
        await until_changed(changes, "chats", patience(ledger.chats))
        messages = await follower.look()


def before(newest: datetime) -> datetime:
    """Return the instant from which on there may still come messages, if the newest one is of another.

    One that is said to be of tomorrow keeps none of today's from being told.
    """
    return max(min(newest, now()), FIRST) - OVERLAP


def key_of(message: ChatLog) -> Key:
    """Return what tells a message of a session from its others, and sorts them."""
    return message.timestamp, message.message_id
