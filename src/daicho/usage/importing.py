"""Records from files: which column is what, ids that make a second import add nothing, lots at a time."""

import difflib
import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from daicho.core.errors import DaichoError, Invalid, Unavailable
from daicho.core.model import unknown_name
from daicho.core.operation import Sync
from daicho.core.types import uuid_text
from daicho.usage.importing_lines import Refused, UsageFile, Values
from daicho.usage.importing_values import READ, Clock, same
from daicho.usage.schemas import Success, UsageIn
from daicho.usage.store import UsageStore

CHUNK = 2000
"""Lines of one transaction: others, who write one record, wait a fifth of a second for them."""
COUNTS_KIB = 64 * 1024
"""How much memory telling equal lines apart may take, before it goes to a file."""
SPACE = UUID("5d0b6d1e-6f0c-4f0e-9d55-da1c40003a6e")
"""Within which ids are made of lines. Never another, or files would be imported anew."""
FIELDS: Mapping[str, object] = UsageIn.model_fields
PLAIN = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
"""Writes equal values alike."""
COUNTED = ("input_tokens", "output_tokens", "cost_usd")
"""Without any of them there is nothing to import."""
NEEDED: Mapping[str, str | None] = {
    "created_at": None,
    "tenant_id": "--tenant",
    "model": "--model",
    "operation": "--operation",
}
"""What every record has, and the option, if any, that gives it for all."""


@dataclass(slots=True)
class Imported:
    """What became of a file's lines."""

    added: int = 0
    existing: int = 0
    zoneless: int = 0
    """Times that name no zone."""
    ignored: list[str] = field(default_factory=list)
    """Columns that are none of a record."""


def import_file(
    usage: UsageStore[Sync],
    file: UsageFile,
    mapped: Mapping[str, str],
    given: Mapping[str, str],
    zone: ZoneInfo,
    *,
    refused: Refused,
    advance: Callable[[int], None],
) -> Imported:
    """Add the records of a file, some at a time, each lot in one transaction.

    Args:
        mapped: which column is which field; columns that are spelled like fields need not stand here.
        given: fields that all lines have in common, where the file does not say.
        zone: where times were written that name no zone.
        refused: is told each line that is not taken.
        advance: is told how many bytes have been dealt with.

    A line's record has an id that follows from the line, so a file that is imported again, or was cut
    off half-way, adds what is not there yet. Raises Invalid for columns that do not fit.
    """
    columns = columns_of(file.columns, mapped, given)
    clock = Clock(zone)
    done = Imported(ignored=[one for one in file.columns if one and one not in columns.values()])
    tenants = Tenants(usage)
    lines, seen = iter(file), 0
    with closing(Ids(given)) as ids:
        while lot := list(islice(lines, CHUNK)):
            numbers, records = [], []
            for number, values in lot:
                try:
                    record = _record(values, columns, given, clock, tenants)
                    record["id"] = ids.of(values, record.get("id"))
                except DaichoError as error:
                    refused(number, error.message)
                    continue
                numbers.append(number)
                records.append(record)
            try:
                answer = usage.record_many(records, reject=True)
            except Unavailable as error:
                raise _stopped(error, done) from None
            for one in answer.rejected:
                refused(numbers[one.line - 1], one.reason)
            done.added += answer.accepted
            done.existing += answer.duplicates
            advance(file.size - seen)
            seen = file.size
    done.zoneless = clock.zoneless
    return done


def _stopped(error: Unavailable, done: Imported) -> Unavailable:
    """What became of a file that could not be taken to its end."""
    so_far = done.added + done.existing
    return Unavailable(
        f"{error.message.en}; {so_far:,} records of the file are there: import it again, and it goes on",
        f"{error.message.ja}。ファイルのうち {so_far:,} 件は記録済みです。もう一度取り込むと続きから進みます",
    )


def _record(
    values: Values, columns: Mapping[str, str], given: Mapping[str, str], clock: Clock, tenants: "Tenants"
) -> Values:
    record: Values = dict(given)
    for name, column in columns.items():
        if (value := values.get(column)) is not None:
            record[name] = READ.get(name, same)(name, value)
    if "created_at" not in record:
        raise Invalid("created_at is missing", "created_at がありません")
    record["created_at"] = clock.read("created_at", record["created_at"])
    if record.get("success") != Success.FAILURE and not any(name in record for name in COUNTED):
        raise Invalid("neither tokens nor a cost stand here", "トークン数も費用もありません")
    if "tenant_id" in record:
        record["tenant_id"] = tenants.id_of(str(record["tenant_id"]))
    return record


