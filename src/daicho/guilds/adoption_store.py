"""How the rows of a bot's database come into the ledger: each operation is safe to run again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from daicho.core.bulk import insert_many
from daicho.core.dialect import insert, reserve
from daicho.core.errors import Conflict
from daicho.core.operation import Mode, Store, idempotent, query
from daicho.core.types import JsonText, json_value
from daicho.guilds.adoption_avatars import (
    UNSEEN,
    beyond_history,
    hold_users,
    in_histories,
    insert_histories,
    merge,
)
from daicho.guilds.adoption_rows import OldRow
from daicho.guilds.adoption_tables import HISTORIES, QUEUES, SETTINGS, STATISTICS, Kind
from daicho.guilds.models import GuildSettings
from daicho.guilds.positions import hold

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """What became of some rows: added, or there already; of the latter, those whose own row differs."""

    added: int = 0
    existing: int = 0
    kept: tuple[str, ...] = ()

    def __add__(self, other: "Put") -> "Put":
        return Put(self.added + other.added, self.existing + other.existing, self.kept + other.kept)


class Adoption(Store[Mode]):
    """The operations of an adoption. Made of a ledger's ``guilds.runner``."""

    room = "guilds"

    @query
    def compare(self, session: Session, kind: Kind, rows: Sequence[OldRow]) -> Put:
        """Say what ``put`` would do, and do nothing. Raises as it does."""
        there = _there(session, kind, rows)
        fresh = [row for row in rows if _is_new(kind, row, there)]
        kept = tuple(_kept(kind, rows, there))
        return Put(len(fresh), len(rows) - len(fresh), kept)

    @idempotent
    def reserve(self, session: Session, kind: Kind, highest: int) -> None:
        """Let rows that are given no number get one beyond ``highest`` from now on."""
        reserve(session, kind.model, highest)

    @idempotent
    def put(self, session: Session, kind: Kind, rows: Sequence[OldRow]) -> Put:
        """Add rows with the numbers that they have. One that is there already is left as it is.

        Raises Conflict for a number that another row has.
        """
        if kind is QUEUES:
            _close_up(session, rows)
        elif kind is HISTORIES:
            hold_users(session, rows)
        there = _there(session, kind, rows)
        new = [row.values for row in rows if row.values[kind.key] not in there]
        if kind is QUEUES:
            new = _behind(session, new)
        added = len(_take_over(session, rows, there)) if kind is SETTINGS else 0
        if kind.key != "id":
            added += _insert_keyed(session, kind, new)
        elif kind is HISTORIES:
            added += insert_histories(session, new)
        elif new:
            added += insert_many(session, kind.model, new, skip_duplicates=True)
        return Put(added, len(rows) - added, tuple(_kept(kind, rows, there)))

    @idempotent
    def put_statistics(
        self, session: Session, rows: Sequence[OldRow], counted: Mapping[tuple[int, bool], int]
    ) -> Put:
        """Add users' statistics, to which ``put`` then adds what each change of their histories counts.

        Args:
            counted: the changes that come with a user's history, of banners (False) and avatars (True).

        What a bot has counted beyond its history stays counted.
        """
        there = _there(session, STATISTICS, rows, lock=True)
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


# -- what is there ------------------------------------------------------------------------------------


def _there(
    session: Session, kind: Kind, rows: Sequence[OldRow], *, lock: bool = False
) -> dict[int, Mapping[str, Any]]:
    """The ledger's rows of the same keys. Raises Conflict where a number is another row's."""
    key = kind.table.c[kind.key]
    statement = select(*kind.table.c).where(key.in_([row.values[kind.key] for row in rows])).order_by(key)
    found = session.execute(statement.with_for_update() if lock else statement).mappings()
    there: dict[int, Mapping[str, Any]] = {row[kind.key]: dict(row) for row in found}
    if kind.key == "id":
        for row in rows:
            if held := there.get(row.values["id"]):
                _check_same(kind, row, held)
    return there


