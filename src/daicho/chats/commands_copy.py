"""``daicho chats copy``: chat logs from the database into DynamoDB, and back."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel

from daicho.chats.copying import Copier, Watch
from daicho.chats.copying_session import Kind, Outcome, Trouble
from daicho.chats.models import ChatSession
from daicho.chats.options import Prefix, checked_sessions, terminal_of
from daicho.core.language import say
from daicho.core.options import Rejects
from daicho.core.terminal import Table, destination, note, progress, put_json

if TYPE_CHECKING:
    from rich.progress import Progress

app = typer.Typer()


class Place(StrEnum):
    """Where chat logs can be kept: a ``Backend`` by its name."""

    SQL = "sql"
    DYNAMODB = "dynamodb"


class Copied(BaseModel):
    """What ``copy --json`` writes: sessions by what became of them, then messages.

    Attributes:
        complete: sessions whose messages the target has, each as it is.
        only_in_target: sessions that the source has not got.
        refused: what the target cannot take: messages that are too large, and whole sessions by their names.
        extra: messages that only the target has, said before the source's last one; ``later``: after it.
    """

    sessions: int = 0
    complete: int = 0
    only_in_target: int = 0
    messages: int = 0
    copied: int = 0
    existing: int = 0
    differing: int = 0
    refused: int = 0
    missing: int = 0
    extra: int = 0
    later: int = 0

    def add(self, one: Outcome) -> None:
        """Add a session."""
        kinds = Counter(trouble.kind for trouble in one.troubles)
        self.sessions += 1
        self.complete += all(trouble.kind is Kind.EXTRA for trouble in one.troubles)
        self.messages += one.messages
        self.copied += one.copied
        self.existing += one.existing
        self.differing += kinds[Kind.DIFFERING]
        self.refused += kinds[Kind.REFUSED]
        self.missing += kinds[Kind.MISSING]
        self.extra += kinds[Kind.EXTRA]
        self.later += one.later


@app.command(
    help=say(
        "Copy chat logs from one place to the other, and prove that they are there as they were."
        " Stopped, it is finished by running it again.",
        "チャットログを別の保存先へコピーし、同じ内容であることを確かめる。中断しても再実行で完了する。",
    )
)
def copy(
    context: typer.Context,
    source: Annotated[
        Place,
        typer.Option("--from", help=say("Where they are; nothing changes there.", "コピー元 (変更しない)。")),
    ],
    target: Annotated[Place, typer.Option("--to", help=say("Where they are to be.", "コピー先。"))],
    sessions: Annotated[
        list[str] | None,
        typer.Option(
            "--session",
            metavar="SESSION",
            help=say("Only this session; any number of times.", "このセッションのみ。複数指定可。"),
            callback=checked_sessions,
        ),
    ] = None,
    prefix: Prefix = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help=say("Copy nothing; only compare.", "コピーせず、比較だけを行う。")),
    ] = False,
    errors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=say("Write whatever is not alike here.", "一致しないものをすべてこのファイルに書く。"),
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help=say("One line with the numbers.", "結果の数値を 1 行の JSON で。"))
    ] = False,
) -> None:
    _check(source, target, sessions, prefix)
    terminal = terminal_of(context)
    days = terminal.settings().chats.days
    whole = Copied()
    with ExitStack() as open_now:
        rejects = Rejects(open_now.enter_context(destination(errors)) if errors else None)
        chats = open_now.enter_context(terminal.open()).chats
        here, there = chats.kept_in(source.value), chats.kept_in(target.value)
        if not verify:
            with progress(say("looking into the target", "コピー先の確認"), None) as advance:
                there.prepare(advance=advance)
        with _bars() as bars:

            def done(one: Outcome) -> None:
                whole.add(one)
                bars.done()
                for trouble in one.troubles:
                    rejects.report(_said(trouble))

            copier = Copier(here, there, Watch(bars.found, bars.read, done), days=days, copies=not verify)
            names = copier.run(sessions or (), prefix)
            others = [] if sessions else copier.only_in_target(names, prefix)
        rejects.end(None if errors else "--errors")
    whole.only_in_target = len(others)
    _note(whole, days, target)
    if json:
        put_json(whole)
    else:
        _put(whole, verify=verify)
    if whole.complete < whole.sessions:
        raise typer.Exit(1)


def _check(source: Place, target: Place, sessions: list[str] | None, prefix: str | None) -> None:
    if source is target:
        raise typer.BadParameter(say("--from and --to are the same place", "--from と --to が同じです"))
    if sessions and prefix is not None:
        raise typer.BadParameter(
            say("give --session or --prefix, not both", "--session と --prefix は併用できません")
        )


def _said(trouble: Trouble) -> str:
    where = trouble.session_id
    if trouble.at is not None:
        at = trouble.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        where += f" {at}"
    return f"{where}: {trouble.reason}"


def _note(whole: Copied, days: int | None, target: Place) -> None:
    """Say what the numbers leave open."""
    if days is not None:
        note(
            say(
                f"messages older than {days:,} days (CHATLOG_DAYS) stay where they are",
                f"{days:,} 日 (CHATLOG_DAYS) を過ぎたメッセージは対象外です",
            )
        )
    if whole.only_in_target:
        sessions = "session is" if whole.only_in_target == 1 else "sessions are"
        note(
            say(
                f"{whole.only_in_target:,} {sessions} only in {target}",
                f"{whole.only_in_target:,} セッションは {target} にだけあります",
            )
        )
    if whole.later:
        messages = "message" if whole.later == 1 else "messages"
        note(
            say(
                f"{whole.later:,} {messages} only in {target} came after the source's last ones",
                f"{target} にだけあるメッセージ {whole.later:,} 件は、コピー元の最後より後のものです",
            )
        )


def _put(whole: Copied, *, verify: bool) -> None:
    facts = Table("", "")
    rows = [
        (say("sessions", "セッション"), whole.sessions),
        (say("of these complete", "うち完全"), whole.complete),
        (say("messages", "メッセージ"), whole.messages),
    ]
    if verify:
        rows += [(say("alike", "一致"), whole.existing)]
    else:
        rows += [(say("copied", "コピー"), whole.copied), (say("there already", "既存"), whole.existing)]
    rows += [
        (say("differing", "相違"), whole.differing),
        (say("refused", "受け付け不可"), whole.refused),
        (say("missing", "欠落"), whole.missing),
        (say("only in target", "コピー先のみ"), whole.extra),
    ]
    facts.add((name, f"{number:,}") for name, number in rows)


class _Bars:
    """Bars of sessions and messages; None for bars that nobody sees."""

    def __init__(self, shown: "Progress | None") -> None:
        self._shown = shown
        self._sessions = self._messages = 0
        if shown is not None:
            self._first = shown.add_task(say("sessions", "セッション"), total=0)
            self._second = shown.add_task(say("messages", "メッセージ"), total=0)

    def found(self, sessions: Sequence[ChatSession]) -> None:
        """These are to be dealt with. Where nobody has counted their messages, the second bar has no end."""
        if self._shown is None:
            return
        counts = [session.messages for session in sessions if session.messages is not None]
        self._sessions += len(sessions)
        self._messages += sum(counts)
        self._shown.update(self._first, total=self._sessions)
        self._shown.update(self._second, total=self._messages if len(counts) == len(sessions) else None)

    def read(self, messages: int) -> None:
        """So many messages more were read."""
        if self._shown is not None:
            self._shown.advance(self._second, messages)

    def done(self) -> None:
        """A session was dealt with."""
        if self._shown is not None:
            self._shown.advance(self._first)


@contextmanager
def _bars() -> Iterator[_Bars]:
    """Show bars of sessions and messages on standard error, if it is a terminal."""
    if not sys.stderr.isatty():
        yield _Bars(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as shown:
        yield _Bars(shown)
