"""A session as a stream of events that breaks off and goes on, without a message missing.

A message may come late: with a time before that of one which a reader has already been told of. So the
instant of the newest one does not say what a reader has; how many it has of the last seconds does, too.
"""

import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from daicho.chats.following import PAGE, Follower, Told
from daicho.chats.models import ChatLog
from daicho.chats.schemas import MessageOut
from daicho.chats.store import ChatStore
from daicho.core.errors import DaichoError, Invalid
from daicho.core.operation import Async
from daicho.core.web import Event

log = logging.getLogger("daicho")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ID = re.compile(r"(-?[0-9]{1,18})(?:\.([0-9]{1,9})(?:\.([0-9]{1,9}))?)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has come: the id of the last event that reached it.

    Attributes:
        newest: the latest instant of all the messages that it has.
        count: how many it has of the time up to then that is looked at again; None, if it does not say.
        since: when this time begins; None for ``OVERLAP`` before ``newest``, as where few messages come.
    """

    newest: datetime
    count: int | None
    since: datetime | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an event's id: ``<microseconds since 1970>[.<count>[.<microseconds from since>]]``.

        Raises Invalid.
        """
        match = ID.fullmatch(text)
        try:
            if match is None:
                raise ValueError
            newest = EPOCH + int(match[1]) * MICROSECOND
            _ = newest - timedelta(days=1)  # what comes out of this calendar is no event's
            since = newest - int(match[3]) * MICROSECOND if match[3] else None
            return cls(newest, int(match[2]) if match[2] else None, since)
        except (ValueError, OverflowError):
            raise Invalid(
                f"Last-Event-ID is no event's id: {text[:40]!r}; leave it out to begin anew",
                f"Last-Event-ID がイベントの id ではありません: {text[:40]!r}。"
                "最初から読むには省いてください",
            ) from None

    def __str__(self) -> str:
        number = (self.newest - EPOCH) // MICROSECOND
        if self.count is None:
            return str(number)
        span = "" if self.since is None else f".{(self.newest - self.since) // MICROSECOND}"
        return f"{number}.{self.count}{span}"


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
    told = Told(after, place.newest, place.since) if place else Told(after)
    follower = Follower(chats, session_id, told)
    back = place
    while True:
        try:
            if back is not None:
                for message in await _doubtful(chats, session_id, told, back):
                    yield _event(told, message)
                back = None
            async for message in follower.untold():
                yield _event(told, message)
        except DaichoError as error:
            log.info("events of chat session %s: %s", session_id, error)  # the next look goes on from here
        yield None
        if await anext(changed, False) is False:
            return


def _event(told: Told, message: ChatLog) -> Event:
    """A message for a reader, which has it from here on."""
    told.note(message)
    place = Place(told.newest or message.timestamp, told.count, told.floor)
    return Event("message", MessageOut.model_validate(message), str(place))


async def _doubtful(chats: ChatStore[Async], session_id: str, told: Told, place: Place) -> list[ChatLog]:
    """Return the messages that a reader who comes back may not have; most often there are none.

    If more of them are there than it has, one came late meanwhile. Which one, nothing says: so it is told
    of all of this time again.
    """
    within = [message async for message in _until(chats, session_id, told.horizon, place.newest)]
    if place.count is not None and len(within) > place.count:
        return within
    for message in within:
        told.note(message)
    return []


async def _until(
    chats: ChatStore[Async], session_id: str, after: datetime | None, last: datetime
) -> AsyncIterator[ChatLog]:
    """Give the messages of some time, a page at a time."""
    cursor: str | None = None
    while True:
        page = await chats.history(session_id, after=after, limit=PAGE, cursor=cursor)
        for message in page.items:
            if message.timestamp > last:
                return
            yield message
        if (cursor := page.next) is None:
            return