def _check_same(kind: Kind, row: OldRow, held: Mapping[str, Any]) -> None:
    differing = [name for name in kind.lasting if not _alike(kind, name, row, held)]
    if differing:
        name = differing[0]
        named, here, wanted = kind.name_of(row.values), held[name], row.values[name]
        raise Conflict(
            f"the ledger has another {named}: its {name} is {_short(here)}, not {_short(wanted)};"
            " nothing can have its number twice: adopt into an empty ledger"
            " (or, if this was adopted before, with the same --timezone)",
            f"台帳には別の {named} があります: {name} が {_short(wanted)} ではなく {_short(here)} です。"
            "同じ番号は使えません。空の台帳に取り込んでください (前に取り込んだものなら --timezone を同じに)",
        )


def _alike(kind: Kind, name: str, row: OldRow, held: Mapping[str, Any]) -> bool:
    if name in row.assumed:
        return True
    if isinstance(kind.table.c[name].type, JsonText):
        return bool(json_value(held[name]) == json_value(row.values[name]))
    return bool(held[name] == row.values[name])


def _short(value: object) -> str:
    return str(value)[:60]


def _is_new(kind: Kind, row: OldRow, there: Mapping[int, Mapping[str, Any]]) -> bool:
    held = there.get(row.values[kind.key])
    return held is None or (kind is SETTINGS and _registered_only(row, held))


def _kept(kind: Kind, rows: Sequence[OldRow], there: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Rows that there is one of for a guild, and that the ledger has made on its own."""
    if kind.key == "id" or not kind.lasting:
        return []
    return [
        kind.name_of(row.values)
        for row in rows
        if (held := there.get(row.values[kind.key]))
        and not all(_alike(kind, name, row, held) for name in kind.lasting)
        and not _is_new(kind, row, there)
    ]


# -- guilds and sessions --------------------------------------------------------------------------------


def _registered_only(row: OldRow, held: Mapping[str, Any]) -> bool:
    """Whether a guild's row is the one that came with its first ticket or log, and nobody has touched."""
    defaults = {"prefix": "!", "features_enabled": "tickets,logger"}
    ids = [name for name in held if name.endswith(("channel_id", "category_id", "role_id"))]
    untouched = held["created_at"] == held["updated_at"] and all(held[name] is None for name in ids)
    return (
        untouched
        and all(held[name] == value for name, value in defaults.items())
        and not _alike(SETTINGS, "created_at", row, held)
    )


def _take_over(session: Session, rows: Sequence[OldRow], there: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Give guilds that are merely registered the settings that they had."""
    taken = []
    for row in rows:
        held = there.get(row.values["guild_id"])
        if held is not None and _registered_only(row, held):
            values = {name: value for name, value in row.values.items() if name not in {"id", "guild_id"}}
            statement = update(GuildSettings).where(GuildSettings.guild_id == held["guild_id"])
            session.execute(statement.values(values), execution_options=UNSEEN)
            taken.append(held["guild_id"])
    return taken


def _insert_keyed(session: Session, kind: Kind, rows: Sequence[Row]) -> int:
    """Insert rows that nothing refers to by their number: one whose number is taken gets another."""
    number = kind.table.c.id
    taken = set(session.execute(select(number).where(number.in_([row["id"] for row in rows]))).scalars())
    added = 0
    for keeps in (True, False):
        some = [row for row in rows if (row["id"] not in taken and row["id"] > 0) is keeps]
        values = [row if keeps else {name: row[name] for name in row if name != "id"} for row in some]
        if values:
            statement = insert(session, kind.model).on_conflict_do_nothing().returning(number)
            added += len(session.execute(statement, values).all())
    return added


# -- queues ---------------------------------------------------------------------------------------------


def _close_up(session: Session, rows: Sequence[OldRow]) -> None:
    for guild_id in sorted({row.values["guild_id"] for row in rows}):
        hold(session, guild_id)


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
