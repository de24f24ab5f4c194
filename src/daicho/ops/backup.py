"""Backups: made while others go on writing, verified by restoring them, kept for a while, and restored.

``core.backup`` writes the bare copy that seed 004's ``backup_database`` returns. Here a backup has a side
file that says what the database held at its instant, so that nobody has to believe in it.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daicho import __version__
from daicho.core.engine import Database
from daicho.core.errors import Conflict, DaichoError, Invalid, NotFound, Unavailable
from daicho.core.language import Text
from daicho.core.types import now
from daicho.ops.backup_kinds import (
    CHECKING,
    UPLOADING,
    Content,
    Kind,
    Restored,
    Steps,
    check_revision,
    unseen,
)
from daicho.ops.backup_manifest import (
    ENDINGS,
    SIDE,
    Manifest,
    is_backup,
    ledger_in,
    ledger_of,
    new_name,
    sha256_of,
    time_in,
)
from daicho.ops.backup_places import Folder, Place, Stored

LATEST = "latest"
ORPHAN = timedelta(days=7)
"""How old a side file without its backup must be to be one that a killed upload has left."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Which backups of a ledger stay: the newest ``count``, and those of the last ``days``. None: all."""

    count: int | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made.

    Attributes:
        manifest: its side file.
        where: it is, for people.
        removed: the names of older ones that went for it.
    """

    manifest: Manifest
    where: str
    removed: list[str]


def backup(
    database: Database,
    place: Place,
    *,
    keep: Keep = Keep(),
    verify: bool = True,
    scratch: str | None = None,
    steps: Steps = unseen,
) -> Made:
    """Write a backup of a database as it is at one instant, while others go on writing.

    Args:
        keep: which older backups of the same ledger stay; the last verified one always does.
        verify: read it back from the place, restore it into a scratch database, and compare all rows.
        scratch: the URL of another PostgreSQL server, to make the scratch database on.

    The backup is complete or not there. One that does not hold what the database held is not kept; one that
    could not be verified is, as such.

    Raises Invalid or Unavailable if it cannot be made, Unavailable if it could not be verified, Conflict if
    it does not hold the same.
    """
    kind = kind_of(database, steps)
    place.check()
    kind.check_source((scratch or "") if verify else None)
    with place.work() as work:
        manifest = _written(kind, work / "new")
        manifest = _put(kind, place, work / "new", manifest)
        if verify:
            manifest = _verified(kind, place, manifest, work, scratch)
    return Made(manifest, place.uri(manifest.file), prune(place, manifest.ledger, manifest.kind, keep))


def listed(place: Place, limit: int | None = None) -> list[Stored]:
    """Return the backups in a place, newest first. Raises Invalid or Unavailable if it cannot be read."""
    place.check()
    return _newest_first(place.stored(lambda names: sorted(names, key=time_in, reverse=True)[:limit]))


def removable(backups: Sequence[Stored], keep: Keep, at: datetime) -> list[str]:
    """Return the names of the backups of one ledger that need not stay. The last verified one always does."""
    if keep.count is None and keep.days is None:
        return []
    newest = _newest_first(backups)
    stay = {one.name for one in newest[: max(keep.count or 0, 1)]}
    if keep.days is not None:
        stay |= {one.name for one in newest if _made(one) >= at - timedelta(days=keep.days)}
    whole = [one.name for one in newest if one.manifest and one.manifest.verified and one.wrong is None]
    stay |= set(whole[:1])
    return [one.name for one in newest if one.name not in stay]


def prune(place: Place, ledger: str, kind: str, keep: Keep) -> list[str]:
    """Remove the backups of a ledger that need not stay, and return their names."""
    if keep.count is None and keep.days is None:
        return []
    ours = _of_ledger(place, ledger, kind)
    gone = removable(ours, keep, now())
    for name in gone:
        place.remove(name)
    _remove_orphans(place, ledger)
    return gone


def foretold(database: Database, place: Place, keep: Keep) -> list[str]:
    """Return the names of the backups that would go for a new, verified one."""
    place.check()
    kind = kind_of(database)
    content = Content("", now(), None, [])
    new = _manifest(kind, content, 0, "").model_copy(update={"verified": now()})
    ours = _of_ledger(place, new.ledger, kind.name)
    return removable([Stored(new.file, 0, new), *ours], keep, now())


def _of_ledger(place: Place, ledger: str, kind: str) -> list[Stored]:
    def wanted(names: list[str]) -> list[str]:
        return [name for name in names if ledger_in(name) == ledger and name.endswith(ENDINGS[kind])]

    return place.stored(wanted)


def restore(
    database: Database, place: Place, name: str = LATEST, *, force: bool = False, steps: Steps = unseen
) -> tuple[str, Restored]:
    """Put a backup in the place of a database, which is kept beside it; return the backup's name too.

    Args:
        database: need not be there.
        place: where the backup is.
        name: of the backup, or ``latest``: the newest of this database, or of the only one in the place.
        force: also if the database has rows or is in use.

    The backup is checked as a whole before anything is touched: its size and SHA-256, and what it holds.
    Whatever goes wrong, the database is as it was.

    Raises NotFound for no such backup, Invalid for a damaged one, Outdated for one of a newer Daicho,
    Conflict for a database that has rows or is in use.
    """
    kind = kind_of(database, steps)
    place.check()
    found = _chosen(kind, place, name)
    if found.manifest is None or found.wrong is not None:
        wrong = found.wrong or Text("cannot be checked", "確かめられません")
        raise Invalid(
            f"{place.uri(found.name)}: {wrong.en}; name another one (daicho db backups)",
            f"{place.uri(found.name)}: {wrong.ja}。別のものを指定してください (daicho db backups)",
        )
    manifest = found.manifest
    _check_kind(kind, manifest.kind, found.name)
    check_revision(manifest.revision, found.name)
    with ExitStack() as reading:
        with steps(CHECKING, manifest.size, True) as advance:
            file = reading.enter_context(place.at_hand(manifest, advance))
        return found.name, kind.restore(manifest, file, force=force)


def restore_file(
    database: Database, file: Path, *, force: bool = False, steps: Steps = unseen
) -> tuple[str, Restored]:
    """As ``restore``, from a file: a backup with its side file beside it, or a bare copy without one."""
    if (file.parent / (file.name + SIDE)).exists():
        return restore(database, Folder(file.parent), file.name, force=force, steps=steps)
    if not file.is_file():
        raise Invalid(f"{file}: there is no such file", f"{file}: ファイルがありません")
    kind = kind_of(database, steps)
    ending = next((one for one, ending in ENDINGS.items() if ending == file.suffix), kind.name)
    _check_kind(kind, ending, file.name)
    done = kind.restore(None, file, force=force)
    unchecked = Text(
        f"{file.name} has no side file: it was checked for damage, but nothing says what it should hold",
        f"{file.name} には付属ファイルがありません。破損の有無だけを確かめ、内容の照合はしていません",
    )
    return file.name, Restored(done.revision, done.rows, done.old, (unchecked, *done.notes))


def kind_of(database: Database, steps: Steps = unseen) -> Kind:
    """Return what backups are on a database."""
    if database.in_threads:
        from daicho.ops.backup_sqlite import SqliteFile

        return SqliteFile(database, steps)
    from daicho.ops.backup_postgres import PostgresDatabase

    return PostgresDatabase(database, steps)


def ledger_name(database: Database) -> str:
    """What the names of a database's backups begin with."""
    return ledger_of(str(database.url.database), kind_of(database).name)


