"""The rows of a bot's database, read as rows of the ledger: each arrives, mended or not, or is refused."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Column, String
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from daicho.core.cells import Cell, Plain, decoded, shown
from daicho.core.errors import DaichoError, Invalid
from daicho.core.language import Text
from daicho.core.types import Instant, JsonText
from daicho.guilds.adoption_file import Cells, OldBot
from daicho.guilds.adoption_tables import HISTORIES, MESSAGES, QUEUES, SESSIONS, Kind
from daicho.guilds.adoption_values import Clock, reader
from daicho.guilds.avatars import AVATARS

NULL = Text("NULL; every row needs one", "NULL です。どの行にも必要です")


@dataclass(frozen=True, slots=True)
class OldRow:
    """A row as the ledger would have it.

    Attributes:
        values: of every column that a bot has.
        assumed: columns that the file says nothing of; something stands for them.
    """

    values: dict[str, Any]
    assumed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reports:
    """Who is told, by table and id, of rows.

    Attributes:
        refused: one that cannot be adopted, and every reason why.
        mended: one that is adopted otherwise than it stands there, and how.
    """

    refused: Callable[[str, list[Text]], None]
    mended: Callable[[str, Text], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """How one column is read. ``stand_in`` is for what the file says nothing of."""

    name: str
    read: Callable[[Plain], object]
    is_text: bool
    nullable: bool
    stand_in: object
    has_default: bool
    is_time: bool


class RowReader:
    """Reads all rows once, each kind after those that it refers to.

    Args:
        old: the bot's database.
        clock: reads its times.
        reports: who is told of what is wrong.
        moment: the time of what has none.
        after: the reader that has read all of it before: what that one has told is not told again.
        last_first: the row with a table's highest number comes first: while it is there, whoever else adds
            rows to the ledger gets numbers beyond it.

    Attributes:
        counted: how many changes each user's history has, of banners (False) and of avatars (True).
        refused: the numbers of the rows that cannot be adopted.
        undated: rows of which no time is known.
    """

    def __init__(
        self,
        old: OldBot,
        clock: Clock,
        reports: Reports,
        moment: datetime,
        *,
        after: "RowReader | None" = None,
        last_first: bool = False,
    ) -> None:
        self.old = old
        self.clock = clock
        self.counted: Counter[tuple[int, bool]] = Counter()
        self.undated = 0
        self._reports = reports
        self._moment = moment
        self._after = after
        self._last_first = last_first
        self.refused: dict[Kind, set[int]] = {}
        self._moved: dict[Kind, dict[int, int]] = {}
        self._queued: Counter[int] = Counter()
        self._bases: dict[int, int] = {}
        self._without_statistics: set[int] = set()

    def rows(self, kind: Kind) -> Iterator[OldRow | None]:
        """Give every row of a table: as the ledger would have it, or None for one that is refused."""
        readings = [_reading(kind.table.c[name], self.clock) for name in kind.columns]
        seen: set[int] = set()
        for cells in self.old.rows(kind, last_first=self._last_first):
            try:
                row = self._read(kind, readings, cells)
                key = row.values[kind.key]
                if key in seen:
                    raise Refused([_about(kind.key, _TWICE)])
                if kind is not QUEUES:  # all others come by their keys: the last one is enough
                    seen.clear()
                seen.add(key)
                self._look_round(kind, row.values, cells)
            except Refused as error:
                self._refuse(kind, cells, error.reasons)
                yield None
            else:
                yield row

    def refuse(self, kind: Kind, row: OldRow, reason: Text) -> None:
        """Take note that a row cannot be adopted, nor what refers to it, and tell it."""
        if kind is HISTORIES:
            self.counted[row.values["user_id"], row.values["history_type"] in AVATARS] -= 1
        self._refuse(kind, row.values, [reason])

    def move(self, kind: Kind, numbers: Mapping[int, int]) -> None:
        """Take note of other numbers that rows have in the ledger: what refers to them follows."""
        self._moved.setdefault(kind, {}).update(numbers)

    def _read(self, kind: Kind, readings: list[Reading], cells: Cells) -> OldRow:
        values: dict[str, Any] = {}
        assumed: list[str] = []
        reasons: list[Text] = []
        for reading in readings:
            try:
                plain = _filled(cells.get(reading.name), reading)
                if plain is not None:
                    values[reading.name] = reading.read(plain)
                    continue
                if reading.nullable:
                    values[reading.name] = None
                    if reading.name not in cells:
                        assumed.append(reading.name)
                    continue
                if reading.name in cells and not reading.has_default:
                    raise Invalid(*NULL)
                assumed.append(reading.name)
                values[reading.name] = reading.stand_in
            except DaichoError as error:
                reasons.append(_about(reading.name, error.message))
        times = [reading.name for reading in readings if reading.is_time]
        missing = [name for name in times if name in assumed and values[name] is not None]
        known = [at for name in times if isinstance(at := values.get(name), datetime)]
        values |= dict.fromkeys(missing, known[0] if known else self._moment)
        try:
            if not reasons:
                row = OldRow(kind.model.row(**values), frozenset(assumed))
                self.undated += bool(missing and not known)
                return row
        except DaichoError:
            pass
        raise Refused(reasons + _each_wrong(kind, values))

    def _look_round(self, kind: Kind, row: dict[str, Any], cells: Cells) -> None:
        """Look at what a row refers to, and at what stands beside it."""
        mended = self._mending(kind, cells)
        for column, parent in kind.parents.items():
            other = row[column]
            if other is None:
                continue
            if cells["parent"] and other not in self.refused.get(parent, ()):
                row[column] = self._moved.get(parent, {}).get(other, other)
                continue
            missing = Text(
                f"{column}: {parent.table.name} has no row {other}, or none that can be adopted",
                f"{column}: {parent.table.name} に取り込める行 {other} がありません",
            )
            if kind is not SESSIONS:
                raise Refused([missing])
            row[column] = None
            mended(Text(f"{missing.en}; nothing plays", f"{missing.ja}。再生中の曲なしとします"))
        if kind is MESSAGES and cells["first"] not in {None, row["id"]}:
            mended(
                Text(
                    f"message_id: {row['message_id']} is that of row {cells['first']!r} too; 0 stands for it",
                    f"message_id: {row['message_id']} は行 {cells['first']!r} と同じです。0 とします",
                )
            )
            row["message_id"] = 0
        if kind is QUEUES:
            self._give_place(row, mended)
        if kind is HISTORIES:
            self.counted[row["user_id"], row["history_type"] in AVATARS] += 1
            if not cells["parent"] and row["user_id"] not in self._without_statistics:
                self._without_statistics.add(row["user_id"])
                mended(
                    Text(
                        f"user_id: {row['user_id']} has no statistics; they are counted from the history",
                        f"user_id: {row['user_id']} の統計がありません。履歴から数えます",
                    )
                )

    def _give_place(self, row: dict[str, Any], mended: Callable[[Text], None]) -> None:
        guild, was = row["guild_id"], row["position"]
        self._queued[guild] += 1
        place = self._queued[guild]
        # Whether a bot counts from 0 or from 1 is its own affair; gaps and places taken twice are not.
        if was - self._bases.setdefault(guild, was) + 1 != place:
            mended(
                Text(
                    f"position: {was} leaves a gap, or is taken; it is number {place} now",
                    f"position: {was} は飛び番か重複です。{place} 番目とします",
                )
            )
        row["position"] = place

    def _refuse(self, kind: Kind, cells: Cells, reasons: list[Text]) -> None:
        number = cells.get("id")
        if isinstance(number, int):
            self.refused.setdefault(kind, set()).add(number)
        told = self._after is not None and (
            not isinstance(number, int) or number in self._after.refused.get(kind, ())
        )
        if not told:
            self._reports.refused(self._where(kind, cells), reasons)

    def _mending(self, kind: Kind, cells: Cells) -> Callable[[Text], None]:
        if self._after is not None:
            return lambda _: None
        return partial(self._reports.mended, self._where(kind, cells))

    def _where(self, kind: Kind, cells: Cells) -> str:
        """How people find a row again in the bot's database."""
        column = "id" if "id" in cells else kind.key
        try:
            number = decoded(cells.get(column))
        except Invalid:
            number = "?"
        named = str(number)[:40] if isinstance(number, int) else shown(number)
        return f"{self.old.name(kind)} {'' if column == 'id' else f'{column} '}{named}"


