"""The files that could not be taken over, and what is wrong with each."""

from collections.abc import Awaitable, Callable
from typing import Any

from daicho.core.elements import Moment, Row, Rows, box, show, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.page import LIMIT_MAX
from daicho.core.screen import Screen
from daicho.members.models import MemberFile
from daicho.members.page_words import StatusChip
from daicho.members.schemas import reason_of
from daicho.members.store import MemberStore

AT_ONCE = 4
MORE = 50
PROBLEMS = 20
"""Problems of a file that are shown; of the others only their number."""
REASON = 2_000
"""Characters of a reason that are shown."""

Item = tuple[int, object, object, str]
"""Place, line, key and reason of a problem."""


class TroubledFiles:
    """A warning with every file in trouble, shown while there is any.

    Args:
        look_again: asks the page to look again, when more files are wanted.
    """

    def __init__(
        self, members: MemberStore[Async], screen: Screen, look_again: Callable[[], Awaitable[None]]
    ) -> None:
        self._members, self._look_again = members, look_again
        self._limit = AT_ONCE
        title = say("Files that could not be taken over", "取り込めなかったファイル")
        with box("d-sheet d-trouble", "section", aria_label=title, hidden=True) as self.root:
            with words(title, tag="h2"):
                self._count = words("", "d-count")
            files = box("d-trouble-files", "ul")
            self._files: Rows[MemberFile] = Rows(files, lambda file: file.file_uri, _file)
            self._more = words(say("Show more", "さらに表示"), "d-plain", "button", type="button")
            screen.on(self._more, "click", self._show_more)

    async def look(self, count: int) -> None:
        """Bring the warning up to date; there are ``count`` files in trouble."""
        show(self.root, count > 0)
        if not count:
            return
        page = await self._members.troubled_files(limit=self._limit)
        self._files.show(page.items)
        self._count.set_text(f"{count:,}")
        show(self._more, page.next is not None and self._limit < LIMIT_MAX)

    async def _show_more(self, _: object) -> None:
        self._limit = min(LIMIT_MAX, self._limit + MORE)
        await self._look_again()


class Problems:
    """What is wrong with a file: line, key and reason of each mistake."""

    def __init__(self) -> None:
        place = box("d-problems", "ul", aria_label=say("What is wrong", "誤りの一覧"))
        self._rows: Rows[Item] = Rows(place, lambda item: item, _problem)
        self._others = words("", "d-small")

    def take(self, problems: list[dict[str, Any]] | None) -> None:
        """Show these problems, as ``MemberFile.problems`` holds them."""
        found = problems or []
        self._rows.show(
            [
                (place, one.get("line"), one.get("key"), reason_of(one)[:REASON])
                for place, one in enumerate(found[:PROBLEMS])
            ]
        )
        others = len(found) - PROBLEMS
        self._others.set_text(say(f"and {others:,} more", f"ほか {others:,} 件"))
        show(self._others, others > 0)


def _file(file: MemberFile) -> Row[MemberFile]:
    with box("d-trouble-file", "li") as root:
        with box("d-row"):
            status = StatusChip()
            words(file.file_uri, "d-mono d-title")
            modified = Moment("d-small")
        problems = Problems()

    def take(file: MemberFile) -> None:
        status.take(file.status)
        modified.take(file.modified_at)
        problems.take(file.problems)

    take(file)
    return Row(root, take)


def _problem(item: Item) -> Row[Item]:
    _, line, key, reason = item
    with box("", "li") as root:
        if line is not None:
            words(say(f"line {line}", f"{line} 行目"), "d-number")
        if key:
            words(key, tag="code")
        words(reason, "d-title", dir="auto")
    return Row(root, lambda _: None)
