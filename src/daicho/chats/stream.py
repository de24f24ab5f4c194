"""A session as a stream of events that breaks off and goes on, without a message missing.

A message may come late: with a time before that of one which a reader has already been told of. So the
instant of the newest one does not say what a reader has; how many it has of the last seconds does, too.
"""

import logging
import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Self

from daicho.chats.following import OVERLAP, Follower, Key, before, key_of
from daicho.chats.models import ChatLog
from daicho.chats.schemas import MessageOut
from daicho.chats.store import ChatStore
from daicho.core.errors import DaichoError, Invalid
from daicho.core.operation import Async
from daicho.core.types import now
from daicho.core.web import Event

log = logging.getLogger("daicho")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PAGE = 500
"""Messages that are read at once."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has come: the id of the last event that reached it.

    Attributes:
        newest: the latest instant of all the messages that it has.
        count: how many it has of the seconds up to then (``OVERLAP``); None, if it does not say.
    """

    newest: datetime
    count: int | None

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an event's id: ``<microseconds since 1970>.<count>``, or only the first. Raises Invalid."""
        match = re.fullmatch(r"(-?[0-9]{1,18})(?:\.([0-9]{1,9}))?", text, re.ASCII)
        try:
            if match is None:
                raise ValueError
            newest = EPOCH + int(match[1]) * MICROSECOND
            _ = newest - OVERLAP  # what comes out of this calendar is no event's
            return cls(newest, int(match[2]) if match[2] else None)
        except (ValueError, OverflowError):
            raise Invalid(
                f"Last-Event-ID is no event's id: {text[:40]!r}; leave it out to begin anew",
                f"Last-Event-ID がイベントの id ではありません: {text[:40]!r}。"
                "最初から読むには省いてください",
            ) from None

    def __str__(self) -> str:
        number = (self.newest - EPOCH) // MICROSECOND
        return str(number) if self.count is None else f"{number}.{self.count}"


class Told:
    """What a reader has been told of, as far as something may still come between.

    Args:
        after: it wants nothing from up to this instant.
        place: how far it had come before.
    """

    def __init__(self, after: datetime | None, place: Place | None) -> None:
        self._after = after
        self._newest = place.newest if place else None
        self._recent: list[Key] = []

    @property
    def newest(self) -> datetime | None:
        """The instant up to which it has all that has not come late."""
        return _later(self._newest, self._after)

    @property
    def horizon(self) -> datetime | None:
        """The instant up to which it is told nothing more."""
        return _later(self._newest and before(self._newest), self._after)

    def has(self, message: ChatLog) -> bool:
        """Whether the reader has a message."""
        at = bisect_left(self._recent, key_of(message))
        return self._recent[at : at + 1] == [key_of(message)]

    def note(self, message: ChatLog) -> None:
        """Note that the reader has a message."""
        # One of tomorrow is told again to who comes back: better than that today's would be missed.
        self._newest = _later(self._newest, min(message.timestamp, now()))
        insort(self._recent, key_of(message))
        if (horizon := self.horizon) is not None:
            del self._recent[: bisect_right(self._recent, horizon, key=itemgetter(0))]

    def event(self, message: ChatLog) -> Event:
        """Tell the reader a message."""
        self.note(message)
        place = Place(self._newest or message.timestamp, len(self._recent))
        return Event("message", MessageOut.model_validate(message), str(place))


async def happenings(
    chats: ChatStore[Async],
    session_id: str,
    after: datetime | None,
    place: Place | None,
    changed: AsyncIterator[None],
) -> AsyncIterator[Event | None]:
    """Give a session's messages as events: those that are there, in pages, then those that come.

    Args:
        after: give nothing that was said up to this instant.
        place: how far the reader had come before.
        changed: wakes when there may be more, and now and then.
    """
    told = Told(after, place)
    back = place
    follower: Follower | None = None
    while True:
        try:
            if back is not None:
                for message in await _doubtful(chats, session_id, told, back):
                    yield told.event(message)
                back = None
            if follower is None:
                async for message in _messages(chats, session_id, told.newest):
                    yield told.event(message)
                follower = Follower(chats, session_id, told.horizon)
            for message in await follower.look():
                if not told.has(message):
                    yield told.event(message)
        except DaichoError as error:
            log.info("events of chat session %s: %s", session_id, error)  # the next look goes on from here
        yield None
        if await anext(changed, False) is False:
            return


async def _doubtful(chats: ChatStore[Async], session_id: str, told: Told, place: Place) -> list[ChatLog]:
    """Return the messages that a reader who comes back may not have; most often there are none.

    If more of them are there than it has, one came late meanwhile. Which one, nothing says: so it is told
    of all of these seconds again.
    """
    within: list[ChatLog] = []
    async for message in _messages(chats, session_id, told.horizon):
        if message.timestamp > place.newest:
            break
        within.append(message)
    if place.count is not None and len(within) > place.count:
        return within
    for message in within:
        told.note(message)
    return []


async def _messages(
    chats: ChatStore[Async], session_id: str, after: datetime | None
) -> AsyncIterator[ChatLog]:
    """Give the messages that are there, a page at a time."""
    cursor: str | None = None
    while True:
        page = await chats.history(session_id, after=after, limit=PAGE, cursor=cursor)
        for message in page.items:
            yield message
        if (cursor := page.next) is None:
            return


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one or other
