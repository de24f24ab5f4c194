"""How the rows of a bot's database come into the ledger: each operation is safe to run again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from daicho.core.bulk import insert_many, insert_numbered
from daicho.core.dialect import insert, may_reserve, reserve
from daicho.core.errors import Unavailable
from daicho.core.language import Text
from daicho.core.operation import Mode, Store, idempotent, query
from daicho.guilds.adoption_avatars import (
    UNSEEN,
    beyond_history,
    hold_users,
    in_histories,
    insert_histories,
    merge,
)
from daicho.guilds.adoption_rows import OldRow
from daicho.guilds.adoption_same import Found, differing, entry_name, kept, look, registered_only
from daicho.guilds.adoption_tables import HISTORIES, QUEUES, SETTINGS, STATISTICS, TRACKS, Kind
from daicho.guilds.models import GuildSettings
from daicho.guilds.positions import hold

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """What became of some rows.

    Attributes:
        added, existing: how many were added, and how many are there already.
        refused: those whose number is another row's, and why.
        kept: names of rows that the ledger had made on its own.
        differing: names of rows that are there already, and of which the file says something else.
        moved: numbers that the ledger has other numbers for; 0 stands for one that it is yet to give.
    """

    added: int
    existing: int = 0
    refused: Sequence[tuple[OldRow, Text]] = ()
    kept: Sequence[str] = ()
    differing: Sequence[str] = ()
    moved: Mapping[int, int] = field(default_factory=dict)


class Adoption(Store[Mode]):
    """The operations of an adoption. Made of a ledger's ``guilds.runner``."""

    room = "guilds"

    @query
    def compare(self, session: Session, kind: Kind, rows: Sequence[OldRow]) -> Put:
        """Say what ``put`` would do, and do nothing. Raises as it does."""
        found = look(session, kind, rows)
        taken_over = sum(registered_only(kind, row, held) for row, held in found.same)
        moved = {**found.moved, **dict.fromkeys(found.renumbered, 0)}
        return _put(kind, rows, found, len(found.fresh) + taken_over, moved)

    @query
    def check_rights(self, session: Session, highest: Mapping[Kind, int]) -> None:
        """Raise Unavailable where this login may not do what ``reserve`` does."""
        for kind, number in highest.items():
            if not may_reserve(session, kind.model, number):
                raise Unavailable(
                    f"{kind.table.name}: this login may not let numbers go on after {number:,} (UPDATE on the"
                    " sequence); nothing was adopted: adopt as the tables' owner, by --database or"
                    " DATABASE_URL",
                    f"{kind.table.name}: このログインには番号を {number:,} より先に進める権限 (シーケンスの"
                    " UPDATE) がなく、何も取り込んでいません。--database か DATABASE_URL で表の所有者として"
                    "取り込んでください",
                )

    @idempotent
    def reserve(self, session: Session, kind: Kind, highest: int) -> None:
        """Let rows that are given no number get one beyond ``highest`` from now on."""
        reserve(session, kind.model, highest)

    @idempotent
    def put(self, session: Session, kind: Kind, rows: Sequence[OldRow]) -> Put:
        """Add rows with the numbers that they have. One that is there already is left as it is.

        Raises Conflict for rows that were adopted in another time zone.
        """
        if kind in {TRACKS, QUEUES}:  # who gives another number must be alone with it
            _hold_guilds(session, rows)
        elif kind is HISTORIES:
            hold_users(session, rows)
        found = look(session, kind, rows)
        moved = found.moved
        new = [row.values for row in found.fresh if row.values[kind.key] not in found.renumbered]
        if kind is QUEUES:
            added = _insert_entries(session, found)
        elif kind.key != "id":
            added = _insert_keyed(session, kind, new)
            added += _take_over(session, found) if kind is SETTINGS else 0
        elif kind is HISTORIES:
            added = insert_histories(session, new)
        else:
            added = insert_many(session, kind.model, new, skip_duplicates=True) if new else 0
            given = _insert_renumbered(session, kind, found)
            added += len(given)
            moved = {**moved, **given}
        return _put(kind, rows, found, added, moved)

    @idempotent
    def put_statistics(
        self, session: Session, rows: Sequence[OldRow], counted: Mapping[tuple[int, bool], int]
    ) -> Put:
        """Add users' statistics, to which ``put`` then adds what each change of their histories counts.

        Args:
            counted: the changes that come with a user's history, of banners (False) and avatars (True).

        What a bot has counted beyond its history stays counted.
        """
        there = look(session, STATISTICS, rows, lock=True).there
        here = in_histories(session, list(there))
        new = []
        for row in rows:
            wanted = beyond_history(row.values, counted)
            held = there.get(wanted["user_id"])
            if held is None:
                new.append(wanted)
            else:
                merge(session, held, wanted, here)
        return Put(_insert_keyed(session, STATISTICS, new), len(there))


