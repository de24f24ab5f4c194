"""``daicho guilds adopt``: what a bot has kept in its own database."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from daicho.core.errors import Invalid
from daicho.core.foreign import is_own, own_file
from daicho.core.language import Text, say
from daicho.core.options import DryRun, Json, Rejects, zone
from daicho.core.settings import Settings
from daicho.core.terminal import Table, Terminal, destination, note, printable, progress, put, put_json
from daicho.core.types import now
from daicho.guilds.adoption import NAMED, Outcome, adopt, check
from daicho.guilds.adoption_file import OldBot
from daicho.guilds.adoption_rows import Reports, RowReader
from daicho.guilds.adoption_store import Adoption
from daicho.guilds.adoption_values import Clock
from daicho.guilds.needs import GuildLedger, LiveGuildLedger

app = typer.Typer()


@app.command(
    "adopt",
    help=say(
        "Bring a bot's kyrios.db into the ledger. Again, it adds what is not there: also what was deleted"
        " here since.",
        "ボットの kyrios.db を台帳に取り込む。再実行では台帳にない行 (ここで削除した行も) だけを加える。",
    ),
)
def adopt_(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help=say(
                "The bot's SQLite file; nothing is written to it.",
                "ボットの SQLite ファイル。書き込みはしない。",
            ),
        ),
    ],
    timezone: Annotated[
        ZoneInfo | None,
        typer.Option(
            parser=zone,
            metavar="ZONE",
            help=say(
                "Where the bot ran, whose times name no zone: Asia/Tokyo. Unset: this machine's zone.",
                "ボットが動いていた場所の時間帯 (省略時はこのマシン): Asia/Tokyo など。",
            ),
        ),
    ] = None,
    dry_run: DryRun = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=say(
                "Write every row that is not adopted, or otherwise than it stood, here.",
                "取り込まない行と、変えて取り込む行をすべてこのファイルに書く。",
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    terminal: Terminal[GuildLedger, LiveGuildLedger] = context.obj
    settings = terminal.settings()
    _check_other(file, settings)
    moment = now()
    with ExitStack() as open_now:
        old = open_now.enter_context(OldBot(file))
        rejects = Rejects(open_now.enter_context(destination(errors)) if errors else None)
        into = None
        if not (dry_run and _is_new(settings)):
            into = Adoption(open_now.enter_context(terminal.open()).guilds.runner)
        reports = _reports(rejects)
        reader = RowReader(old, Clock(timezone), reports, moment)
        with progress(say(f"{file}: check", f"{file}: 確認"), old.total) as advance:
            outcome = check(old, reader, into, advance)
        if into is not None and not dry_run:
            again = RowReader(old, Clock(timezone), reports, moment, after=reader, last_first=True)
            with progress(str(file), old.total) as advance:
                outcome = adopt(old, again, into, reader.counted, advance)
        rejects.end(None if errors else "--errors")
        _note_taken_for_granted(old, reader, outcome)
    for table in outcome.tables if json else ():
        put_json(table)
    if not json:
        _show(outcome, dry_run=dry_run)
    if any(table.refused for table in outcome.tables):
        raise typer.Exit(1)


def _check_other(file: Path, settings: Settings) -> None:
    """See that the bot's database is not where the ledger's own belongs."""
    if is_own(file, settings):
        raise Invalid(
            f"{file}: is where this ledger keeps its own database; name the ledger another file"
            " (DATABASE_URL), or move the bot's aside and name it there",
            f"{file}: この台帳自身のデータベースの場所です。台帳を別のファイル (DATABASE_URL) にするか、"
            "ボットのファイルを移してそちらを指定してください",
        )


def _is_new(settings: Settings) -> bool:
    """Whether the ledger is not there yet: a look into it would make one."""
    own = own_file(settings)
    return own is not None and (not own.exists() or not own.stat().st_size)


def _reports(rejects: Rejects) -> Reports:
    def refused(row: str, reasons: list[Text]) -> None:
        said = "; ".join(map(str, reasons))
        rejects.report(say(f"{row} not adopted: {said}", f"{row} は取り込みません: {said}"))

    return Reports(refused, lambda row, how: rejects.report(f"{row}: {how}"))


def _note_taken_for_granted(old: OldBot, reader: RowReader, outcome: Outcome) -> None:
    clock = reader.clock
    if clock.zoneless:
        name = Text("this machine's zone", "このマシンの時間帯") if clock.zone is None else clock.zone.key
        times = "time without a zone was" if clock.zoneless == 1 else "times without a zone were"
        note(
            say(
                f"{clock.zoneless:,} {times} read in {name} (--timezone for another)",
                f"時間帯のない時刻 {clock.zoneless:,} 個を {name} として読みました (--timezone で変更)",
            )
        )
    _note(
        clock.ambiguous,
        Text("time the clock showed", "個の時刻は時計が戻されて 2 度あり、先の方としました"),
        "times the clock showed",
        " twice (it was put back); the first of the two was taken",
    )
    _note(
        clock.skipped,
        Text("time the clock never showed", "個の時刻は時計が進められて存在せず、進める前の時計で読みました"),
        "times the clock never showed",
        " (it was put forward); read as if it had not been",
    )
    _note(
        reader.undated,
        Text("row without any time", "行は時刻がなく、取り込みの時刻で代えました"),
        "rows without any time",
        "; that of this adoption stands for it",
    )
    _note(
        old.unregistered(),
        Text("guild without settings: the defaults", "サーバーは設定がなく、既定値としました"),
        "guilds without settings: the defaults",
    )
    if outcome.kept:
        named = ", ".join(outcome.kept[:NAMED]) + (" …" if len(outcome.kept) > NAMED else "")
        note(say(f"the ledger's own stay as they are: {named}", f"台帳のものを残しました: {named}"))
    if differing := sum(table.differing for table in outcome.tables):
        named = ", ".join(outcome.differing)
        if (more := differing - len(outcome.differing)) > 0:
            named += say(f" and {more:,} more", f" ほか {more:,} 行")
        differs = "row differs" if differing == 1 else "rows differ"
        note(
            say(
                f"{differing:,} {differs} from the file; the ledger's stayed: {named}",
                f"{differing:,} 行はファイルと異なり、台帳のものを残しました: {named}",
            )
        )
    if old.ignored:
        named = printable(", ".join(old.ignored))
        note(say(f"not adopted, because unknown: {named}", f"取り込まない表や列: {named}"))


def _note(count: int, one: Text, several: str, rest: str = "") -> None:
    """Say how many there are of something, if any: in English ``one`` or ``several``, then the rest."""
    if count:
        note(say(f"{count:,} {one.en if count == 1 else several}{rest}", f"{count:,} {one.ja}"))


def _show(outcome: Outcome, *, dry_run: bool) -> None:
    table = Table(
        say("TABLE", "表"), say("ADDED", "追加"), say("THERE", "既存"), say("NOT ADOPTED", "取り込めない")
    )
    table.add(
        [found.table, *(f"{number:,}" for number in (found.added, found.existing, found.refused))]
        for found in outcome.tables
    )
    added, existing, refused = (
        sum(getattr(found, name) for found in outcome.tables) for name in ("added", "existing", "refused")
    )
    rest = Text(
        f"{existing:,} already there, {refused:,} not adopted",
        f"既にあったもの {existing:,}、取り込めないもの {refused:,}",
    )
    if dry_run:
        put(
            say(
                f"{added:,} would be added, {rest.en} (--dry-run)",
                f"{added:,} 行を追加するところです。{rest.ja} (--dry-run)",
            )
        )
    else:
        put(say(f"{added:,} added, {rest.en}", f"{added:,} 行を追加しました。{rest.ja}"))
