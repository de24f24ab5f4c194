"""How members' files reach the database: ``save_files``, the batch behind ``save_file``.

A file is its member's key: an upsert by ``file_uri``, one statement for a whole batch. Beside it stands
the rule of names: a name belongs to the member that has it. A file that claims it takes the member over
if that one's own file is gone (the file was renamed) or never was; else it is a conflict, and the
member stays as it was.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.exc import IntegrityError

from daicho.core.dialect import insert_for
from daicho.core.errors import DaichoError
from daicho.core.language import Text
from daicho.core.types import now
from daicho.members.models import HumanMember, MemberFile, VirtualMember
from daicho.members.schemas import FileStatus, Kind, Outcome, Saved, SeenFile

Row = dict[str, Any]
Model = type[HumanMember] | type[VirtualMember]
OWN = {"id", "created_at", "updated_at"}
"""Columns that a file does not decide."""


def save_files(connection: Connection, files: Sequence[SeenFile]) -> list[Saved | DaichoError]:
    """Save files with their members, and answer each.

    A file that cannot be saved does not hold up the others: where one of a batch meets a concurrent
    writer, each is saved by itself.
    """
    try:
        with connection.begin_nested():
            return list(_save(connection, files))
    except IntegrityError:
        return [_save_alone(connection, file) for file in files]


def _save_alone(connection: Connection, file: SeenFile) -> Saved:
    for _ in range(2):  # what the other one has committed is seen the second time
        try:
            with connection.begin_nested():
                return _save(connection, [file])[0]
        except IntegrityError:
            continue
    name = file.row.get("name")
    reason = Text(f"the name {name!r} was taken just now", f"名前 {name!r} はたった今ほかで使われました")
    return _conflict(connection, file, reason)


def _save(connection: Connection, files: Sequence[SeenFile]) -> list[Saved]:
    saved: dict[str, Saved] = {}
    for kind in Kind:
        mine = [file for file in files if file.kind is kind and not (file.problems or file.conflict)]
        if mine:
            saved |= {one.file_uri: one for one in _save_members(connection, kind.model, mine)}
    for file in files:
        if file.problems:
            saved[file.file_uri] = Saved(file.file_uri, Outcome.INVALID)
        elif file.conflict:
            saved[file.file_uri] = Saved(file.file_uri, Outcome.CONFLICT, file.conflict)
    _note(connection, [(file, saved[file.file_uri]) for file in files])
    return [saved[file.file_uri] for file in files]


def _save_members(connection: Connection, model: Model, files: Sequence[SeenFile]) -> Iterable[Saved]:
    """Decide, by what is there, what each file does; then write it all."""
    table = model.__table__
    wanted = or_(
        table.c.file_uri.in_([file.file_uri for file in files]),
        table.c.name.in_([file.row["name"] for file in files]),
    )
    there = [dict(row) for row in connection.execute(select(table).where(wanted)).mappings()]
    by_uri = {row["file_uri"]: row for row in there if row["file_uri"] is not None}
    by_name = {row["name"]: row for row in there}
    parked: list[Row] = []
    claimed: list[Row] = []
    written: list[Row] = []
    for file in files:
        uri, name = file.file_uri, file.row["name"]
        own, holder = by_uri.get(uri), by_name.get(name)
        if holder is not None and holder is not own:
            if holder["file_uri"] in file.leaving:
                parked.append({"key": holder["id"], "new_name": f"#{holder['id']} {name}"[:255]})
                holder = None
            elif own is not None or not (holder["file_uri"] is None or holder["file_uri"] in file.gone):
                yield _taken(uri, name, holder["file_uri"])
                continue
            else:
                claimed.append({"key": holder["id"], "new_uri": uri})
                own = holder
        row = {**file.row, "file_uri": uri}
        changed = own is None or any(own[key] != value for key, value in row.items())
        if own is not None and by_name.get(own["name"]) is own:
            del by_name[own["name"]]
        by_uri[uri] = by_name[name] = {**(own or {"id": None}), **row}
        if changed:
            written.append(row)
        yield Saved(uri, Outcome.ADDED if own is None else Outcome.CHANGED if changed else Outcome.UNCHANGED)
    moment = now()
    if parked:
        connection.execute(
            update(model).where(table.c.id == bindparam("key")).values(name=bindparam("new_name")), parked
        )
    if claimed:
        connection.execute(
            update(model).where(table.c.id == bindparam("key")).values(file_uri=bindparam("new_uri")), claimed
        )
    if written:
        stamped = [{**row, "created_at": moment, "updated_at": moment} for row in written]
        connection.execute(_upsert(connection.dialect.name, model), stamped)


def _note(connection: Connection, files: Sequence[tuple[SeenFile, Saved]]) -> None:
    """Note each file's version and what is wrong with it."""
    statuses = {Outcome.INVALID: FileStatus.INVALID, Outcome.CONFLICT: FileStatus.CONFLICT}
    moment = now()
    rows = [
        {
            "file_uri": file.file_uri,
            "etag": file.etag,
            "sequencer": file.sequencer,
            "status": statuses.get(saved.outcome, FileStatus.OK).value,
            "problems": [dict(one) for one in file.problems] or _reason(saved),
            "modified_at": file.modified_at,
            "synced_at": moment,
        }
        for file, saved in files
    ]
    connection.execute(_upsert_file(connection.dialect.name), rows)


def _conflict(connection: Connection, file: SeenFile, reason: Text) -> Saved:
    saved = Saved(file.file_uri, Outcome.CONFLICT, reason)
    _note(connection, [(file, saved)])
    return saved


def _taken(uri: str, name: str, holder: str | None) -> Saved:
    who = holder or "?"
    reason = Text(
        f"the name {name!r} belongs to {who}; give one of them another",
        f"名前 {name!r} は {who} のものです。どちらかの名前を変えてください",
    )
    return Saved(uri, Outcome.CONFLICT, reason)


def _reason(saved: Saved) -> list[Row] | None:
    if saved.reason is None:
        return None
    return [{"line": None, "key": "name", "reason": saved.reason.en, "reason_ja": saved.reason.ja}]


@cache
def _upsert(dialect: str, model: Model) -> Any:
    statement = insert_for(dialect, model)
    new = statement.excluded
    names = [column.name for column in model.__table__.columns if column.name not in {*OWN, "file_uri"}]
    return statement.on_conflict_do_update(
        index_elements=["file_uri"],
        set_={**{name: new[name] for name in names}, "updated_at": new.updated_at},
        where=or_(*[model.__table__.c[name].is_distinct_from(new[name]) for name in names]),
    )


@cache
def _upsert_file(dialect: str) -> Any:
    statement = insert_for(dialect, MemberFile)
    new = statement.excluded
    names = [column.name for column in MemberFile.__table__.columns if column.name != "file_uri"]
    return statement.on_conflict_do_update(
        index_elements=["file_uri"], set_={name: new[name] for name in names}
    )
