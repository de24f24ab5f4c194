"""Which rows of a bot's database the ledger has already, and what becomes of those whose number is taken.

A bot's tables give the number of a row that is gone to another one. So a number alone says nothing: a row
is the same one if what no operation changes agrees.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import Session

from daicho.core.errors import Conflict
from daicho.core.language import Text
from daicho.core.types import JsonText, json_value
from daicho.guilds.adoption_rows import OldRow
from daicho.guilds.adoption_tables import QUEUES, SETTINGS, STATISTICS, TRACKS, Kind
from daicho.guilds.models import REQUESTED, Track

Row = dict[str, Any]
Held = Mapping[str, Any]
ZONES_APART, ZONE_STEP = timedelta(hours=26), timedelta(minutes=15)
"""How far clocks of two zones are apart at most, and by what their distance can be divided."""
OF_A_TRACK = ("guild_id", "url", "requested_by", "created_at")
"""What tells tracks apart, whatever their numbers."""
OF_THEIR_OWN = {"id", "position", "updated_at"}
"""Columns that say nothing of what a row is about."""


@dataclass(slots=True)
class Found:
    """A bot's rows beside the ledger's.

    Attributes:
        there: rows that the ledger has, by their key there.
        same: those rows, each with the ledger's own.
        fresh: rows that it does not have, in their order.
        renumbered: the keys of those that need another number, because theirs is taken.
        moved: numbers that the ledger has other numbers for.
        refused: rows that cannot be adopted because their number is taken, and why.
    """

    there: dict[int, Held] = field(default_factory=dict)
    same: list[tuple[OldRow, Held]] = field(default_factory=list)
    fresh: list[OldRow] = field(default_factory=list)
    renumbered: set[int] = field(default_factory=set)
    moved: dict[int, int] = field(default_factory=dict)
    refused: list[tuple[OldRow, Text]] = field(default_factory=list)


def look(session: Session, kind: Kind, rows: Sequence[OldRow], *, lock: bool = False) -> Found:
    """Find out which rows the ledger has.

    Args:
        lock: keep everybody else from changing what is found until the transaction ends.

    Raises Conflict where a row differs by nothing but the zone that its time was read in.
    """
    key = kind.table.c[kind.key]
    statement = select(*kind.table.c).where(key.in_([row.values[kind.key] for row in rows])).order_by(key)
    held = session.execute(statement.with_for_update() if lock else statement).mappings()
    found = Found(there={row[kind.key]: dict(row) for row in held})
    taken = {
        row.values["id"]
        for row in rows
        if kind.key == "id" and (here := found.there.get(row.values["id"])) and not _is_same(kind, row, here)
    }
    elsewhere = _elsewhere(session, kind, rows, taken)
    for row in rows:
        number = row.values[kind.key]
        own = elsewhere.get(number) or (None if number in taken else found.there.get(number))
        if own is not None:
            found.same.append((row, own))
            if number in elsewhere:
                found.moved[number] = own["id"]
        elif number in taken and not kind.renumbers:
            found.refused.append((row, _taken(kind, row, found.there[number])))
        else:
            found.fresh.append(row)
            if number in taken:
                found.renumbered.add(number)
    return found


def entry_name(row: OldRow) -> str:
    """The ``request_id`` of an entry that was given another number: by it a later run knows the entry."""
    at = "" if "created_at" in row.assumed else f"{row.values['created_at']:%Y%m%dT%H%M%S.%f}"
    return f"adopted {row.values['id']} {at}"


def alike(kind: Kind, name: str, row: OldRow, held: Held) -> bool:
    """Whether a column says the same in both, or the file says nothing."""
    if name in row.assumed:
        return True
    if isinstance(kind.table.c[name].type, JsonText):
        return bool(json_value(held[name]) == json_value(row.values[name]))
    return bool(held[name] == row.values[name])


def kept(kind: Kind, found: Found) -> list[str]:
    """Rows that there is one of for a guild, and that the ledger has made on its own."""
    return [kind.name_of(row.values) for row, held in found.same if _is_own(kind, row, held)]


def differing(kind: Kind, found: Found) -> list[str]:
    """Rows that the ledger has, and of which the file says something else by now."""
    if kind is STATISTICS:  # they are merged
        return []
    names = [name for name in kind.columns if name not in {*OF_THEIR_OWN, kind.key, *kind.lasting}]
    return [
        kind.name_of(row.values)
        for row, held in found.same
        if not all(alike(kind, name, row, held) for name in names)
        and not _is_own(kind, row, held)
        and not registered_only(kind, row, held)
    ]


def registered_only(kind: Kind, row: OldRow, held: Held) -> bool:
    """Whether a guild's row is the one that came with its first ticket or log, and nobody has touched."""
    if kind is not SETTINGS:
        return False
    defaults = {"prefix": "!", "features_enabled": "tickets,logger"}
    ids = [name for name in held if name.endswith(("channel_id", "category_id", "role_id"))]
    untouched = held["created_at"] == held["updated_at"] and all(held[name] is None for name in ids)
    return (
        untouched
        and all(held[name] == value for name, value in defaults.items())
        and not alike(SETTINGS, "created_at", row, held)
    )


