"""``daicho members plan|sync|watch``: the files that describe members, and the ledger."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from daicho.core.errors import Conflict, Unavailable
from daicho.core.language import Text, say
from daicho.core.options import Json, Yes
from daicho.core.settings import Settings
from daicho.core.terminal import note, printable, progress, put, put_json
from daicho.members.needs import LiveMemberLedger
from daicho.members.options import Place, Prune, needs_obstore, terminal_of
from daicho.members.schemas import BAD, Outcome, Saved

if TYPE_CHECKING:
    from daicho.members.source import Source
    from daicho.members.sync import Plan

app = typer.Typer()

EVERY = 10.0
"""Seconds between two looks at a source that is watched."""


@app.command(
    help=say("Show what a sync would change.", "同期した場合の変更を表示する。"),
)
def plan(context: typer.Context, place: Place, prune: Prune = False, json: Json = False) -> None:
    from daicho.members import shown

    terminal = terminal_of(context)

    async def run() -> None:
        async with terminal.open_async() as ledger:
            made = await _plan(ledger, _source(place, terminal.settings()), prune)
        for change in made.changes:
            if json:
                put_json(shown.change_out(change))
            else:
                shown.put_change(change)
        if not json:
            shown.put_vanished(made, prune)
            outcomes = [change.outcome for change in made.changes]
            put(shown.summary(outcomes, made))
        if made.troubled or any(change.outcome in BAD for change in made.changes):
            raise typer.Exit(1)

    asyncio.run(run())


@app.command(
    help=say(
        "Make the ledger equal to the files; a bad file never blocks a good one.",
        "台帳をファイルに合わせる。不正なファイルがあっても、ほかは取り込む。",
    )
)
def sync(
    context: typer.Context, place: Place, prune: Prune = False, yes: Yes = False, json: Json = False
) -> None:
    from daicho.members import shown

    terminal = terminal_of(context)

    async def run() -> None:
        async with terminal.open_async() as ledger:
            made = await _plan(ledger, _source(place, terminal.settings()), prune)
            if prune and not yes and made.removes_most:
                question = say("remove their members?", "そのメンバーを削除しますか")
                if not typer.confirm(f"{_most(made)}; {question}", err=True):
                    raise typer.Exit(1)
            done = await _carry_out(ledger, made, prune)
        for saved in done:
            if json:
                put_json(shown.saved_out(saved))
        if not json:
            _put_bad(made, done)
            shown.put_vanished(made, prune)
            put(shown.summary([saved.outcome for saved in done], made))
        if made.troubled or any(saved.outcome in BAD for saved in done):
            raise typer.Exit(1)

    asyncio.run(run())


@app.command(
    help=say(
        "Follow a source that cannot call back, until stopped.",
        "通知を送れない場所を、止めるまで追いかける。",
    )
)
def watch(
    context: typer.Context,
    place: Place,
    prune: Prune = False,
    every: Annotated[
        float,
        typer.Option(min=0.2, help=say("Seconds between two looks.", "確認の間隔 (秒)。")),
    ] = EVERY,
    yes: Yes = False,
) -> None:
    from daicho.members import shown

    terminal = terminal_of(context)

    async def run() -> None:
        source = _source(place, terminal.settings())
        async with terminal.open_async() as ledger:
            told: set[str] = set()
            while True:
                try:
                    made = await _plan(ledger, source, prune)
                    if prune and not yes and made.removes_most:
                        raise _stop(made)
                    new = [
                        one for one in made.changes if _name_of(one.file.file_uri, one.file.etag) not in told
                    ]
                    done = await _carry_out(ledger, made, prune)
                    told = {
                        _name_of(one.file.file_uri, one.file.etag)
                        for one in made.changes
                        if one.outcome in BAD
                    }
                    for change in new:
                        if change.outcome is not Outcome.UNCHANGED:
                            shown.put_change(change)
                    if prune:
                        shown.put_vanished(made, prune)
                    if done:
                        sys.stdout.flush()
                except Unavailable as error:  # the place or the database will be back
                    note(f"daicho: {printable(str(error))}")
                await asyncio.sleep(every)

    asyncio.run(run())


def _most(made: "Plan") -> Text:
    gone, whole = len(made.removed), made.before
    return Text(f"{gone:,} of {whole:,} files are no more", f"{whole:,} ファイル中 {gone:,} がありません")


def _stop(made: "Plan") -> Conflict:
    """Nobody is there to be asked while a source is watched."""
    most = _most(made)
    return Conflict(
        f"{most.en}: nothing was removed; look at them with daicho members plan, then watch with --yes",
        f"{most.ja}。何も削除していません。daicho members plan で確かめ、よければ --yes を付けてください",
    )


def _name_of(uri: str, etag: str | None) -> str:
    return f"{uri} {etag}"


def _source(place: str, settings: Settings) -> "Source":
    try:
        from daicho.members.source import Source
    except ModuleNotFoundError as missing:
        raise needs_obstore(missing) from None
    return Source(place, settings.storage)


async def _plan(ledger: LiveMemberLedger, source: "Source", prune: bool) -> "Plan":
    from daicho.members import sync

    with progress(say("reading", "読み込み中"), None) as advance:
        return await sync.plan(ledger.members, source, prune=prune, advance=advance)


async def _carry_out(ledger: LiveMemberLedger, made: "Plan", prune: bool) -> list[Saved]:
    from daicho.members import sync

    with progress(say("saving", "保存中"), len(made.changes)) as advance:
        return await sync.carry_out(ledger.members, made, prune=prune, advance=advance)


def _put_bad(made: "Plan", done: list[Saved]) -> None:
    from daicho.members import shown

    for change, saved in zip(made.changes, done, strict=True):
        if saved.outcome in BAD:
            shown.put_change(change)
