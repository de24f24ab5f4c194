"""``daicho usage verify|prune``: the proof that sums and records agree, and letting old records go."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.options import Json, Yes
from daicho.core.terminal import note, progress, put, put_json
from daicho.core.types import now
from daicho.usage import shown
from daicho.usage.models import AIUsageLog
from daicho.usage.needs import UsageLedger
from daicho.usage.options import terminal_of
from daicho.usage.schemas import VerifiedOut

app = typer.Typer()


def midnight(text: str) -> datetime:
    """Read a day, which begins at midnight in UTC. Raises typer.BadParameter."""
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(
            say(
                f"{text!r} is not a day; write it as 2026-01-31",
                f"{text!r} は日付ではありません。2026-01-31 のように書いてください",
            )
        ) from None


@app.command(
    help=say(
        "Compare the sums that reports are made of with the records.",
        "集計表を利用記録と突き合わせて検証する。",
    )
)
def verify(
    context: typer.Context,
    mend: Annotated[
        bool,
        typer.Option(
            "--mend",
            help=say(
                "Sum the records anew where they differ; writers wait meanwhile.",
                "一致しなければ利用記録から集計し直す (その間、書き込みは待たされる)。",
            ),
        ),
    ] = False,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        found = ledger.usage.verify()
        if mend and any(one.differ for one in found):
            ledger.usage.rebuild()
            note(say("sums were made anew", "集計を作り直しました"))
            found = ledger.usage.verify()
        kept = ledger.usage.kept_from()
    if json:
        for one in found:
            put_json(VerifiedOut.model_validate(one))
    else:
        titles = [say("TABLE", "表"), say("BUCKETS", "集計行"), say("DIFFERING", "不一致")]
        shown.put_aligned(titles, [[one.table, f"{one.buckets:,}", f"{one.differ:,}"] for one in found], 1)
    if kept is not None:
        note(
            say(
                f"records are kept from {kept:%Y-%m-%d} (UTC) on; older sums are compared among themselves",
                f"利用記録は {kept:%Y-%m-%d} (UTC) 以降のみ保存しています。以前の集計は互いに照合します",
            )
        )
    if any(one.differ for one in found):
        note(
            say(
                "sums and records differ: was something written while triggers were switched off, or a part"
                " restored? Sum the records anew: daicho usage verify --mend",
                "集計と利用記録が一致しません。トリガーを止めて書き込んだか、一部だけを復元した可能性が"
                "あります。次を実行して集計し直してください: daicho usage verify --mend",
            )
        )
        raise typer.Exit(1)


@app.command(
    help=say(
        "Drop records from before a day; their sums stay. May be stopped and run again.",
        "ある日より前の利用記録を削除する (集計は残る)。中断しても再実行できる。",
    )
)
def prune(
    context: typer.Context,
    before: Annotated[
        datetime,
        typer.Option(
            parser=midnight,
            metavar="DAY",
            help=say("2026-01-31: it begins at midnight in UTC.", "2026-01-31 の形。UTC の 0 時から。"),
        ),
    ],
    yes: Yes = False,
) -> None:
    with terminal_of(context).open() as ledger:
        count = _count(ledger, before)
        question = say(
            f"Drop {count:,} records from before {before:%Y-%m-%d} (UTC)? Reports keep their sums; records"
            " from before that day are refused from then on. This cannot be undone.",
            f"{before:%Y-%m-%d} (UTC) より前の利用記録 {count:,} 件を削除しますか。集計は残ります。"
            "以後、この日より前の記録は受け付けません。元には戻せません",
        )
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        done = 0
        with progress(say("dropping", "削除中"), count) as advance:
            while dropped := ledger.usage.prune(before):
                done += dropped
                advance(dropped)
    put(
        say(
            f"dropped {done:,} {'record' if done == 1 else 'records'}; their sums stay",
            f"利用記録 {done:,} 件を削除しました。集計は残っています",
        )
    )


def _count(ledger: UsageLedger, before: datetime) -> int:
    """How many records there are from before an instant, also of those that a stopped run has left."""
    if before > now():
        raise Invalid(
            f"{before:%Y-%m-%d} has not begun in UTC; records are dropped from before a day that has",
            f"{before:%Y-%m-%d} は UTC でまだ始まっていません。過去の日付を指定してください",
        )
    table = AIUsageLog.__tablename__
    return ledger.usage.count_before(table, before)[table]
