"""Reconciling a source of files with the ledger: what differs, and making it equal.

A plan is made first, of all files together, since names move between files: who gets a name that two
want, and which member goes on under a renamed file, cannot be told file by file. A plan holds names and
etags of all its files in memory, but their texts in a ``Spool``: they are read once, and a bucket may be
larger than the memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.members.document import Document, read
from daicho.members.naming import Names, Wish, has_file
from daicho.members.saving import OWN, Saving
from daicho.members.schemas import (
    NEVER,
    FileStatus,
    Kind,
    KnownFile,
    Listed,
    Outcome,
    Saved,
    SeenFile,
    wrong_uri,
)
from daicho.members.spool import Kept, Spool
from daicho.members.store import MemberStore

if TYPE_CHECKING:
    from daicho.members.source import Source

AT_ONCE = 500
"""Files that are read, compared and saved together: a statement and a commit for so many. The texts of so
many are in memory at once; a file is 1 MiB at most."""
Advance = Callable[[int], None]
Row = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """What a sync would do with a file.

    Attributes:
        file: the file as it was read; of what it says, its row holds the name alone.
        reason: why it cannot be taken over.
    """

    outcome: Outcome
    file: SeenFile
    reason: Text | None = None
    _texts: Kept | None = None

    @property
    def whole(self) -> SeenFile:
        """The file with all that it says."""
        return self.file if self._texts is None else replace(self.file, row=self._texts()[0] or {})

    @property
    def before(self) -> Row | None:
        """The member as it is now, if there is one."""
        return None if self._texts is None else self._texts()[1]

    @property
    def diff(self) -> dict[str, tuple[Any, Any]]:
        """The fields that change, each with its value before and after."""
        after, before = self._texts() if self._texts else (self.file.row, None)
        before = before or {}
        return {
            name: (before.get(name), value)
            for name, value in {**(after or {}), "file_uri": self.file.file_uri}.items()
            if before.get(name) != value
        }


@dataclass(slots=True)
class Plan:
    """What a sync would do.

    Attributes:
        changes: what it would do with each file that was read.
        unchanged: how many files were not read, since their etag is known.
        troubled: the files that were not read either, and are as wrong as they were.
        vanished: the files that are no more, with their members' names where they have one.
        renamed: of those, the files whose member goes on under another.
        known: what was known of the vanished files before they were missed.
        before: how many files were known.
    """

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    troubled: list[str] = field(default_factory=list)
    vanished: dict[str, str | None] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    known: Mapping[str, KnownFile] = field(default_factory=dict)
    before: int = 0

    @property
    def removed(self) -> list[str]:
        """The files whose members a sync with ``prune`` removes."""
        return [uri for uri in self.vanished if uri not in self.renamed]

    @property
    def removes_most(self) -> bool:
        """Whether those are more than half of the files that were known: a mistake, more likely than not."""
        return len(self.removed) * 2 > self.before


async def plan(
    members: MemberStore[Async], source: "Source", *, prune: bool = False, advance: Advance = lambda _: None
) -> Plan:
    """Compare a source with the ledger.

    Args:
        prune: whether members of vanished files will be removed: then their names are free.
        advance: told how many files more were looked at.
    """
    # In this order: what is noted after this was read later than what is listed now.
    below = await members.known_files(f"{source.base}/")
    known = {uri: file for uri, file in below.items() if source.holds(uri)}
    made, seen, spool = Plan(before=len(known)), set[str](), Spool()
    compared = {kind: Compared(kind, spool) for kind in Kind}
    async with aclosing(source.listed()) as pages:
        async for page in pages:
            new = {uri: file for file in page if (uri := source.uri(file.path)) not in seen}
            seen |= new.keys()
            wanted = {uri: file for uri, file in new.items() if not _is_known(file, known.get(uri))}
            bad = [uri for uri in new.keys() - wanted.keys() if known[uri].status != FileStatus.OK.value]
            made.troubled += bad
            made.unchanged += len(new) - len(wanted) - len(bad)
            advance(len(new) - len(wanted))
            for kind in Kind:
                for some in _some([file for file in wanted.values() if file.kind is kind]):
                    await compared[kind].take(members, await _read(source, some, known))
                    advance(len(some))
    made.troubled.sort()
    vanished = [uri for uri in known if uri not in seen]
    made.known = {uri: known[uri] for uri in vanished}
    for kind in Kind:
        decided = compared[kind].decide(frozenset(vanished), prune)
        made.changes += sorted(decided, key=lambda change: change.file.file_uri)
        made.renamed |= compared[kind].renamed
        for uris in _some(vanished):
            rows = await members.rows_of(kind, uris)
            made.vanished |= {uri: str(row["name"]) for uri, row in rows.items()}
    made.vanished |= {uri: None for uri in vanished if uri not in made.vanished}
    return made


async def carry_out(
    members: MemberStore[Async], plan: Plan, *, prune: bool = False, advance: Advance = lambda _: None
) -> list[Saved]:
    """Do what a plan says, ``AT_ONCE`` files a commit; return what each did.

    A file that cannot be saved keeps no other from it. What is committed is known to be done: after a
    sync that was killed, the next one goes on with the rest. With ``prune`` the members of vanished files
    are removed, but for those that go on under another. A file that somebody else has looked at since the
    plan was made stays as that left it.
    """
    if prune:
        # First: a name that they had may be another's now. Those that are renamed go on.
        await members.remove_files(plan.removed, plan.known)
    store, done = Saving[Async](members.runner), list[Saved]()
    for some in _some(plan.changes):
        saved = await store.save([change.whole for change in some])
        done += [
            replace(one, reason=change.reason) if one.outcome is Outcome.CONFLICT and change.reason else one
            for one, change in zip(saved, some, strict=True)
        ]
        advance(len(some))
    if plan.renamed:
        await members.remove_files(list(plan.renamed), plan.known)
    return done


def seen_file(
    listed: Listed, uri: str, content: bytes, etag: str | None, known: KnownFile | None = None
) -> SeenFile:
    """Read a file's content as what it says, or as what is wrong with it.

    Args:
        known: what was known of the file before it was read; None if nobody has looked.
    """
    document = Document()
    if wrong := listed.wrong or wrong_uri(uri):
        document.wrong(None, None, wrong.en, wrong.ja)
    else:
        document = read(content, listed.kind.model)
    problems = tuple(
        {"line": one.line, "key": one.key, "reason": one.reason.en, "reason_ja": one.reason.ja}
        for one in document.problems
    )
    return SeenFile(
        kind=listed.kind,
        file_uri=uri,
        etag=etag or listed.etag,
        modified_at=listed.modified_at,
        row={} if problems else document.row,
        problems=problems,
        known=known,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A file beside its member: what is needed of both once all are read.

    Attributes:
        file: its row holds the name alone.
        had: the name that the file's own member has.
        same: whether that member is as the file says.
        claims: the file of another member that has the name; "" where it never had one. If that file is gone,
            its member goes on under this one.
        texts: gives the file's row, and the row of its own member or of the one that it claims.
    """

    file: SeenFile
    had: str | None
    same: bool
    claims: str | None
    texts: Kept