def _put(kind: Kind, rows: Sequence[OldRow], found: Found, added: int, moved: Mapping[int, int]) -> Put:
    return Put(
        added,
        len(rows) - added - len(found.refused),
        found.refused,
        kept(kind, found),
        differing(kind, found),
        moved,
    )


def _insert_renumbered(session: Session, kind: Kind, found: Found) -> dict[int, int]:
    """Insert rows whose numbers are taken. Returns the new numbers by the old ones."""
    rows = [row.values for row in found.fresh if row.values["id"] in found.renumbered]
    if not rows:
        return {}
    numbers = insert_numbered(session.connection(), kind.model, list(map(_numberless, rows)))
    return {row["id"]: number for row, number in zip(rows, numbers, strict=True)}


# -- guilds and sessions --------------------------------------------------------------------------------


def _take_over(session: Session, found: Found) -> int:
    """Give guilds that are merely registered the settings that they had. Returns how many there are."""
    taken = 0
    for row, held in found.same:
        if registered_only(SETTINGS, row, held):
            values = {name: value for name, value in row.values.items() if name not in {"id", "guild_id"}}
            statement = update(GuildSettings).where(GuildSettings.guild_id == held["guild_id"])
            session.execute(statement.values(values), execution_options=UNSEEN)
            taken += 1
    return taken


def _insert_keyed(session: Session, kind: Kind, rows: Sequence[Row]) -> int:
    """Insert rows that nothing refers to by their number: one whose number is taken gets another."""
    number = kind.table.c.id
    taken = set(session.execute(select(number).where(number.in_([row["id"] for row in rows]))).scalars())
    added = 0
    for keeps in (True, False):
        some = [row for row in rows if (row["id"] not in taken and row["id"] > 0) is keeps]
        added += _insert_new(session, kind, some if keeps else map(_numberless, some))
    return added


def _insert_new(session: Session, kind: Kind, rows: Iterable[Row]) -> int:
    """Insert those rows that are not there. Returns how many were not."""
    values = list(rows)
    if not values:
        return 0
    statement = insert(session, kind.model).on_conflict_do_nothing().returning(kind.table.c.id)
    return len(session.execute(statement, values).all())


def _numberless(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "id"}


# -- queues ---------------------------------------------------------------------------------------------


def _hold_guilds(session: Session, rows: Sequence[OldRow]) -> None:
    for guild_id in sorted({row.values["guild_id"] for row in rows}):
        hold(session, guild_id)


def _insert_entries(session: Session, found: Found) -> int:
    """Insert entries behind those that are there. The caller holds the queues."""
    placed = _behind(session, [row.values for row in found.fresh])
    keeping, others = [], []
    for row, values in zip(found.fresh, placed, strict=True):
        if values["id"] in found.renumbered:
            others.append({**_numberless(values), "request_id": entry_name(row)})
        else:
            keeping.append(values)
    added = insert_many(session, QUEUES.model, keeping, skip_duplicates=True) if keeping else 0
    return added + _insert_new(session, QUEUES, others)


def _behind(session: Session, rows: Sequence[Row]) -> list[Row]:
    """Rows of queues, which the caller holds, with places behind those that are there."""
    table = QUEUES.table.c
    lengths = session.execute(
        select(table.guild_id, func.count().label("length"))
        .where(table.guild_id.in_({row["guild_id"] for row in rows}))
        .group_by(table.guild_id)
    )
    last: dict[int, int] = {found.guild_id: found.length for found in lengths}
    placed = []
    for row in rows:
        last[row["guild_id"]] = last.get(row["guild_id"], 0) + 1
        placed.append({**row, "position": last[row["guild_id"]]})
    return placed
