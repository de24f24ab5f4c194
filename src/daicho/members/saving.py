"""How members' files reach the database: ``save_files``, the batch behind ``save_file`` and ``Saving``.

A file is its member's key: an upsert by ``file_uri``, one statement for a whole batch. Beside it stands
the rule of names: a name belongs to the member that has it. A file that claims it takes the member over
if that one's own file is gone (the file was renamed) or never was; else it is a conflict, and the
member stays as it was.

A file that was read is saved only if no more is known of it than was known before it was read: what is
known is locked, and a file that is new is inserted as such, so that of two who read it the later one is
told. Whoever saves last has read last.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from daicho.core.dialect import insert_for
from daicho.core.language import Text
from daicho.core.operation import Mode, Store, idempotent
from daicho.core.types import now
from daicho.members.models import HumanMember, MemberFile, VirtualMember
from daicho.members.naming import belongs_to, has_file
from daicho.members.schemas import FileStatus, Kind, Outcome, Saved, SeenFile, can_be_noted

Row = dict[str, Any]
Model = type[HumanMember] | type[VirtualMember]
OWN = {"id", "created_at", "updated_at"}
"""Columns that a file does not decide."""


def save_files(connection: Connection, files: Sequence[SeenFile]) -> list[Saved]:
    """Save files with their members, and answer each.

    A file that cannot be saved does not hold up the others: where one of a batch meets a concurrent
    writer, or is in it twice, each is saved by itself.
    """
    if len({file.file_uri for file in files}) < len(files):
        return [_save_alone(connection, file) for file in files]
    try:
        with connection.begin_nested():
            return list(_save(connection, files))
    except IntegrityError:
        return [_save_alone(connection, file) for file in files]


class Saving(Store[Mode]):
    """The saving of many files that are at hand at once: a commit for all of them, and no queue."""

    room = "members"

    @idempotent
    def save(self, session: Session, files: Sequence[SeenFile]) -> list[Saved]:
        """Save files; return what each did. As ``save_file`` for each, but for one transaction."""
        return save_files(session.connection(), files)


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
    noted = _noted(connection, files)
    late = {file.file_uri for file in files if not _is_as_known(file, noted)}
    saved = {uri: Saved(uri, Outcome.KNOWN) for uri in late}
    _look_again(connection, [uri for uri in late if any(uri in file.leaving for file in files)])
    files_now = [file for file in files if file.file_uri not in late]
    for kind in Kind:
        mine = [file for file in files_now if file.kind is kind and not (file.problems or file.conflict)]
        if mine:
            saved |= {one.file_uri: one for one in _save_members(connection, kind.model, mine, late)}
    for file in files_now:
        if file.problems:
            saved[file.file_uri] = Saved(file.file_uri, Outcome.INVALID)
        elif file.conflict:
            saved[file.file_uri] = Saved(file.file_uri, Outcome.CONFLICT, file.conflict)
    _note(connection, [(file, saved[file.file_uri]) for file in files_now], noted)
    return [saved[file.file_uri] for file in files]


def _noted(connection: Connection, files: Sequence[SeenFile]) -> Mapping[str, datetime]:
    """When each file was noted last, of those that were; their rows are locked."""
    uris = [file.file_uri for file in files if can_be_noted(file.file_uri)]
    there = select(MemberFile.file_uri, MemberFile.synced_at).where(MemberFile.file_uri.in_(uris))
    found = connection.execute(there.order_by(MemberFile.file_uri).with_for_update())
    return {row.file_uri: row.synced_at for row in found}


def _is_as_known(file: SeenFile, noted: Mapping[str, datetime]) -> bool:
    return file.known is None or file.known.synced_at == noted.get(file.file_uri)


def _look_again(connection: Connection, uris: Sequence[str]) -> None:
    """Let the next sync read files in any case: the name that they were to give up may be another's now."""
    if uris:
        connection.execute(update(MemberFile).where(MemberFile.file_uri.in_(uris)).values(etag=None))


def _save_members(
    connection: Connection, model: Model, files: Sequence[SeenFile], late: set[str]
) -> Iterable[Saved]:
    """Decide, by what is there, what each file does; then write it all. Those in ``late`` do not move."""
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
            if holder["file_uri"] in file.leaving - late:
                parked.append({"key": holder["id"], "new_name": f"#{holder['id']} {name}"[:255]})
                holder = None
            elif own is not None or (has_file(holder["file_uri"]) and holder["file_uri"] not in file.gone):
                yield Saved(uri, Outcome.CONFLICT, belongs_to(name, holder["file_uri"]))
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


def _note(
    connection: Connection, files: Sequence[tuple[SeenFile, Saved]], noted: Mapping[str, datetime]
) -> None:
    """Note each file's version and what is wrong with it. One that cannot be noted is told of each time."""
    statuses = {Outcome.INVALID: FileStatus.INVALID, Outcome.CONFLICT: FileStatus.CONFLICT}
    moment = now()
    rows = [
        {
            "file_uri": file.file_uri,
            "etag": file.etag,
            "sequencer": file.sequencer,
            "status": statuses.get(saved.outcome, FileStatus.OK).value,
            "problems": [dict(one) for one in file.problems] or _reason(file, saved),
            "modified_at": file.modified_at,
            "synced_at": moment,
        }
        for file, saved in files
        if can_be_noted(file.file_uri)
    ]
    new = [row for row in rows if row["file_uri"] not in noted]
    old = [row for row in rows if row["file_uri"] in noted]
    if new:
        connection.execute(insert_for(connection.dialect.name, MemberFile), new)
    if old:
        connection.execute(_upsert_file(connection.dialect.name), old)


def _conflict(connection: Connection, file: SeenFile, reason: Text) -> Saved:
    saved = Saved(file.file_uri, Outcome.CONFLICT, reason)
    _note(connection, [(file, saved)], _noted(connection, [file]))
    return saved


def _reason(file: SeenFile, saved: Saved) -> list[Row] | None:
    """Why a file is in conflict, and the name that it waits for."""
    if saved.reason is None:
        return None
    return [
        {
            "line": None,
            "key": "name",
            "reason": saved.reason.en,
            "reason_ja": saved.reason.ja,
            "wanted": file.row.get("name"),
        }
    ]


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
    # Who does not know a sequencer, as a sync, leaves the known one.
    known = func.coalesce(new.sequencer, MemberFile.sequencer)
    return statement.on_conflict_do_update(
        index_elements=["file_uri"], set_={**{name: new[name] for name in names}, "sequencer": known}
    )
