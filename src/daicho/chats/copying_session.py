"""One session from one place to another, and the proof that it is there as it was."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import chain

from daicho.chats.comparing import Checksum, differing, side_by_side
from daicho.chats.models import ChatLog
from daicho.chats.store import ChatStore
from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.operation import Sync
from daicho.core.options import pages
from daicho.core.types import now

ROUNDS = 3
"""How often a session is copied whose messages go on coming between those that are there."""
TICK = timedelta(microseconds=1)
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
NOT_THERE = Text("not in the target", "コピー先にありません")
ONLY_THERE = Text("only in the target", "コピー先にだけあります")
TAKEN = Text(
    "not in the target, which has another message of its instant or its message_id",
    "コピー先にありません (同じ時刻か同じ message_id の別のメッセージがあります)",
)


class Kind(StrEnum):
    """What may be wrong with a message, or (``REFUSED``) with a session as a whole."""

    DIFFERING = "differing"
    REFUSED = "refused"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A message that is not alike in both places.

    Attributes:
        at: when it was said; None for the session as a whole.
        reason: for people.
    """

    kind: Kind
    session_id: str
    at: datetime | None
    reason: Text


@dataclass(slots=True)
class Outcome:
    """What became of a session.

    Attributes:
        messages: how many the source has.
        copied: of these, how many were put into the target.
        existing: how many were there already, as they should be.
        later: messages that the target has after the source's last one: the session has gone on there.
        troubles: what is not alike.
    """

    session_id: str
    messages: int = 0
    copied: int = 0
    existing: int = 0
    later: int = 0
    troubles: list[Trouble] = field(default_factory=list)


class StoppedError(Exception):
    """Nobody waits for this session any more."""


class SessionCopy:
    """Copies a session.

    Args:
        source, target: the chat logs in two places.
        session_id: of the session.
        kept: how long messages are kept; None: until they are deleted.
        after: messages up to this instant stay where they are.
        read: is told that so many messages more of the source were read.
        stopped: says whether to give up.
    """

    def __init__(
        self,
        source: ChatStore[Sync],
        target: ChatStore[Sync],
        session_id: str,
        *,
        kept: timedelta | None,
        after: datetime | None,
        read: Callable[[int], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._source, self._target = source, target
        self._id = session_id
        self._kept, self._after = kept, after
        self._read, self._stopped = read, stopped
        self._reasons: dict[datetime, Trouble] = {}
        self._outcome = Outcome(session_id)

    def copy(self) -> Outcome:
        """Put into the target what it has not got; then compare."""
        return self._safely(self._copy)

    def verify(self) -> Outcome:
        """Only compare."""
        return self._safely(self._verify)

    def _safely(self, work: Callable[[], None]) -> Outcome:
        try:
            work()
        except Invalid as error:  # a name that sessions cannot have here
            self._outcome.troubles = [Trouble(Kind.REFUSED, self._id, None, error.message)]
        return self._outcome

    def _verify(self) -> None:
        have = self._summed(self._source, None)
        self._read(have.count)
        self._outcome.messages = have.count
        if not self._is_there(have):
            self._outcome.troubles = list(self._differences(have.last))
        wrong = sum(trouble.kind is not Kind.EXTRA for trouble in self._outcome.troubles)
        self._outcome.existing = have.count - wrong
        self._outcome.later = self._count_later(have.last)

    def _copy(self) -> None:
        if self._target.history(self._id, after=self._after, limit=1).items:
            have = self._summed(self._source, None)
            if self._is_there(have):
                self._read(have.count)
                self._outcome.messages = self._outcome.existing = have.count
                self._outcome.later = self._count_later(have.last)
                return
        for round_ in range(ROUNDS):
            have = self._put_all(first=not round_)
            self._outcome.messages = have.count
            if self._is_there(have):
                self._outcome.troubles = []
                break
            self._outcome.troubles = list(self._differences(have.last))
            # One that came meanwhile, between those that were read already, is missing for no reason.
            if all(one.kind is not Kind.MISSING or one.at in self._reasons for one in self._outcome.troubles):
                break
        self._outcome.later = self._count_later(have.last)

    # -- writing -----------------------------------------------------------------------------------------

    def _put_all(self, *, first: bool) -> Checksum:
        """Put every message into the target that it has not got; return the sum of the source's."""
        have = Checksum()
        for messages in self._pages(self._source, None):
            have.add(messages)
            existing = self._put(messages)
            if first:
                self._outcome.existing += existing
                self._read(len(messages))
        return have

    def _put(self, messages: list[ChatLog]) -> int:
        """Put some; return how many were there already. What the target does not take is found by halving."""
        if not messages:
            return 0
        try:
            done = self._target.restore(self._id, messages)
        except Invalid as error:
            if len(messages) == 1:
                one = messages[0]
                self._reasons[one.timestamp] = self._trouble(Kind.REFUSED, one, error.message)
                return 0
            middle = len(messages) // 2
            return self._put(messages[:middle]) + self._put(messages[middle:])
        self._outcome.copied += done.added
        for at in done.differing:
            self._reasons[at] = Trouble(Kind.MISSING, self._id, at, TAKEN)
        return done.existing

    # -- comparing ---------------------------------------------------------------------------------------

    def _is_there(self, have: Checksum) -> bool:
        """Whether the target has just the messages that were read from the source, up to the last one."""
        there = Checksum() if have.last is None else self._summed(self._target, have.last)
        return have.same(there)

    def _summed(self, chats: ChatStore[Sync], until: datetime | None) -> Checksum:
        total = Checksum()
        for messages in self._pages(chats, until):
            total.add(messages)
        return total

    def _differences(self, until: datetime | None) -> Iterator[Trouble]:
        """Go through both places side by side, and give what is not alike."""
        here = chain.from_iterable(self._pages(self._source, until))
        there = chain.from_iterable(self._pages(self._target, until))
        taken: datetime | None = None
        for mine, theirs in side_by_side(here, there):
            if theirs is not None:
                taken = theirs.timestamp
            if mine is not None and theirs is not None:
                if names := differing(mine, theirs):
                    yield self._trouble(Kind.DIFFERING, mine, _differ(names))
            elif mine is not None:
                if (
                    self._kept is None or mine.timestamp >= now() - self._kept
                ):  # else it has expired meanwhile
                    # In the table of another program several may be of one microsecond.
                    reason = TAKEN if mine.timestamp == taken else NOT_THERE
                    missing = self._trouble(Kind.MISSING, mine, reason)
                    yield self._reasons.get(mine.timestamp, missing)
            elif theirs is not None:
                yield self._trouble(Kind.EXTRA, theirs, ONLY_THERE)

    def _trouble(self, kind: Kind, message: ChatLog, reason: Text) -> Trouble:
        return Trouble(kind, self._id, message.timestamp, reason)

    def _count_later(self, last: datetime | None) -> int:
        return sum(map(len, self._pages(self._target, None, after=last)))

    def _pages(
        self, chats: ChatStore[Sync], until: datetime | None, after: datetime | None = None
    ) -> Iterator[list[ChatLog]]:
        """Give the messages of one place up to an instant, oldest first, page by page."""
        before = None if until is None or until == LAST_INSTANT else until + TICK
        read = partial(chats.history, self._id, after=after or self._after, before=before)
        for page in pages(read):
            if self._stopped():
                raise StoppedError
            yield page.items


def _differ(names: list[str]) -> Text:
    named = ", ".join(names)
    return Text(f"{named} {'differs' if len(names) == 1 else 'differ'}", f"{named} が異なります")
