"""One file that was put or removed, as an event tells: what is done follows from the files as they are now.

Events of one file may be handled at the same time, here and elsewhere, and a sync beside them. Each look
notes what was known before it read; what was read is saved only if no more is known by then. Else it
looks again: so whoever saves last has read last.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from daicho.core.errors import Unavailable
from daicho.core.operation import Async
from daicho.core.page import LIMIT_MAX
from daicho.members.models import MemberFile
from daicho.members.schemas import (
    BAD,
    FileStatus,
    Kind,
    KnownFile,
    Listed,
    Outcome,
    Saved,
    SeenFile,
    kind_of,
    wrong_uri,
)
from daicho.members.spool import Spool
from daicho.members.store import MemberStore
from daicho.members.sync import Compared, Plan, carry_out, seen_file

if TYPE_CHECKING:
    from daicho.members.source import Source

TRIES = 10
"""Looks at a file that others look at too, before it is left to a later event."""
CHAIN_MAX = 100
"""Files that are read for one: who has its name, who has that one's new name, and so on."""
SEQUENCER = re.compile(r"[0-9A-Fa-f]{1,64}")

Freed = set[tuple[Kind, str]]
"""Names that nobody has any more."""


class Notices:
    """Takes a source's files over, one by one as events tell of them.

    Args:
        members: where to.
        source: where they are.
    """

    def __init__(self, members: MemberStore[Async], source: "Source") -> None:
        self._members, self._source = members, source

    async def look(self, path: str, sequencer: str | None = None) -> Saved:
        """Take a file over as it is now, then those that waited for a name that it gave up.

        Args:
            path: the file's path in the source.
            sequencer: S3's, of the event. One that is not later than the known one is not looked into,
                unless the file was in trouble.

        Returns what was done: ``known`` too where a file is in trouble still.

        Raises FileNotFoundError if it is no more; Unavailable.
        """
        file = await self._members.file(self._source.uri(path))
        old = file is not None and not is_later(sequencer, file.sequencer)
        if file is not None and old and file.status == FileStatus.OK:
            return Saved(file.file_uri, Outcome.KNOWN)
        saved, freed = await self._take(path, sequencer)
        await self._wake(freed)
        return replace(saved, outcome=Outcome.KNOWN) if old and saved.outcome in BAD else saved

    async def removed(self, path: str) -> Saved:
        """Remove the member of a file that is no more, or let it go on under a file that waits for its name.

        A file that is there after all is taken over. Raises Unavailable: the place must answer that the
        file is not there.
        """
        uri, kind = self._source.uri(path), kind_of(path)
        for _ in range(TRIES):
            known = {uri: KnownFile.of(await self._members.file(uri))}
            if await self._source.has(path):
                try:
                    return await self.look(path)
                except FileNotFoundError:
                    continue
            freed: Freed = set()
            if kind is not None:
                rows = await self._members.rows_of(kind, [uri])
                freed = {(kind, str(row["name"])) for row in rows.values()}
            await self._wake(freed.copy())
            count = await self._members.remove_files([uri], known)
            if await self._members.file(uri) is None:
                await self._wake(freed if count else set())
                return Saved(uri, Outcome.REMOVED if count else Outcome.GONE)
        raise self._restless(path)

    async def _take(self, path: str, sequencer: str | None = None) -> tuple[Saved, Freed]:
        for _ in range(TRIES):
            files, gone = await self._together(path, sequencer)
            compared = Compared(files[0].kind, Spool())
            await compared.take(self._members, files)
            made = Plan(
                changes=compared.decide(frozenset(gone), prune=False), renamed=compared.renamed, known=gone
            )
            done = await carry_out(self._members, made)
            if all(saved.outcome is not Outcome.KNOWN for saved in done):
                return done[0], _freed(made, done)
            if sequencer is not None and await self._is_known(files[0].file_uri, sequencer):
                return Saved(files[0].file_uri, Outcome.KNOWN), set()
        raise self._restless(path)

    async def _together(
        self, path: str, sequencer: str | None
    ) -> tuple[list[SeenFile], dict[str, KnownFile]]:
        """Read a file, and those that must move for it: who has its name, who has that one's new name …

        Returns them, and of those the ones that are no more.
        """
        seen = await self._read(path, sequencer)
        files, gone = {seen.file_uri: seen}, dict[str, KnownFile]()
        while seen.row and len(files) < CHAIN_MAX:
            holders = await self._members.holders_of(seen.kind, [str(seen.row["name"])])
            other = next((holder["file_uri"] for holder in holders.values()), None)
            if other is None or other in files or not self._source.holds(other):
                break
            known = KnownFile.of(await self._members.file(other))
            try:
                seen = await self._read(self._source.path(other))
            except FileNotFoundError:
                gone[other] = known
                break
            files[other] = seen
        return list(files.values()), gone

    async def _read(self, path: str, sequencer: str | None = None) -> SeenFile:
        uri = self._source.uri(path)
        file = await self._members.file(uri)
        content, etag, modified_at, wrong = b"", None, None, wrong_uri(uri)
        if wrong is None:
            content, etag, modified_at = await self._source.read(path)
        listed = Listed(kind_of(path) or Kind.HUMAN, path, etag, modified_at, wrong)
        seen = await asyncio.to_thread(seen_file, listed, uri, content, etag)
        known = None if file is None else file.sequencer
        return replace(
            seen,
            known=KnownFile.of(file),
            sequencer=sequencer if is_later(sequencer, known) else known,
        )

    async def _wake(self, freed: Freed) -> None:
        """Look again at the files that wait for these names, and for those that become free by it."""
        while freed:
            kind, name = freed.pop()
            async for path in self._waiting(kind, name):
                try:
                    _, more = await self._take(path)
                except FileNotFoundError:
                    continue  # an event of its own will tell
                freed |= more

    async def _waiting(self, kind: Kind, name: str) -> AsyncIterator[str]:
        cursor: str | None = None
        while True:
            page = await self._members.troubled_files(
                status=FileStatus.CONFLICT, limit=LIMIT_MAX, cursor=cursor
            )
            for file in page.items:
                if self._source.holds(file.file_uri) and _wants(file, name):
                    path = self._source.path(file.file_uri)
                    if kind_of(path) is kind:
                        yield path
            if (cursor := page.next) is None:
                return

    async def _is_known(self, uri: str, sequencer: str) -> bool:
        file = await self._members.file(uri)
        return file is not None and not is_later(sequencer, file.sequencer)

    def _restless(self, path: str) -> Unavailable:
        uri = self._source.uri(path)
        return Unavailable(
            f"{uri}: others look at it all the time; try again",
            f"{uri}: ほかの処理が続けて読んでいます。もう一度お試しください",
        )


def _freed(made: Plan, done: Sequence[Saved]) -> Freed:
    """The names that members had before this, and have no more."""
    moved = [
        (change.file, change.before)
        for change, saved in zip(made.changes, done, strict=True)
        if saved.outcome is Outcome.CHANGED
    ]
    return {
        (file.kind, str(before["name"]))
        for file, before in moved
        if before and before["name"] != file.row["name"]
    }


def _wants(file: MemberFile, name: str) -> bool:
    """Whether a file in conflict asks for a name; where that was not noted, it may."""
    return any(problem.get("wanted", name) == name for problem in file.problems or ())


def plain_sequencer(sequencer: str | None) -> str | None:
    """A sequencer as it is compared; None for what is none."""
    return sequencer.upper() if sequencer and SEQUENCER.fullmatch(sequencer) else None


def is_later(sequencer: str | None, known: str | None) -> bool:
    """Whether an event is later than one that is known; where nobody can know, it is looked at."""
    if sequencer is None or known is None:
        return True
    longest = max(len(sequencer), len(known))
    return sequencer.ljust(longest, "0") > known.ljust(longest, "0")
