"""The operations on members: the only place that queries their tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from daicho.core.dialect import containing, insert
from daicho.core.errors import Conflict, NotFound
from daicho.core.model import check_text
from daicho.core.operation import Mode, grouped, idempotent, query
from daicho.core.page import Page, keyset
from daicho.core.types import now
from daicho.members.given import given_row
from daicho.members.keeping import MemberKeeping
from daicho.members.models import HumanMember, MemberFile, VirtualMember
from daicho.members.saving import save_files
from daicho.members.schemas import MEMBER, NEVER, FileStatus, Kind, KnownFile, SeenFile

Member = HumanMember | VirtualMember
AT_ONCE = 500
"""Names and files that one statement carries."""


class MemberStore(MemberKeeping[Mode]):
    """``ledger.members``: human and virtual members (seed 002)."""

    room = "members"

    @query
    def list_humans(
        self, session: Session, *, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[HumanMember]:
        """Return people by name.

        Args:
            text: only those whose name or role contains it, letter case aside.
            limit: members a page, at most 1,000.
            cursor: a former page's ``next``.
        """
        return _list(session, HumanMember, text, limit, cursor)

    @query
    def list_virtual(
        self, session: Session, *, text: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[VirtualMember]:
        """Return virtual members by name. As ``list_humans``."""
        return _list(session, VirtualMember, text, limit, cursor)

    @query
    def get_human(self, session: Session, name: str) -> HumanMember:
        """Return a person. Raises NotFound."""
        human: HumanMember = _one(session, HumanMember, name)
        return human

    @query
    def get_virtual(self, session: Session, name: str) -> VirtualMember:
        """Return a virtual member. Raises NotFound."""
        virtual: VirtualMember = _one(session, VirtualMember, name)
        return virtual

    @idempotent
    def save_or_update_human_member(
        self, session: Session, member_data: Mapping[str, Any] | HumanMember
    ) -> HumanMember:
        """Save a person by name: a new one, or new values for the one of that name.

        Args:
            member_data: values by the columns' names, or a person with the values that are set;
                ``name`` is needed. What is not given stays.

        ``updated_at`` moves only when something changes. The file that describes a person leads: the
        next sync reads it again and puts its word back. Raises Invalid; Conflict for a ``file_uri`` that
        another member has. Seed 002.
        """
        human: HumanMember = _save_by_name(session, HumanMember, member_data)
        return human

    @idempotent
    def save_or_update_virtual_member(
        self, session: Session, member_data: Mapping[str, Any] | VirtualMember
    ) -> VirtualMember:
        """Save a virtual member by name; ``llm_model`` is needed too. As the one for people. Seed 002.

        ``custom_prompt`` is another name of ``system_prompt``, as in files.
        """
        virtual: VirtualMember = _save_by_name(session, VirtualMember, member_data)
        return virtual

    @grouped(save_files)
    def save_file(self, file: SeenFile) -> SeenFile:
        """Save a version of a file, with its member, in a commit shared with others (``saving``).

        Returns what it did, once it is durable. The same version again changes nothing.
        """
        return file

    @query
    def file(self, session: Session, file_uri: str) -> MemberFile | None:
        """Return what is known of a file; None if it was never read."""
        return session.get(MemberFile, file_uri)

    @query
    def known_files(self, session: Session, prefix: str) -> Mapping[str, KnownFile]:
        """Return what is known of every file below a prefix, by its URI."""
        found = session.execute(
            select(MemberFile.file_uri, MemberFile.etag, MemberFile.status, MemberFile.synced_at).where(
                MemberFile.file_uri.startswith(prefix, autoescape=True)
            )
        )
        return {uri: KnownFile(etag, status, synced_at) for uri, etag, status, synced_at in found}

    @query
    def rows_of(self, session: Session, kind: Kind, file_uris: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return the members of files, as rows, by their file's URI."""
        model: Any = kind.model
        rows: dict[str, dict[str, Any]] = {}
        for start in range(0, len(file_uris), AT_ONCE):
            some = file_uris[start : start + AT_ONCE]
            for member in session.execute(select(model).where(model.file_uri.in_(some))).scalars():
                rows[str(member.file_uri)] = member.values()
        return rows

    @query
    def holders_of(self, session: Session, kind: Kind, names: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """Return the members of these names, as rows, by name."""
        model: Any = kind.model
        rows: dict[str, dict[str, Any]] = {}
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            for member in session.execute(select(model).where(model.name.in_(some))).scalars():
                rows[member.name] = member.values()
        return rows

    @query
    def troubled_files(
        self,
        session: Session,
        *,
        status: FileStatus | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[MemberFile]:
        """Return the files that could not be taken over when they were last read.

        Args:
            status: only those in this kind of trouble.
        """
        wanted = MemberFile.status != FileStatus.OK.value if status is None else MemberFile.status == status
        troubled = select(MemberFile).where(wanted)
        return keyset(session, troubled, [MemberFile.file_uri], limit=limit, cursor=cursor)

    @idempotent
    def remove_files(
        self, session: Session, file_uris: Sequence[str], known: Mapping[str, KnownFile] | None = None
    ) -> int:
        """Forget files that are no more, and delete their members. Returns how many members.

        Args:
            known: what was known of each before it was seen to be no more. One that somebody has looked
                at since stays: it may be there again.
        """
        gone = 0
        for start in range(0, len(file_uris), AT_ONCE):
            some = file_uris[start : start + AT_ONCE]
            if known is not None:
                some = _as_known(session, some, known)
            models: tuple[Any, ...] = (HumanMember, VirtualMember)
            for model in models:
                deleted = session.execute(delete(model).where(model.file_uri.in_(some)).returning(model.id))
                gone += len(deleted.all())
            session.execute(delete(MemberFile).where(MemberFile.file_uri.in_(some)))
        return gone

    @query
    def counts(self, session: Session) -> Mapping[str, int]:
        """Return how many people, virtual members and files in trouble there are."""
        troubled = (
            select(func.count()).select_from(MemberFile).where(MemberFile.status != FileStatus.OK.value)
        )
        return {
            "human": session.scalar(select(func.count(HumanMember.id))) or 0,
            "virtual": session.scalar(select(func.count(VirtualMember.id))) or 0,
            "troubled": session.scalar(troubled) or 0,
        }


# -- shared statements -----------------------------------------------------------------------------


def _list(session: Session, model: Any, text: str | None, limit: int, cursor: str | None) -> Page[Any]:
    statement = select(model)
    if text is not None:
        wanted = check_text("text", text, 255)
        statement = statement.where(or_(containing(model.name, wanted), containing(model.role, wanted)))
    return keyset(session, statement, [model.name], limit=limit, cursor=cursor)


def _one(session: Session, model: Any, name: str) -> Any:
    member = session.execute(select(model).where(model.name == check_text("name", name))).scalar_one_or_none()
    if member is None:
        raise NotFound(MEMBER, name)
    return member


def _as_known(session: Session, uris: Sequence[str], known: Mapping[str, KnownFile]) -> list[str]:
    """The files of which no more is known than this; their rows are locked."""
    there = select(MemberFile.file_uri, MemberFile.synced_at).where(MemberFile.file_uri.in_(uris))
    now_known = {row.file_uri: row.synced_at for row in session.execute(there.with_for_update())}
    return [uri for uri in uris if now_known.get(uri) == known.get(uri, NEVER).synced_at]


def _save_by_name(session: Session, model: type[Member], data: Mapping[str, Any] | Member) -> Any:
    row = given_row(model, data)
    moment = now()
    statement = insert(session, model).values({**row, "created_at": moment, "updated_at": moment})
    new = statement.excluded
    given = [name for name in row if name != "name"]
    table = model.__table__
    if given:
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={**{name: new[name] for name in given}, "updated_at": new.updated_at},
            where=or_(*[table.c[name].is_distinct_from(new[name]) for name in given]),
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=["name"])
    try:
        written = session.execute(statement.returning(table.c.file_uri)).first()
    except IntegrityError as error:
        uri = row.get("file_uri")
        if uri is None or "file_uri" not in str(error.orig):
            raise  # a rule of the database's own
        raise Conflict(
            f"file_uri {uri!r} belongs to another member; a file describes one",
            f"file_uri {uri!r} は別のメンバーのものです。1 つのファイルが表すのは 1 人です",
        ) from None
    if written is not None and written.file_uri is not None:
        # The file leads: as if this version of it had never been read.
        forgotten = update(MemberFile).where(MemberFile.file_uri == written.file_uri)
        session.execute(forgotten.values(etag=None, sequencer=None))
    return session.execute(
        select(model).where(table.c.name == row["name"]), execution_options={"populate_existing": True}
    ).scalar_one()
