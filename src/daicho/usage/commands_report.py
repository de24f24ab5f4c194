"""``daicho usage report|cost``: what was used and what it cost, from the sums."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from daicho.core.language import say
from daicho.core.options import Json, Limit, Raw
from daicho.core.terminal import note, printable, put_json
from daicho.usage import shown
from daicho.usage.options import (
    OfModel,
    OfOperation,
    OfTenant,
    OfUser,
    Zone,
    stretch,
    tenant_of,
    terminal_of,
    zone_named,
)
from daicho.usage.schemas import By, Report, SumOut

app = typer.Typer()

MODELS_NAMED = 5


class CostOut(SumOut):
    """The answer of ``cost --json``."""

    source: str


@app.command(
    help=say(
        "Report calls, tokens and cost of a month or another time.",
        "月またはほかの期間の呼び出し、トークン、費用を集計する。",
    )
)
def report(
    context: typer.Context,
    month: Annotated[
        str | None,
        typer.Option(
            metavar="MONTH",
            help=say("2026-11; this month, if no time is given.", "2026-11 の形。期間の省略時は今月。"),
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=say(
                "From this time on: 2026-11-21, 2026-11-21T09:30, or 7d for 7 days ago.",
                "この時刻から: 2026-11-21、2026-11-21T09:30、7d (7 日前)。",
            ),
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help=say("Until before this time; now, if not given.", "この時刻の前まで。省略時は現在まで。"),
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME,…",
            help=say(
                "What to tell apart: tenant, user, model, operation, source, and one of hour, day, month.",
                "集計の単位: tenant、user、model、operation、source と、hour、day、month のどれか 1 つ。",
            ),
        ),
    ] = "tenant",
    zone: Zone = None,
    tenant: OfTenant = None,
    user: OfUser = None,
    model: OfModel = None,
    operation: OfOperation = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help=say("Only for sources of this kind: call, task.", "この種類の対象のみ: call、task など。"),
        ),
    ] = None,
    limit: Limit = 100,
    csv: Annotated[
        bool, typer.Option("--csv", help=say("CSV with a heading.", "見出し付きの CSV。"))
    ] = False,
    raw: Raw = False,
    json: Json = False,
) -> None:
    if csv and json:
        raise typer.BadParameter(say("--csv or --json, not both", "--csv と --json は併用できません"))
    place = zone_named(zone)
    begins, ends = stretch(month, since, until, place)
    apart = By.all_of([name for part in by.split(",") if (name := part.strip())])
    with terminal_of(context).open() as ledger:
        wanted: dict[str, Any] = {
            "tenant_id": tenant_of(ledger, tenant),
            "user_id": user,
            "model": model,
            "operation": operation,
            "source_kind": source,
        }
        found = ledger.usage.report(since=begins, until=ends, by=apart, zone=place.key, limit=limit, **wanted)
        lines = shown.ReportLines(found, apart, ledger.usage)
        note(shown.stretch_text(begins, ends, place))
        if csv:
            lines.write_csv(sys.stdout, raw=raw)
        elif json:
            lines.put_json()
        else:
            lines.put_table()
        if found.more:
            note(
                say(
                    f"only the first {limit:,}; --limit for more", f"先頭の {limit:,} 件のみ (--limit で変更)"
                )
            )
        if found.total.unpriced_calls:
            by_model = ledger.usage.report(since=begins, until=ends, by=[By.MODEL], zone=place.key, **wanted)
            note(unpriced_text(found.total.unpriced_calls, by_model))


@app.command(
    help=say(
        "Show what one thing has cost: call:call-123.", "1 つの対象にかかった費用を表示する: call:call-123。"
    )
)
def cost(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help=say(
                "A kind and a name: call:call-123, task:<uuid>, ticket:42, member:華扇.",
                "種類と名前: call:call-123、task:<uuid>、ticket:42、member:華扇。",
            ),
        ),
    ],
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        found = ledger.usage.cost_of(source)
    if json:
        put_json(CostOut(source=source, **asdict(found)))
        return
    shown.put_sum(source, found)
    if not found.api_calls:
        note(printable(say(f"no call is recorded for {source}", f"{source} の利用記録はありません")))


def unpriced_text(calls: int, by_model: Report) -> str:
    """Say which models have no price, and the way out."""
    unpriced = [(row.model or "", row.sum.unpriced_calls) for row in by_model.rows if row.sum.unpriced_calls]
    unpriced.sort(key=lambda pair: (-pair[1], pair[0]))
    names = ", ".join(name for name, _ in unpriced[:MODELS_NAMED])
    if (more := len(unpriced) - MODELS_NAMED) > 0:
        names += say(f" and {more:,} more", f" ほか {more:,} モデル")
    return printable(
        say(
            f"{calls:,} {'call has' if calls == 1 else 'calls have'} no price, of: {names};"
            " set one: daicho usage prices set, then: daicho usage reprice",
            f"価格不明の呼び出しが {calls:,} 件あります: {names}。"
            "daicho usage prices set で価格を設定し、daicho usage reprice で再計算できます",
        )
    )
