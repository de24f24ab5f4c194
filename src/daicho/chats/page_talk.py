"""What was said in a session, on its page: the user's part on the left, the assistant's on the right."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from daicho.chats.following import Follower
from daicho.chats.models import ChatLog, ChatSession
from daicho.chats.page_words import ANSWERING, APART, TOOLS, role_name, speaker
from daicho.chats.store import ChatStore
from daicho.core.elements import box, hue, moment, set_attribute, show, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.screen import Screen
from daicho.core.tail import AT_ONCE, LongText, Tail
from daicho.core.types import readable_json

SHORT = 240
"""Characters of a text that stands apart without being folded."""
LINES = 4
"""The same in lines."""
PREVIEW = 120
"""Characters of a folded text that are shown."""
WEEKDAYS = "月火水木金土日"
BEGINNING = datetime.min.replace(tzinfo=UTC)


class Talk:
    """The messages of a session, oldest first; drawn where it is made."""

    def __init__(self, chats: ChatStore[Async], screen: Screen, session_id: str) -> None:
        self._chats, self._screen, self._session_id = chats, screen, session_id
        self._follower: Follower | None = None
        self._tail = Timed(
            screen,
            lambda message: Line(message, screen, self),
            self._load_earlier,
            label=say("Conversation", "会話"),
            nothing=say("Nothing was said yet.", "まだメッセージはありません。"),
            earlier=say("Load earlier messages", "前のメッセージを読み込む"),
            newer=say("New messages ↓", "新しいメッセージ ↓"),
        )

    async def look(self, session: ChatSession) -> list[ChatLog]:
        """Show what has come since the last look; return it.

        Args:
            session: the session as it was before this look.
        """
        fresh: list[ChatLog] = []
        if self._follower is None:
            await self._begin()
        else:
            self._tail.drop_before(session.first_at)  # deleted, or too old
            fresh = await self._follower.look()
            if fresh:
                self._tail.append(fresh)
            if self._lacks(session):
                await self._begin()
        self._tail.settle()
        return fresh

    async def _begin(self) -> None:
        self._follower = Follower(self._chats, self._session_id)
        messages = await self._follower.begin(AT_ONCE + 1)  # one more: it says whether there are earlier ones
        self._tail.clear()
        self._tail.append(messages[-AT_ONCE:])
        self._tail.from_start = len(messages) <= AT_ONCE

    def _lacks(self, session: ChatSession) -> bool:
        """Whether a message has come so late that looking back a little has not found it."""
        exact = self._chats.tells and session.messages is not None and self._tail.from_start
        return bool(exact and (session.messages or 0) > len(self._tail.lines))

    async def _load_earlier(self) -> None:
        before = self._tail.lines[0].at if self._tail.lines else None
        earlier: list[ChatLog] = []
        cursor: str | None = None
        while not earlier:
            page = await self._chats.history(
                self._session_id, before=before, newest_first=True, limit=AT_ONCE, cursor=cursor
            )
            earlier, cursor = page.items, page.next
            if cursor is None:
                break
        self._tail.prepend(earlier[::-1])
        self._tail.from_start = cursor is None

    async def again(self, at: datetime, message_id: str) -> ChatLog | None:
        """Read a message again; None if it is there no more."""
        after = at - timedelta(microseconds=1) if at > BEGINNING else None
        page = await self._chats.history(self._session_id, after=after, limit=1)
        return next((message for message in page.items if message.message_id == message_id), None)


class Line:
    """A message on the page."""

    def __init__(self, message: ChatLog, screen: Screen, talk: Talk) -> None:
        self._talk, self._screen = talk, screen
        self.at, self._message_id = message.timestamp, message.message_id
        self.day = _day(message.timestamp, screen.zone)
        self._unfolded = False
        long = len(message.content) > SHORT or message.content.count("\n") >= LINES
        with box("d-talk", data_line=message.message_id) as self.root, box(f"d-line {_side(message, long)}"):
            if message.role in TOOLS or (message.role in APART and long):
                self._draw_fold(message, long)
            else:
                self._draw_text(message.content, "d-notice" if message.role in APART else "d-bubble")
            with box("d-under"):
                _draw_speaker(message)
                moment(message.timestamp, "clock")
                if message.details is not None:
                    said = say("Details", "詳細")
                    self._way = words(said, "d-plain", "button", type="button", aria_expanded="false")
                    screen.on(self._way, "click", self._unfold)
            if message.details is not None:
                self._details = box("d-details", hidden=True)

    def _draw_fold(self, message: ChatLog, long: bool) -> None:
        mono = " d-mono" if message.role in TOOLS else ""
        with box("d-fold", "details", open=None if long else True):
            with box("", "summary"):
                words(speaker(message), mono, "b", title=speaker(message))
                words(message.content[:PREVIEW] if long else "", "d-cut d-quiet")
            self._draw_text(message.content, f"d-pre{mono}")

    def _draw_text(self, text: str, classes: str) -> None:
        async def again() -> str | None:
            found = await self._talk.again(self.at, self._message_id)
            return None if found is None else found.content

        if text:
            LongText(self._screen, text, again, classes)
        else:
            words(say("(no text)", "(本文なし)"), f"{classes} d-quiet", "div")

    async def _unfold(self, _: object) -> None:
        """Show what else there is to the message, or hide it. It is read only when somebody looks."""
        self._unfolded = not self._unfolded
        set_attribute(self._way, "aria-expanded", "true" if self._unfolded else "false")
        self._details.clear()
        text = await self._details_again() if self._unfolded else None
        if text is not None:
            with self._details:
                LongText(self._screen, text, self._details_again, "d-pre d-mono")
        show(self._details, text is not None)

    async def _details_again(self) -> str | None:
        found = await self._talk.again(self.at, self._message_id)
        return None if found is None or found.details is None else readable_json(found.details)


class Timed(Tail[ChatLog, Line]):
    """A tail whose lines stand in the order of their times, whenever they come; each day has its name."""

    def append(self, items: Iterable[ChatLog]) -> None:
        """Add items, some of which may have come late."""
        super().append(items)
        self._sort()

    def prepend(self, items: Iterable[ChatLog]) -> None:
        """Add earlier items, oldest first."""
        super().prepend(items)
        self._sort()

    def drop_before(self, at: datetime) -> None:
        """Take away the lines from before an instant."""
        while self.lines and self.lines[0].at < at:
            self.lines.popleft().root.delete()

    def _sort(self) -> None:
        ordered = sorted(self.lines, key=lambda line: line.at)
        if ordered != [*self.lines]:
            self.lines = deque(ordered)
            self._list.default_slot.children[:] = [line.root for line in ordered]
            self._list.update()
        before = None
        for line in ordered:
            set_attribute(line.root, "data-day", line.day if line.day != before else None)
            before = line.day


def _draw_speaker(message: ChatLog) -> None:
    author, role = message.author, message.role
    if author and role not in ANSWERING | APART:
        words(author, "d-hued d-author", title=author).style(hue(author))
    elif role not in TOOLS:  # theirs stands over what they answered
        words(speaker(message), "d-author", title=speaker(message))
    if author and role not in {"user", "assistant"}:
        words(role_name(role), "d-cut", title=role)


def _side(message: ChatLog, long: bool) -> str:
    if message.role in APART:
        return "d-aside" if long or message.role in TOOLS else "d-system"
    return "d-ai" if message.role in ANSWERING else "d-user"


def _day(instant: datetime, zone: tzinfo) -> str:
    try:
        at = instant.astimezone(zone)
    except OverflowError:  # the calendar ends, and the reader's zone is beyond it
        at = instant
    weekday = WEEKDAYS[at.weekday()]
    return say(f"{at:%A}, {at:%B} {at.day}, {at.year}", f"{at.year}年{at.month}月{at.day}日({weekday})")