def _written(kind: Kind, file: Path) -> Manifest:
    content = kind.write(file)
    if not content.tables:
        raise Invalid(
            f"{kind.database.place}: has no tables, so there is nothing to back up; is it the right"
            " database?",
            f"{kind.database.place}: 表がなく、バックアップするものがありません。データベースを確かめてくだ"
            "さい",
        )
    return _manifest(kind, content, file.stat().st_size, sha256_of(file))


def _manifest(kind: Kind, content: Content, size: int, sha256: str) -> Manifest:
    ledger = ledger_name(kind.database)
    return Manifest(
        daicho=__version__,
        file=new_name(ledger, kind.name, content.made),
        ledger=ledger,
        kind=kind.name,
        server=content.server,
        made=content.made.astimezone(UTC),
        revision=content.revision,
        size=size,
        sha256=sha256,
        tables=content.tables,
    )


def _put(kind: Kind, place: Place, file: Path, manifest: Manifest) -> Manifest:
    with kind.steps(UPLOADING, manifest.size, True) as advance:
        place.put(file, _side(manifest), manifest.file, advance)
    return manifest


def _verified(kind: Kind, place: Place, manifest: Manifest, work: Path, scratch: str | None) -> Manifest:
    where = place.uri(manifest.file)
    try:
        with ExitStack() as reading:
            with kind.steps(CHECKING, manifest.size, True) as advance:
                file = reading.enter_context(place.at_hand(manifest, advance))
            kind.verify(manifest, file, work, scratch)
    except (Conflict, Invalid) as error:
        place.remove(manifest.file)
        raise type(error)(*(f"{text}; it was not kept" for text in error.message)) from None
    except DaichoError as error:
        raise Unavailable(
            f"{where} is written but could not be verified: {error.message.en}",
            f"{where} は作成しましたが、検証できませんでした: {error.message.ja}",
        ) from None
    manifest = manifest.model_copy(update={"verified": now()})
    place.put_side(manifest.file, _side(manifest))
    return manifest