class Refused(Exception):
    """A row that cannot be adopted: every reason, each naming its column."""

    def __init__(self, reasons: list[Text]) -> None:
        super().__init__("; ".join(reason.en for reason in reasons))
        self.reasons = reasons


_TWICE = Text("an earlier row has the same one", "同じ値の行が前にあります")


def _reading(column: Column[Any], clock: Clock) -> Reading:
    default = column.default
    is_time = isinstance(column.type, Instant)
    nothing: object = "" if isinstance(column.type, String) else 0
    return Reading(
        name=str(column.key),
        read=reader(column, clock),
        is_text=isinstance(column.type, String | JsonText),
        nullable=bool(column.nullable),
        stand_in=default.arg if isinstance(default, ScalarElementColumnDefault) else nothing,
        has_default=default is not None,
        is_time=is_time,
    )


def _filled(cell: Cell, reading: Reading) -> Plain | None:
    """What a cell says; None for nothing, or a text of nothing where no text belongs."""
    plain = decoded(cell)
    return None if isinstance(plain, str) and not reading.is_text and not plain.strip() else plain


def _each_wrong(kind: Kind, values: dict[str, Any]) -> list[Text]:
    """What is wrong with the values of a row that could be read one by one."""
    reasons = []
    for name, value in values.items():
        try:
            kind.model.row(**{name: value})
        except DaichoError as error:
            reasons.append(_about(name, error.message))
    return reasons


def _about(column: str, reason: Text) -> Text:
    """A reason that names its column, once."""
    if reason.en.startswith(column):
        return reason
    return Text(f"{column}: {reason.en}", f"{column}: {reason.ja}")