# -- numbers that are taken ----------------------------------------------------------------------------


def _is_same(kind: Kind, row: OldRow, held: Held) -> bool:
    """Whether two rows of one number are one. Raises Conflict where only the zone was another."""
    wrong = [name for name in kind.lasting if not alike(kind, name, row, held)]
    if len(wrong) == 1 and isinstance(at := row.values[wrong[0]], datetime):
        apart = abs(at - held[wrong[0]])
        if apart <= ZONES_APART and not apart % ZONE_STEP:
            raise Conflict(
                f"the ledger has another {kind.name_of(row.values)}: its {wrong[0]} is {held[wrong[0]]},"
                f" not {at}; nothing else differs: adopt with the --timezone of the first time",
                f"台帳には別の {kind.name_of(row.values)} があります: {wrong[0]} が {at} ではなく"
                f" {held[wrong[0]]} です。ほかは同じなので、最初と同じ --timezone で取り込んでください",
            )
    return not wrong


def _taken(kind: Kind, row: OldRow, held: Held) -> Text:
    name = next(name for name in kind.lasting if not alike(kind, name, row, held))
    here, wanted = (str(value)[:60] for value in (held[name], row.values[name]))
    named = kind.name_of(row.values)
    return Text(
        f"the ledger has another {named}: its {name} is {here}, not {wanted};"
        " only an empty ledger can have it by its number",
        f"台帳には別の {named} があります: {name} が {wanted} ではなく {here} です。"
        "この番号のまま取り込めるのは空の台帳だけです",
    )


def _elsewhere(session: Session, kind: Kind, rows: Sequence[OldRow], taken: set[int]) -> dict[int, Held]:
    """Rows that an earlier run has given another number, by the number that they have in the file."""
    if kind is QUEUES:
        names = {row.values["id"]: (row.values["guild_id"], entry_name(row)) for row in rows}
        table = QUEUES.table.c
        own = tuple_(table.guild_id, table.request_id).in_(names.values())
        named = _by(session, select(*table).where(own, REQUESTED), "guild_id", "request_id")
        return {number: named[name] for number, name in names.items() if name in named}
    if kind is TRACKS and taken:
        moved = [row.values for row in rows if row.values["id"] in taken]
        guilds, times = ({row[name] for row in moved} for name in ("guild_id", "created_at"))
        statement = select(*TRACKS.table.c).where(Track.guild_id.in_(guilds), Track.created_at.in_(times))
        twins = _by(session, statement, *OF_A_TRACK)
        keys = {row["id"]: tuple(row[name] for name in OF_A_TRACK) for row in moved}
        return {number: twins[key] for number, key in keys.items() if key in twins}
    return {}


def _by(session: Session, statement: Select[Any], *names: str) -> dict[tuple[Any, ...], Held]:
    found = session.execute(statement).mappings()
    return {tuple(row[name] for name in names): dict(row) for row in found}


def _is_own(kind: Kind, row: OldRow, held: Held) -> bool:
    if kind.key == "id" or not kind.lasting or registered_only(kind, row, held):
        return False
    return not all(alike(kind, name, row, held) for name in kind.lasting)