def _side(manifest: Manifest) -> bytes:
    return (manifest.model_dump_json(indent=1) + "\n").encode()


def _made(one: Stored) -> datetime:
    return one.manifest.made if one.manifest else time_in(one.name)


def _newest_first(backups: Sequence[Stored]) -> list[Stored]:
    return sorted(backups, key=lambda one: (_made(one), one.name), reverse=True)


def _remove_orphans(place: Place, ledger: str) -> None:
    files = place.files()
    for side in files:
        name = side.removesuffix(SIDE)
        alone = side.endswith(SIDE) and is_backup(name) and name not in files and ledger_in(name) == ledger
        if alone and time_in(name) < now() - ORPHAN:
            place.drop(side)


def _chosen(kind: Kind, place: Place, name: str) -> Stored:
    if name != LATEST:
        return place.one(name)
    fitting = [one for one in listed(place) if one.name.endswith(ENDINGS[kind.name])]
    own = ledger_name(kind.database)
    ledgers = {ledger_in(one.name) for one in fitting}
    if own not in ledgers and len(ledgers) > 1:
        names = ", ".join(sorted(ledgers))
        raise Conflict(
            f"{place.shown}: has backups of {names}, none of {own}; name the one to restore (daicho db"
            " backups)",
            f"{place.shown}: {names} のバックアップはありますが、{own} のものはありません。"
            "復元するものを指定してください (daicho db backups)",
        )
    for one in fitting:
        if own not in ledgers or ledger_in(one.name) == own:
            return one
    raise NotFound(Text(f"backup in {place.shown}", f"バックアップ ({place.shown}) "), LATEST)


def _check_kind(kind: Kind, other: str, name: str) -> None:
    if other == kind.name:
        return
    raise Invalid(
        f"{name}: is a backup of {other}, and {kind.database.place} is none; restore it into one of its own"
        " kind,"
        " then: daicho db copy SOURCE_URL TARGET_URL",
        f"{name}: {other} のバックアップです。{kind.database.place} へは直接復元できません。"
        "同じ種類のデータベースへ復元し、daicho db copy 元 先 で移してください",
    )