# -- columns -----------------------------------------------------------------------------------------


def mapping_of(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return which column is which field, of pairs that a person wrote. Raises Invalid."""
    for column, name in pairs:
        if name not in FIELDS:
            error = unknown_name(name, FIELDS)
            raise Invalid(f"{column}={name}: {error.message.en}", f"{column}={name}: {error.message.ja}")
        if (twice := [one for one, other in pairs if other == name])[1:]:
            raise Invalid(
                f"{name} cannot be two columns: {', '.join(twice)}",
                f"{name} に複数の列を割り当てられません: {', '.join(twice)}",
            )
    return {name: column for column, name in pairs}


def columns_of(there: Sequence[str], mapped: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the column that each field stands in: as mapped, else the one that is spelled like it.

    Raises Invalid for a mapped column that the file does not have, and where what every record needs
    stands nowhere.
    """
    for column in mapped.values():
        if column not in there:
            raise _no_column(column, there)
    taken = set(mapped.values())
    found = {name: name for name in FIELDS if name in there and name not in taken} | dict(mapped)
    missing = [name for name in NEEDED if name not in found and name not in given]
    if not any(name in found for name in COUNTED):
        missing.append(COUNTED[0])
    if missing:
        raise _missing(missing, there)
    return found


def _no_column(column: str, there: Sequence[str]) -> Invalid:
    alike = {one.casefold(): one for one in there}
    near = difflib.get_close_matches(column.casefold(), alike, 1)
    has = ", ".join(there)
    return Invalid(
        f"the file has no column {column!r}; "
        + (f"did you mean {alike[near[0]]!r}?" if near else f"it has: {has}"),
        f"ファイルに列 {column!r} はありません。"
        + (f"{alike[near[0]]!r} ではありませんか" if near else f"ある列: {has}"),
    )


def _missing(names: Sequence[str], there: Sequence[str]) -> Invalid:
    has, all_of = ", ".join(there), ", ".join(names)
    ways = [f"--map COLUMN={name}" + (f" or {way}" if (way := NEEDED.get(name)) else "") for name in names]
    return Invalid(
        f"no column is {all_of}; say which: {', '.join(ways)}. The file has: {has}",
        f"{all_of} の列がありません。指定してください: {', '.join(ways)}。ファイルの列: {has}",
    )


# -- whose, and which --------------------------------------------------------------------------------


class Tenants:
    """Finds tenants by id or name, each once."""

    def __init__(self, usage: UsageStore[Sync]) -> None:
        self._usage = usage
        self._known: dict[str, str] = {}

    def id_of(self, named: str) -> str:
        """Return a tenant's id. Raises NotFound, Conflict."""
        if (known := self._known.get(named)) is None:
            known = self._known[named] = self._usage.find_tenant(named).id
        return known


class Ids:
    """Gives each line its record's id.

    The line's own, where it has one. Else it follows from all that the line says, from what is given for
    all lines, and from which of the equal lines it is: two equal lines are two calls. How the file is
    written (order of lines and columns, delimiter, quotes, line ends) does not matter.

    Args:
        given: fields that all lines have in common.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = PLAIN.encode(dict(given))
        # What was seen grows with the file, so it is kept in a file too, which goes by itself.
        self._counts = sqlite3.connect("", isolation_level=None)
        self._counts.execute("PRAGMA journal_mode = OFF")
        self._counts.execute(f"PRAGMA cache_size = -{COUNTS_KIB}")
        self._counts.execute("CREATE TABLE seen (line BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        self._counts.execute("BEGIN")

    def of(self, values: Values, own: object | None) -> str:
        """Return a line's id."""
        if own is not None:
            return uuid_text(own) or str(uuid5(SPACE, f"id {own}"))
        line = f"{PLAIN.encode(values)}\n{self._given}"
        digest = hashlib.sha256(line.encode(errors="surrogatepass")).digest()[:16]
        times = self._counts.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
            (digest,),
        ).fetchone()[0]
        return str(uuid5(SPACE, f"{digest.hex()} {times}"))

    def close(self) -> None:
        """Let the counts go."""
        self._counts.close()
