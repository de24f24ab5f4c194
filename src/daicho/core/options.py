"""What the commands of several rooms have in common: options, pages, reports of what is not taken."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, TextIO, TypeVar
from zoneinfo import ZoneInfo

import typer
from pydantic import BaseModel

from daicho.core.language import Text, say
from daicho.core.page import LIMIT_MAX, Page
from daicho.core.terminal import Table, instant, note, printable, put_json

T = TypeVar("T")

REJECTS_SHOWN = 20

Since = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="TIME",
        help=say(
            "Only those of this time or later: 2026-11-21, 2026-11-21T09:30, or 7d for 7 days ago.",
            "この時刻以降のもののみ: 2026-11-21、2026-11-21T09:30、7d (7 日前)。",
        ),
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="TIME",
        help=say("Only those before this time.", "この時刻より前のもののみ。"),
    ),
]
Limit = Annotated[int, typer.Option(min=1, help=say("At most so many.", "最大件数。"))]
Every = Annotated[bool, typer.Option("--all", help=say("Without a limit.", "すべて。"))]
Cursor = Annotated[
    str | None,
    typer.Option(help=say("Go on where a former answer ended.", "前回の続きから (前回示されたカーソル)。")),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help=say("JSON, one object a line; times in UTC.", "1 行 1 件の JSON (時刻は UTC)。")
    ),
]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        help=say(
            "CSV: do not put ' before cells that a spreadsheet would run.",
            "CSV: 数式とみなされるセルの前に ' を付けない。",
        ),
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help=say("Change nothing; say what would be done.", "何も変えず、することだけを示す。")
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help=say("Do not ask.", "確認しない。"))]


def zone(name: str) -> ZoneInfo:
    """Read a time zone's name. Raises typer.BadParameter."""
    try:
        return ZoneInfo(name.strip())
    except (ValueError, OSError, KeyError):
        raise typer.BadParameter(
            say(
                f"{name!r} is not a time zone; write Asia/Tokyo, Europe/Berlin or UTC",
                f"{name!r} という時間帯はありません。Asia/Tokyo や UTC のように書いてください",
            )
        ) from None


def pages(
    read: Callable[..., Page[T]], limit: int | None = None, cursor: str | None = None
) -> Iterator[Page[T]]:
    """Give a list page by page: ``limit`` items of it, or all, from a cursor on."""
    left = limit
    while left is None or left > 0:
        page = read(limit=min(left or LIMIT_MAX, LIMIT_MAX), cursor=cursor)
        yield page
        left = None if left is None else left - len(page)
        if (cursor := page.next) is None:
            return


def put_list(
    found: Iterable[Page[T]],
    table: Table,
    row: Callable[[T], Sequence[str]],
    out: Callable[[T], BaseModel],
    *,
    json: bool,
    look_up: Callable[[Sequence[T]], None] = lambda _: None,
) -> None:
    """Write a list as its pages come, and say how it goes on.

    Args:
        found: its pages, as ``pages`` gives them.
        table: what it is for people; ``row`` makes an item's row.
        out: makes of an item what programs are given.
        json: for programs, one object a line.
        look_up: fetches what the rows of a page need, before they are made.
    """
    following = None
    for page in found:
        following = page.next
        if json:
            for item in page.items:
                put_json(out(item))
        else:
            look_up(page.items)
            table.add(map(row, page.items))
    note_more(following)


class Rejects:
    """Reports what of a file is not taken: the first ones one by one, the others by their number.

    Args:
        log: takes every one of them, if given.
    """

    def __init__(self, log: TextIO | None) -> None:
        self.count = 0
        self._log = log

    def report(self, reason: str) -> None:
        """Report one."""
        self.count += 1
        line = printable(reason)
        if self._log is not None:
            self._log.write(line + "\n")
        if self.count <= REJECTS_SHOWN:
            note(line)

    def end(self, option: str | None = None) -> None:
        """Say how many there were that nothing was said of; ``option`` would write them all to a file."""
        if (more := self.count - REJECTS_SHOWN) > 0:
            all_ = Text(f"; {option} FILE takes all", f"。{option} FILE で全件を書き出せます")
            note(say(f"and {more:,} more", f"ほか {more:,} 件") + (str(all_) if option else ""))


def note_more(cursor: str | None) -> None:
    """Say how a list goes on, if it does."""
    if cursor is not None:
        note(say(f"more: --cursor {cursor}", f"続き: --cursor {cursor}"))
