"""Reconciling a source of files with the ledger: what differs, and making it equal.

A plan is made first, of all files together, since names move between files: who gets a name that two
want, and which member goes on under a renamed file, cannot be told file by file.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from daicho.core.language import Text
from daicho.core.operation import Async
from daicho.members.document import Document, read
from daicho.members.saving import OWN
from daicho.members.schemas import FileStatus, Kind, Listed, Outcome, Saved, SeenFile
from daicho.members.store import MemberStore

if TYPE_CHECKING:
    from daicho.members.source import Source

AT_ONCE = 64
"""Files that are read, and saved, at the same time."""
Advance = Callable[[int], None]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What a sync would do with a file.

    Attributes:
        before: the member's row, if it has one.
        file: the file as it was read.
        reason: why it cannot be taken over.
    """

    outcome: Outcome
    file: SeenFile
    before: Row | None = None
    reason: Text | None = None

    @property
    def diff(self) -> dict[str, tuple[Any, Any]]:
        """The fields that change, each with its value before and after."""
        before = self.before or {}
        return {
            name: (before.get(name), value)
            for name, value in {**self.file.row, "file_uri": self.file.file_uri}.items()
            if name not in OWN and before.get(name) != value
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
    """

    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0
    troubled: list[str] = field(default_factory=list)
    vanished: dict[str, str | None] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


async def plan(
    members: MemberStore[Async], source: "Source", *, prune: bool = False, advance: Advance = lambda _: None
) -> Plan:
    """Compare a source with the ledger.

    Args:
        prune: whether members of vanished files will be removed: then their names are free.
        advance: told of each file that was looked at.
    """
    listed = await source.listed()
    known = await members.known_files(f"{source.base}/")
    wanted = [uri for uri, file in listed.items() if not _is_known(file, known.get(uri))]
    troubled = [uri for uri in listed.keys() - set(wanted) if known[uri][1] != FileStatus.OK.value]
    made = Plan(unchanged=len(listed) - len(wanted) - len(troubled), troubled=sorted(troubled))
    advance(len(listed) - len(wanted))
    seen = await _read_all(source, {uri: listed[uri] for uri in wanted}, advance)
    vanished = [uri for uri in known if uri not in listed]
    for kind in Kind:
        mine = [file for file in seen if file.kind is kind]
        uris = [*(file.file_uri for file in mine), *vanished]
        rows = await members.rows_of(kind, uris)
        names = [str(file.row["name"]) for file in mine if file.row]
        holders = await members.holders_of(kind, names)
        gone = frozenset(vanished)
        made.changes += _decide(mine, rows, holders, gone, prune=prune)
        made.vanished |= {uri: str(rows[uri]["name"]) for uri in vanished if uri in rows}
    made.vanished |= {uri: None for uri in vanished if uri not in made.vanished}
    for change in made.changes:
        former = change.before.get("file_uri") if change.before else None
        if former in made.vanished and change.outcome in {Outcome.CHANGED, Outcome.UNCHANGED}:
            made.renamed[str(former)] = change.file.file_uri
    return made


async def carry_out(
    members: MemberStore[Async], plan: Plan, *, prune: bool = False, advance: Advance = lambda _: None
) -> list[Saved]:
    """Do what a plan says, a transaction a file; return what each did.

    With ``prune`` the members of vanished files are removed, but for those that go on under another.
    """
    if prune:
        # First: a name that they had may be another's now. Those that are renamed go on.
        await members.remove_files([uri for uri in plan.vanished if uri not in plan.renamed])
    gate = asyncio.Semaphore(AT_ONCE)

    async def save(change: Change) -> Saved:
        async with gate:
            saved = await members.save_file(change.file)
            advance(1)
            return saved if change.reason is None else replace(saved, reason=change.reason)

    done = await asyncio.gather(*[save(change) for change in plan.changes])
    if plan.renamed:
        await members.remove_files(list(plan.renamed))
    return list(done)


def seen_file(listed: Listed, uri: str, content: bytes, etag: str | None) -> SeenFile:
    """Read a file's content as what it says, or as what is wrong with it."""
    document: Document = read(content, listed.kind.model)
    problems = tuple(
        {"line": one.line, "key": one.key, "reason": one.reason.en, "reason_ja": one.reason.ja}
        for one in document.problems
    )
    if len(uri) > 512:
        long = Text("its URI is longer than 512 characters", "URI が 512 文字を超えています")
        problems = ({"line": None, "key": None, "reason": long.en, "reason_ja": long.ja},)
    return SeenFile(
        kind=listed.kind,
        file_uri=uri,
        etag=etag or listed.etag,
        modified_at=listed.modified_at,
        row={} if problems else document.row,
        problems=problems,
    )


def _is_known(file: Listed, known: tuple[str | None, str] | None) -> bool:
    """Whether a file need not be read: this very version was, and nothing else can have freed its name."""
    return (
        known is not None
        and file.etag is not None
        and known[0] == file.etag
        and known[1] != FileStatus.CONFLICT.value
    )


async def _read_all(source: "Source", listed: Mapping[str, Listed], advance: Advance) -> list[SeenFile]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(uri: str, file: Listed) -> SeenFile | None:
        async with gate:
            try:
                content, _, _ = await source.read(file.path)
            except FileNotFoundError:
                return None  # it has gone since it was listed: the next sync sees to it
            advance(1)
            return seen_file(file, uri, content, file.etag)

    found = await asyncio.gather(*[one(uri, file) for uri, file in listed.items()])
    return sorted((file for file in found if file is not None), key=lambda file: file.file_uri)


def _decide(
    files: list[SeenFile],
    rows: Mapping[str, Row],
    holders: Mapping[str, Row],
    gone: frozenset[str],
    *,
    prune: bool,
) -> list[Change]:
    """Decide for each file of a kind, in the files' order, what becomes of it.

    A name belongs to who has it, unless that one's own file gives it up in this very sync. Whoever does
    not get the name that it wants keeps the one that it has, which may decide about others: so until
    nothing moves any more.
    """
    valid = {file.file_uri: file for file in files if file.row}
    leaving = {uri for uri, file in valid.items() if uri in rows and rows[uri]["name"] != file.row["name"]}
    while True:
        refused = _refused(valid, rows, holders, gone, leaving, prune=prune)
        if not leaving & refused.keys():
            break
        leaving -= refused.keys()
    changes = []
    for file in files:
        if file.problems:
            changes.append(Change(Outcome.INVALID, file, rows.get(file.file_uri)))
            continue
        before = rows.get(file.file_uri)
        if file.file_uri in refused:
            reason = refused[file.file_uri]
            changes.append(Change(Outcome.CONFLICT, replace(file, conflict=reason), before, reason))
            continue
        if before is None:
            holder = holders.get(str(file.row["name"]))
            before = holder if holder and (holder["file_uri"] is None or holder["file_uri"] in gone) else None
        here = {**file.row, "file_uri": file.file_uri}
        same = before is not None and all(before[name] == value for name, value in here.items())
        outcome = Outcome.ADDED if before is None else Outcome.UNCHANGED if same else Outcome.CHANGED
        passed = replace(file, gone=gone, leaving=frozenset(leaving))
        changes.append(Change(outcome, passed, before))
    return changes


def _refused(
    valid: Mapping[str, SeenFile],
    rows: Mapping[str, Row],
    holders: Mapping[str, Row],
    gone: frozenset[str],
    leaving: set[str],
    *,
    prune: bool,
) -> dict[str, Text]:
    """The files that do not get the name that they want, and why."""
    refused: dict[str, Text] = {}
    taken: dict[str, str] = {}
    for uri, file in sorted(valid.items(), key=lambda item: (not _keeps(item[1], rows), item[0])):
        name = str(file.row["name"])
        holder = holders.get(name)
        held_by = None if holder is None else holder["file_uri"]
        free = (
            holder is None
            or held_by == uri
            or held_by in leaving
            or (uri not in rows and (held_by is None or held_by in gone))
            or (prune and held_by in gone)
        )
        if name in taken or not free:
            who = taken.get(name) or held_by or "?"
            refused[uri] = Text(
                f"the name {name!r} belongs to {who}; give one of them another",
                f"名前 {name!r} は {who} のものです。どちらかの名前を変えてください",
            )
        else:
            taken[name] = uri
    return refused


def _keeps(file: SeenFile, rows: Mapping[str, Row]) -> bool:
    """Whether a file keeps the name that its member has."""
    return file.file_uri in rows and rows[file.file_uri]["name"] == file.row["name"]
