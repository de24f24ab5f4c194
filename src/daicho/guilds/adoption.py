"""The adoption of a bot's ``kyrios.db``: every row of it arrives in the ledger, or is reported."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from pydantic import BaseModel

from daicho.core.operation import Sync
from daicho.guilds.adoption_file import OldBot
from daicho.guilds.adoption_rows import OldRow, RowReader
from daicho.guilds.adoption_store import Adoption, Put
from daicho.guilds.adoption_tables import KINDS, STATISTICS, Kind

CHUNK = 1_000
"""Rows that one transaction carries."""
NAMED = 10
"""Rows that differ and are named; of the others there is their number."""

Counted = Mapping[tuple[int, bool], int]


class Adopted(BaseModel):
    """What became of a table's rows.

    Attributes:
        table: its name in the ledger.
        added: rows that the ledger did not have.
        existing: rows that it has already.
        differing: of these, rows of which the bot's database says something else: the ledger's stayed.
        refused: rows that cannot be adopted.
    """

    table: str
    added: int = 0
    existing: int = 0
    differing: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an adoption did, or would do.

    Attributes:
        tables: each table that the bot has.
        kept: rows that there is one of for a guild, and that the ledger had made on its own: they stay.
        differing: the first rows that the ledger has, and of which the bot's database says something else.
    """

    tables: list[Adopted]
    kept: list[str]
    differing: list[str]


def check(
    old: OldBot, reader: RowReader, into: Adoption[Sync] | None, advance: Callable[[int], None]
) -> Outcome:
    """Say what ``adopt`` would do, and do nothing.

    Args:
        into: the ledger; None for one that is not there yet.
        advance: is told how many rows have been dealt with.

    Raises Conflict for rows that were adopted in another time zone; Unavailable where the login may not
    adopt.
    """
    if into is not None:
        into.check_rights(_highest(old))

    def look(kind: Kind, rows: list[OldRow]) -> Put:
        return Put(len(rows)) if into is None else into.compare(kind, rows)

    return _each_table(old, reader, look, advance)


def adopt(
    old: OldBot,
    reader: RowReader,
    into: Adoption[Sync],
    counted: Counted,
    advance: Callable[[int], None],
) -> Outcome:
    """Bring every row of a bot's database into the ledger, some at a time, each lot in one transaction.

    Args:
        counted: what the reader of ``check`` has counted.

    A row that is there already is left as it is, so an adoption that was interrupted is finished by
    running it again. Raises as ``check`` does.
    """

    def put(kind: Kind, rows: list[OldRow]) -> Put:
        return into.put_statistics(rows, counted) if kind is STATISTICS else into.put(kind, rows)

    for kind, highest in _highest(old).items():
        into.reserve(kind, highest)
    return _each_table(old, reader, put, advance)


def _highest(old: OldBot) -> dict[Kind, int]:
    return {kind: highest for kind in KINDS if (highest := old.highest(kind))}


def _each_table(
    old: OldBot,
    reader: RowReader,
    put: Callable[[Kind, list[OldRow]], Put],
    advance: Callable[[int], None],
) -> Outcome:
    outcome = Outcome([], [], [])
    for kind in KINDS:
        if not old.has(kind):
            continue
        table = Adopted(table=kind.table.name)
        for lot in _lots(reader.rows(kind)):
            rows = [row for row in lot if row is not None]
            table.refused += len(lot) - len(rows)
            if rows:
                done = put(kind, rows)
                _count(table, done)
                outcome.kept.extend(done.kept)
                outcome.differing.extend(done.differing[: NAMED - len(outcome.differing)])
                for row, reason in done.refused:
                    reader.refuse(kind, row, reason)
                reader.move(kind, done.moved)
            advance(len(lot))
        outcome.tables.append(table)
    return outcome


def _count(table: Adopted, done: Put) -> None:
    table.added += done.added
    table.existing += done.existing
    table.differing += len(done.differing)
    table.refused += len(done.refused)


def _lots(rows: Iterator[OldRow | None]) -> Iterator[list[OldRow | None]]:
    while lot := list(islice(rows, CHUNK)):
        yield lot
