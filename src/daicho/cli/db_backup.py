"""``daicho db backup``, ``backups`` and ``restore``."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from daicho.core.engine import Database
from daicho.core.language import Text, say
from daicho.core.options import DryRun, Json
from daicho.core.settings import Settings
from daicho.core.terminal import Table, Terminal, note, progress, put, put_json
from daicho.ledger import AsyncLedger, Ledger, open_database
from daicho.ops import backup as backups_of
from daicho.ops.backup import LATEST, Keep
from daicho.ops.backup_kinds import Restored
from daicho.ops.backup_places import Place, Stored, place_of

app = typer.Typer()

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="PLACE",
        help=say(
            "Where the backups are; backup.to (DAICHO_BACKUP_TO), if not given.",
            "バックアップの場所。省略時は backup.to (DAICHO_BACKUP_TO)。",
        ),
    ),
]


class BackupOut(BaseModel):
    """A backup, for programs. Of one without a readable side file only name, place and size are known."""

    name: str
    where: str
    size: int
    made: datetime | None = None
    ledger: str | None = None
    kind: str | None = None
    server: str | None = None
    daicho: str | None = None
    revision: str | None = None
    rows: int | None = None
    sha256: str | None = None
    verified: datetime | None = None
    wrong: str | None = None


class MadeOut(BackupOut):
    """A backup that was made, and those that went for it."""

    removed: list[str]


class RestoredOut(BaseModel):
    """What a restore has done, for programs."""

    name: str
    revision: str | None
    rows: int
    old: str | None
    upgrade: bool
    notes: list[str]


@app.command(
    help=say(
        "Write a backup as of one instant while others go on writing, and verify it by restoring it into a"
        " scratch database. PostgreSQL needs pg_dump on PATH.",
        "書き込みを止めずに、ある一時点のバックアップを作り、検証用データベースへ復元して確かめる。"
        "PostgreSQL では pg_dump が必要。",
    )
)
def backup(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help=say(
                "A folder or s3://bucket/prefix; backup.to (DAICHO_BACKUP_TO), if not given.",
                "フォルダーまたは s3://bucket/prefix。省略時は backup.to (DAICHO_BACKUP_TO)。",
            ),
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help=say(
                "Afterwards remove this ledger's older backups, but for the newest N; the last verified one"
                " always stays. backup.keep, if not given.",
                "作成後、この台帳の古いバックアップを新しい N 個だけ残して削除する。検証済みの最新の 1 個は"
                "必ず残す。省略時は backup.keep。",
            ),
        ),
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="DAYS",
            help=say(
                "Those of the last DAYS days stay too. backup.days, if not given.",
                "過去 DAYS 日以内のものも残す。省略時は backup.days。",
            ),
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help=say(
                "Restore it into a scratch database and compare.", "検証用データベースへ復元して照合する。"
            ),
        ),
    ] = True,
    scratch: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help=say(
                "PostgreSQL: verify on this server, where the login may create databases.",
                "PostgreSQL: データベースを作れる別のサーバーで検証する。",
            ),
        ),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    with _opened(context) as (database, settings):
        place = place_of(to or settings.backup.to, settings, make=True)
        kept = _keep(settings, keep, keep_days)
        if dry_run:
            _foretell(database, place, kept)
            return
        secret = settings.backup.scratch
        server = scratch or (secret.get_secret_value() if secret else None)
        made = backups_of.backup(database, place, keep=kept, verify=verify, scratch=server, steps=_steps)
    if json:
        one = _out(place, Stored(made.manifest.file, made.manifest.size, made.manifest))
        put_json(MadeOut(**one.model_dump(), removed=made.removed))
        return
    put(made.where)
    manifest = made.manifest
    size, rows, verified = _bytes(manifest.size), f"{manifest.rows:,}", manifest.verified is not None
    note(
        say(
            f"{rows} rows, {size}, {'verified' if verified else 'NOT verified'}",
            f"{rows} 行、{size}、{'検証済み' if verified else '未検証'}",
        )
    )
    for name in made.removed:
        note(say(f"removed {name}", f"{name} を削除しました"))


@app.command(help=say("List backups, newest first.", "バックアップを新しい順に一覧する。"))
def backups(
    context: typer.Context,
    from_: From = None,
    limit: Annotated[int, typer.Option(min=1, help=say("At most so many.", "最大件数。"))] = 100,
    json: Json = False,
) -> None:
    settings = _terminal(context).settings()
    place = place_of(from_ or settings.backup.to, settings)
    found = backups_of.listed(place, limit)
    if json:
        for one in found:
            put_json(_out(place, one))
        return
    table = Table(
        say("Name", "名前"),
        say("Time (UTC)", "時刻 (UTC)"),
        say("Size", "サイズ"),
        say("Kind", "種類"),
        say("Revision", "リビジョン"),
        say("Rows", "行数"),
        say("Verified", "検証"),
    )
    table.add([_row(one) for one in found])
    if not found:
        note(say(f"no backups in {place.shown}", f"{place.shown} にバックアップはありません"))


@app.command(
    help=say(
        "Put a backup in the database's place. It is checked before anything is touched; a database that has"
        " rows or is in use is replaced only with --force, and kept under another name.",
        "バックアップからデータベースを復元する。先にバックアップを検査する。データのあるデータベースは"
        " --force を付けたときだけ置き換え、元のものを別名で残す。",
    )
)
def restore(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME|FILE|latest]",
            show_default=False,
            help=say("Which; the latest, if not given.", "対象。省略時は最新。"),
        ),
    ] = LATEST,
    from_: From = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help=say(
                "Also over a database with rows, and (PostgreSQL) one that is in use: sessions are ended.",
                "データのあるデータベースも置き換える。PostgreSQL では使用中の接続を切る。",
            ),
        ),
    ] = False,
    json: Json = False,
) -> None:
    with _opened(context) as (database, settings):
        file = None if from_ else _file(name)
        if file is not None:
            restored, done = backups_of.restore_file(database, file, force=force, steps=_steps)
        else:
            where, _, last = name.rpartition("/") if "://" in name else ("", "", name)
            place = place_of(where or from_ or settings.backup.to, settings)
            restored, done = backups_of.restore(database, place, last, force=force, steps=_steps)
        shown = database.place
    if json:
        put_json(_restored_out(restored, done))
        return
    put(
        say(
            f"{restored} restored into {shown}: {done.rows:,} rows, revision {done.revision or '(none)'}",
            f"{restored} を {shown} へ復元しました: {done.rows:,} 行、リビジョン {done.revision or '(なし)'}",
        )
    )
    if done.old:
        note(
            say(
                f"the database that was there is now {done.old}",
                f"元のデータベースは {done.old} に残しました",
            )
        )
    for text in done.notes:
        note(str(text))
    if done.outdated:
        note(
            say(
                "it is of an older revision; now run: daicho db upgrade",
                "古いリビジョンです。次に daicho db upgrade",
            )
        )


@contextmanager
def _opened(context: typer.Context) -> Iterator[tuple[Database, Settings]]:
    """Open the database without asking for a certain revision."""
    settings = _terminal(context).settings()
    database = open_database(settings=settings)
    try:
        yield database, settings
    finally:
        database.close()


def _terminal(context: typer.Context) -> Terminal[Ledger, AsyncLedger]:
    terminal: Terminal[Ledger, AsyncLedger] = context.obj
    return terminal


def _keep(settings: Settings, count: int | None, days: int | None) -> Keep:
    """What the command line says, or else, if it says nothing, what the settings say."""
    if count is None and days is None:
        return Keep(settings.backup.keep, settings.backup.days)
    return Keep(count, days)


def _steps(title: Text, total: int | None, in_bytes: bool) -> AbstractContextManager[Callable[[int], None]]:
    return progress(str(title), total, in_bytes=in_bytes)


def _foretell(database: Database, place: Place, keep: Keep) -> None:
    """Say what a backup would do."""
    place.check()
    put(
        say(
            f"would write a backup of {database.place} to {place.shown}",
            f"{database.place} のバックアップを {place.shown} に作ります",
        )
    )
    for name in backups_of.foretold(database, place, keep):
        put(say(f"would remove {name}", f"{name} を削除します"))


def _file(name: str) -> Path | None:
    """The file that a name means, if it is none of a backup in a place."""
    path = Path(name).expanduser()
    return path if "://" not in name and (path.is_file() or len(path.parts) > 1) else None


def _row(one: Stored) -> tuple[str, ...]:
    manifest = one.manifest
    if manifest is None or one.wrong is not None:
        return one.name, "", _bytes(one.size), "", "", "", str(one.wrong)
    verified = f"{manifest.verified:%Y-%m-%d %H:%M}" if manifest.verified else say("no", "未検証")
    return (
        one.name,
        f"{manifest.made.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        _bytes(one.size),
        manifest.kind,
        manifest.revision or "",
        f"{manifest.rows:,}",
        verified,
    )


def _out(place: Place, one: Stored) -> BackupOut:
    out = BackupOut(name=one.name, where=place.uri(one.name), size=one.size)
    if one.wrong is not None:
        out.wrong = str(one.wrong)
    if one.manifest is None:
        return out
    known = one.manifest.model_dump(
        include={"made", "ledger", "kind", "server", "daicho", "revision", "sha256", "verified"}
    )
    return out.model_copy(update={**known, "rows": one.manifest.rows})


def _restored_out(name: str, done: Restored) -> RestoredOut:
    return RestoredOut(
        name=name,
        revision=done.revision,
        rows=done.rows,
        old=done.old,
        upgrade=done.outdated,
        notes=[str(text) for text in done.notes],
    )


def _bytes(size: int) -> str:
    """A size for people."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
