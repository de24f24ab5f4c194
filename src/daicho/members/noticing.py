"""One file that was put or removed, as an event tells: what is done follows from the file as it is now."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

from daicho.core.operation import Async
from daicho.members.schemas import FileStatus, Kind, Listed, Outcome, Saved, is_member_file
from daicho.members.store import MemberStore
from daicho.members.sync import seen_file

if TYPE_CHECKING:
    from daicho.members.source import Source

RETRIED = 200
"""Files in conflict that are looked at again when a name has become free."""


async def look(
    members: MemberStore[Async], source: "Source", kind: Kind, path: str, sequencer: str | None = None
) -> Saved:
    """Take one file over as it is now. Raises FileNotFoundError if it is no more."""
    content, etag, modified_at = await source.read(path)
    seen = seen_file(Listed(kind, path, etag, modified_at), source.uri(path), content, etag)
    gone = set()
    if seen.row:
        held = (await members.holders_of(kind, [str(seen.row["name"])])).values()
        for holder in held:
            other = holder["file_uri"]
            if other and other != seen.file_uri and other.startswith(f"{source.base}/"):
                gone |= {other} if not await source.has(source.path(other)) else set()
    saved = await members.save_file(replace(seen, sequencer=sequencer, gone=frozenset(gone)))
    if saved.outcome in {Outcome.ADDED, Outcome.CHANGED}:
        await members.remove_files(sorted(gone))
    return saved


async def removed(members: MemberStore[Async], source: "Source", kind: Kind, uri: str) -> str:
    """A file is no more: its member goes on under a file that waits for the name, or is removed.

    Returns ``removed``, or ``gone`` if there was no member left to remove.
    """
    async for waiting in _in_conflict(members, source):
        try:
            await look(members, source, kind_of(waiting) or kind, waiting)
        except FileNotFoundError:
            continue
    return "removed" if await members.remove_files([uri]) else "gone"


async def _in_conflict(members: MemberStore[Async], source: "Source") -> AsyncIterator[str]:
    troubled = await members.troubled_files(limit=RETRIED)
    for file in troubled.items:
        if file.status == FileStatus.CONFLICT and file.file_uri.startswith(f"{source.base}/"):
            yield source.path(file.file_uri)


def kind_of(path: str) -> Kind | None:
    """Whose file a path is; None if it is none of the layout."""
    return next((kind for kind in Kind if is_member_file(kind, path)), None)


def is_later(sequencer: str | None, known: str | None) -> bool:
    """Whether an event is later than one that is known; where nobody can know, it is looked at."""
    if sequencer is None or known is None:
        return True
    longest = max(len(sequencer), len(known))
    return sequencer.ljust(longest, "0") > known.ljust(longest, "0")
