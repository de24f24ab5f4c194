"""A file of usage, CSV or JSON lines, as numbered lines of values by column. It is never held as a whole."""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import PurePath
from typing import Any, BinaryIO

from daicho.core.errors import DaichoError, Invalid
from daicho.core.language import Text

LINE_MAX = 1024 * 1024
"""The longest line, in bytes."""
RECORD_LINES = 100
"""How many lines a CSV record may take: a quote that is never closed swallows no more."""
LOOKED_AT = 1_000
"""Lines of JSON that tell which columns there are."""
DELIMITERS = (",", ";", "\t")
GZIP = b"\x1f\x8b"
JSON_LINES = {".jsonl", ".ndjson"}

Values = dict[str, Any]
Refused = Callable[[int, Text], None]
"""Is told a line that cannot be taken: its number, and why."""


class UsageFile:
    """Reads a file's lines.

    Args:
        file: CSV with a heading, or one JSON object a line; UTF-8.
        name: says by its ending which of them; else the content does.
        known: columns that mean something: of two delimiters the right one shows more of them.
        refused: is told each line that cannot be read.

    Attributes:
        columns: the columns' names; of JSON lines, those of the first ones.
        size: how many bytes have been read.

    Raises Invalid for a file that has no lines, or is no such file.
    """

    def __init__(self, file: BinaryIO, name: str, known: Iterable[str], refused: Refused) -> None:
        self.size = 0
        self._file = file
        self._refused = refused
        self._texts = self._decoded()
        self._back: deque[tuple[int, str]] = deque()
        first = next((pair for pair in self._texts if pair[1].strip()), None)
        if first is None:
            raise Invalid(f"{name}: no lines", f"{name}: 行がありません")
        if first[1].lstrip().startswith("["):
            raise Invalid(
                f"{name}: a JSON array; write one record a line, as jq -c '.[]' does",
                f"{name}: JSON の配列です。jq -c '.[]' などで 1 行 1 件にしてください",
            )
        self._back.append(first)
        self._lines: Iterable[tuple[int, Values]]
        if PurePath(name).suffix.lower() in JSON_LINES or first[1].lstrip().startswith("{"):
            looked_at = list(islice(self._objects(), LOOKED_AT))
            self.columns = list(dict.fromkeys(column for _, values in looked_at for column in values))
            self._lines = chain(looked_at, self._objects())
        else:
            self.columns, delimiter = self._heading(set(known))
            self._lines = self._rows(delimiter)

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """Give each line's number and its values. Empty ones are left out."""
        yield from self._lines

    # -- text ----------------------------------------------------------------------------------------

    def _decoded(self) -> Iterator[tuple[int, str]]:
        number = 0
        while line := self._file.readline(LINE_MAX + 2):
            number += 1
            self.size += len(line)
            if number == 1:
                if line.startswith(GZIP):
                    raise Invalid(
                        "the file is compressed; unpack it: gunzip -c FILE | daicho usage import -",
                        "圧縮されたファイルです。展開してください: gunzip -c FILE | daicho usage import -",
                    )
                if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in line[:4]:
                    raise Invalid(
                        "the file is UTF-16; save it as UTF-8", "UTF-16 です。UTF-8 で保存してください"
                    )
                line = line.removeprefix(b"\xef\xbb\xbf")
            rest = line
            while not rest.endswith(b"\n") and (rest := self._file.readline(LINE_MAX)):
                self.size += len(rest)
            if len(line) > LINE_MAX:
                said = f"{LINE_MAX:,}"
                self._refused(number, Text(f"longer than {said} bytes", f"{said} バイトを超えています"))
                continue
            try:
                yield number, line.decode()
            except UnicodeDecodeError:
                error = Text(
                    "not UTF-8 text; save the file as UTF-8", "UTF-8 ではありません。UTF-8 で保存してください"
                )
                if number == 1:
                    raise Invalid(f"line 1: {error.en}", f"1 行目: {error.ja}") from None
                self._refused(number, error)

    def _next(self) -> tuple[int, str] | None:
        return self._back.popleft() if self._back else next(self._texts, None)

    # -- CSV -----------------------------------------------------------------------------------------

    def _heading(self, known: set[str]) -> tuple[list[str], str]:
        """The columns, and what stands between them."""
        number, text = self._back.popleft()
        found = []
        for mark in DELIMITERS:
            with suppress(csv.Error):  # a quote may end where the wrong delimiter does not
                cells = next(csv.reader([text], delimiter=mark, strict=True))
                found.append(([cell.strip() for cell in cells], mark))
        if not found:
            raise Invalid(
                f"line {number}: the heading is not CSV; it must be one line, its quotes closed",
                f"{number} 行目: 見出しが CSV として読めません。1 行で書き、引用符を閉じてください",
            )
        columns, delimiter = max(found, key=lambda one: (len(known.intersection(one[0])), len(one[0])))
        for column in columns:
            if column and columns.count(column) > 1:
                raise Invalid(
                    f"line {number}: column {column!r} stands twice; rename one",
                    f"{number} 行目: 列 {column!r} が 2 つあります。一方の名前を変えてください",
                )
        return columns, delimiter

    def _rows(self, delimiter: str) -> Iterator[tuple[int, Values]]:
        width = len(self.columns)
        while (pair := self._next()) is not None:
            number, text = pair
            cells = self._cells(number, text, delimiter)
            if not cells or not any(cells):
                continue
            if len(cells) != width:
                self._refused(
                    number,
                    Text(
                        f"{len(cells)} values, where the heading has {width} columns",
                        f"値が {len(cells)} 個です (見出しは {width} 列)",
                    ),
                )
                continue
            named = zip(self.columns, map(str.strip, cells), strict=True)
            yield number, {column: cell for column, cell in named if column and cell}

    def _cells(self, number: int, text: str, delimiter: str) -> list[str] | None:
        """The values of a record that begins with a line; further lines as long as a quote is open."""
        held = [text]
        further: list[tuple[int, str]] = []
        while True:
            try:
                return next(csv.reader(held, delimiter=delimiter, strict=True), [])
            except csv.Error as error:
                is_open = sum(one.count('"') for one in held) % 2
                if is_open and len(held) < RECORD_LINES and (pair := self._next()) is not None:
                    further.append(pair)
                    held.append(pair[1])
                    continue
                self._back.extendleft(reversed(further))
                never = Text("a quote is never closed", "引用符が閉じていません")
                self._refused(
                    number, never if is_open or further else Text(f"not CSV: {error}", f"CSV の誤り: {error}")
                )
                return None

    # -- JSON ----------------------------------------------------------------------------------------

    def _objects(self) -> Iterator[tuple[int, Values]]:
        while (pair := self._next()) is not None:
            number, text = pair
            if not text.strip():
                continue
            try:
                yield number, read_object(text)
            except DaichoError as error:
                self._refused(number, error.message)


def read_object(text: str) -> Values:
    """Read a JSON object as values by column; of one within another, ``usage.input_tokens``.

    Raises Invalid.
    """
    try:
        found = json.loads(text, parse_constant=_no_number)
        if isinstance(found, dict):
            return dict(_flat(found, ""))
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not JSON: {error}", f"JSON として読めません: {error}") from None
    raise Invalid(
        f"a JSON object is needed, not {type(found).__name__}; write one record a line",
        f"JSON のオブジェクトが必要です ({type(found).__name__} でした)。1 行に 1 件書いてください",
    )


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _flat(values: Mapping[str, Any], within: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{name}.")
        elif value is not None and value != "":
            yield within + name, value
