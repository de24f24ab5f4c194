"""What every room's commands need: the ledger, tables, JSON, times, progress, files in and out.

Standard output carries the answer and nothing else; whatever is said about it goes to standard error.
"""

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Generic, TextIO, TypeVar

import typer
from pydantic import BaseModel

from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.settings import Settings
from daicho.core.types import now

SyncLedger = TypeVar("SyncLedger")
AsyncLedger = TypeVar("AsyncLedger")

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""
GAP = "  "
SHORT = len("2026-11-21 08:18:22")
"""The width up to which a column is short."""


@dataclass(frozen=True, slots=True)
class Terminal(Generic[SyncLedger, AsyncLedger]):
    """What a command finds as its context's ``obj``.

    Attributes:
        settings: reads the settings, with what the command line overrides.
        open: opens the ledger for threads.
        open_async: opens the ledger for tasks.
    """

    settings: Callable[[], Settings]
    open: Callable[[], AbstractContextManager[SyncLedger]]
    open_async: Callable[[], AbstractAsyncContextManager[AsyncLedger]]


# -- what is printed ------------------------------------------------------------------------------


def put(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")


def put_json(answer: BaseModel) -> None:
    """Write an answer as one line of JSON; its times are ISO 8601 in UTC."""
    put(answer.model_dump_json())


def note(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """Return a text as one line that cannot command the terminal: control characters are written out."""
    if text.isprintable():
        return text
    plain = " ".join(text.replace("\t", " ").splitlines())
    return "".join(_written_out(sign) if unicodedata.category(sign) == "Cc" else sign for sign in plain)


def csv_cell(value: object, *, raw: bool) -> str:
    """Write a value as a cell of CSV that commands no spreadsheet: before a text that would stands ``'``.

    Args:
        value: a text, a number, True or False, an instant in UTC, or None for an empty cell.
        raw: write texts as they are.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) and not raw else text


def local(instant: datetime | None) -> str:
    """Write an instant in this machine's time zone, to the second; nothing for None."""
    return "" if instant is None else f"{instant.astimezone():%Y-%m-%d %H:%M:%S}"


def duration(length: timedelta) -> str:
    """Write a length of time as hours, minutes and seconds: ``1:02:03``, ``2:03``."""
    minutes, seconds = divmod(max(int(length.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Table:
    """Aligned columns: drawn by Rich on a terminal, plain and never cut off in a pipe or a file.

    Args:
        titles: the heading, written once, before the first row; empty strings for none.

    Rows may come page by page.
    """

    def __init__(self, *titles: str) -> None:
        self._titles = titles
        self._widths = [0] * len(titles)
        self._headed = not any(titles)

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Write some rows."""
        shown = [[printable(cell) for cell in row] for row in rows]
        if not shown:
            return
        if sys.stdout.isatty():
            self._draw(shown)
        else:
            self._align(shown)
        self._headed = True

    def _align(self, rows: list[list[str]]) -> None:
        from rich.cells import cell_len

        lines = rows if self._headed else [list(self._titles), *rows]
        for line in lines:
            self._widths = [
                max(width, cell_len(cell)) for width, cell in zip(self._widths, line, strict=True)
            ]
        for line in lines:
            cells = zip(line, self._widths, strict=True)
            put(GAP.join(cell + " " * (width - cell_len(cell)) for cell, width in cells).rstrip())

    def _draw(self, rows: list[list[str]]) -> None:
        from rich.cells import cell_len
        from rich.console import Console
        from rich.table import Table as Drawn
        from rich.text import Text

        columns = list(zip(self._titles, *rows, strict=True))
        widths = [max(map(cell_len, column)) for column in columns]
        console = Console()
        # Times and other short words stay whole if that leaves enough for the long ones.
        roomy = sum(min(width, SHORT) + len(GAP) for width in widths) <= console.width
        drawn = Drawn(box=None, pad_edge=False, show_header=not self._headed, header_style="bold")
        for title, width in zip(self._titles, widths, strict=True):
            drawn.add_column(Text(title), overflow="fold", no_wrap=roomy and width <= SHORT)
        for row in rows:
            drawn.add_row(*map(Text, row))
        console.print(drawn)


# -- what is read ---------------------------------------------------------------------------------


def instant(text: str) -> datetime:
    """Read a time: ISO 8601, in this machine's time zone where it names none, or ``90m``, ``7d`` ago.

    Raises typer.BadParameter for anything else.
    """
    try:
        if ago := re.fullmatch(r"(\d{1,6})([smhdw])", text.strip()):
            return now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            say(
                f"{text!r} is not a time; write 2026-11-21, 2026-11-21T09:30,"
                " or 90m, 12h, 7d for that long ago",
                f"{text!r} は時刻ではありません。2026-11-21、2026-11-21T09:30、"
                "または 90m、12h、7d (それだけ前) と書いてください",
            )
        ) from None


def typed_in() -> str:
    """Read all of standard input as UTF-8 text, without its last line's end. Raises Invalid."""
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Invalid("standard input is not UTF-8 text", "標準入力が UTF-8 の文字列ではありません") from None


@contextmanager
def source(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open a file for reading, or standard input for ``-``; give it with its size, if it has one."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    with Path(name).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        yield file, size or None


@contextmanager
def destination(path: Path | None, encoding: str = "utf-8") -> Iterator[TextIO]:
    """Open a file that takes its place only when it is complete; standard output for None and ``-``.

    What is no ordinary file (``/dev/null``, a pipe) is written directly.
    """
    if path is None or str(path) == "-":
        if encoding == "utf-8-sig":
            sys.stdout.write("\ufeff")
        yield sys.stdout
        return
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("w", encoding=encoding, newline="") as file:
            yield file
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding=encoding, newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def progress(title: str, total: int | None, *, in_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, if it is a terminal; give the function that moves it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(printable(title), total=total)
        yield lambda step: shown.advance(task, step)


def _written_out(sign: str) -> str:
    return f"\\x{ord(sign):02x}"