class Compared:
    """The files of a kind, compared with the ledger some at a time, then decided together."""

    def __init__(self, kind: Kind, spool: Spool) -> None:
        self.renamed: dict[str, str] = {}
        self._kind, self._spool = kind, spool
        self._found: list[_Found] = []
        self._holders: dict[str, str | None] = {}

    async def take(self, members: MemberStore[Async], files: Sequence[SeenFile]) -> None:
        """Compare files with the members that are theirs, and with those that have the names they want."""
        rows = await members.rows_of(self._kind, [file.file_uri for file in files])
        names = [str(file.row["name"]) for file in files if file.row]
        holders = await members.holders_of(self._kind, names)
        self._holders |= {name: holder["file_uri"] for name, holder in holders.items()}
        for file in files:
            holder = holders.get(str(file.row["name"])) if file.row else None
            self._found.append(self._compare(file, rows.get(file.file_uri), holder))

    def _compare(self, file: SeenFile, own: Row | None, holder: Row | None) -> _Found:
        claims = None
        if own is None and holder:
            claims = holder["file_uri"] if has_file(holder["file_uri"]) else ""
        before = own or holder
        texts = self._spool.put(file.row, before and {k: v for k, v in before.items() if k not in OWN})
        return _Found(
            file=replace(file, row={"name": file.row["name"]}) if file.row else file,
            had=None if own is None else str(own["name"]),
            same=own is not None and all(own[name] == value for name, value in file.row.items()),
            claims=claims,
            texts=texts,
        )

    def decide(self, gone: frozenset[str], prune: bool) -> list[Change]:
        """Decide for each file what becomes of it.

        Args:
            gone: the files that are no more.
            prune: whether their members are removed first.
        """
        wishes = [
            Wish(one.file.file_uri, one.file.row["name"], one.had) for one in self._found if one.file.row
        ]
        refused, leaving = Names(self._holders, gone, prune).decide(wishes)
        return [self._change(found, refused, leaving, gone) for found in self._found]

    def _change(
        self, found: _Found, refused: Mapping[str, Text], leaving: frozenset[str], gone: frozenset[str]
    ) -> Change:
        file = found.file
        goes_on = found.claims is not None and (not found.claims or found.claims in gone)
        texts = found.texts if found.had is not None or goes_on else _without_member(found.texts)
        if file.problems:
            return Change(Outcome.INVALID, file, None, texts)
        if reason := refused.get(file.file_uri):
            mine = None if found.had is None else texts
            return Change(Outcome.CONFLICT, replace(file, conflict=reason), reason, mine)
        if goes_on and found.claims:
            self.renamed[found.claims] = file.file_uri
        if gone or leaving:
            file = replace(file, gone=gone, leaving=leaving)
        if found.had is None and not goes_on:
            return Change(Outcome.ADDED, file, None, texts)
        return Change(Outcome.UNCHANGED if found.same else Outcome.CHANGED, file, None, texts)


def _without_member(texts: Kept) -> Kept:
    return lambda: [texts()[0], None]


async def _read(source: "Source", files: Sequence[Listed], known: Mapping[str, KnownFile]) -> list[SeenFile]:
    def make(file: Listed, content: bytes) -> SeenFile:
        uri = source.uri(file.path)
        return seen_file(file, uri, content, file.etag, known.get(uri, NEVER))

    return await source.read_together(files, make)


def _is_known(file: Listed, known: KnownFile | None) -> bool:
    """Whether a file need not be read: this very version was, and nothing else can have freed its name."""
    return (
        known is not None
        and file.etag is not None
        and known.etag == file.etag
        and known.status != FileStatus.CONFLICT.value
    )


def _some(things: Sequence[T]) -> Iterator[Sequence[T]]:
    return (things[start : start + AT_ONCE] for start in range(0, len(things), AT_ONCE))
