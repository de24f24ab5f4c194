"""``daicho usage``: what LLMs were used for, and what it cost.

Single records stand here; reports in ``commands_report``, files in ``commands_import``, what an operator
does in ``commands_keep`` and ``commands_prices``.
"""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Since, Until, pages, put_list
from daicho.core.terminal import instant, put_json
from daicho.usage import commands_import, commands_keep, commands_prices, commands_report, shown
from daicho.usage.commands_keys import keys_app
from daicho.usage.commands_tenants import tenants_app
from daicho.usage.models import AIUsageLog
from daicho.usage.options import OfModel, OfOperation, OfTenant, OfUser, tenant_of, terminal_of
from daicho.usage.schemas import UsageOut

app = typer.Typer(
    help=say("Usage of LLMs, its cost, and prices.", "LLM の利用、費用、価格。"), no_args_is_help=True
)
FURTHER = {"tenants": tenants_app, "keys": keys_app}
"""Commands of this room that stand beside it: ``daicho tenants``, ``daicho keys``."""


@app.command("list", help=say("List records, latest first.", "利用記録を新しい順に一覧する。"))
def list_(
    context: typer.Context,
    tenant: OfTenant = None,
    user: OfUser = None,
    model: OfModel = None,
    operation: OfOperation = None,
    source: Annotated[
        str | None,
        typer.Option(help=say("Only for this source: call:call-123.", "この対象のみ: call:call-123 など。")),
    ] = None,
    unpriced: Annotated[
        bool | None,
        typer.Option(
            "--unpriced/--priced",
            help=say("Only those without, or with, a cost.", "費用が不明、または判明しているもののみ。"),
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    called: dict[str, str] = {}
    with terminal_of(context).open() as ledger:
        read = partial(
            ledger.usage.list,
            tenant_id=tenant_of(ledger, tenant),
            user_id=user,
            model=model,
            operation=operation,
            source=source,
            unpriced=unpriced,
            since=since,
            until=until,
        )

        def look_up(records: Sequence[AIUsageLog]) -> None:
            unknown = {record.tenant_id for record in records} - called.keys()
            called.update(shown.names(ledger.usage.list_tenants, unknown))

        put_list(
            pages(read, None if every else limit, cursor),
            shown.record_table(),
            partial(shown.record_row, tenants=called),
            UsageOut.model_validate,
            json=json,
            look_up=look_up,
        )


@app.command(help=say("Show a record.", "利用記録を表示する。"))
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help=say("The record's id.", "記録の ID。"))],
    tenant: OfTenant = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        record = ledger.usage.get(id, tenant_id=tenant_of(ledger, tenant))
        name = ledger.usage.get_tenant(record.tenant_id).name
    _put(record, name, json=json)


@app.command(
    help=say(
        "Record one call of an LLM, and show it as stored.",
        "LLM の呼び出しを 1 件記録し、記録した内容を表示する。",
    )
)
def record(
    context: typer.Context,
    tenant: Annotated[
        str,
        typer.Option(metavar="ID|NAME", help=say("Whose call it was.", "どのテナントの呼び出しか。")),
    ],
    operation: Annotated[
        str,
        typer.Option(help=say("What it was for: generate_assessment.", "用途: generate_assessment など。")),
    ],
    model: Annotated[
        str,
        typer.Option(help=say("The model, as its provider spells it.", "モデル名 (提供元の表記)。")),
    ],
    input_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help=say("Cached ones included.", "キャッシュ分を含む。"))
    ] = 0,
    output_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help=say("What the model wrote.", "モデルが生成した分。"))
    ] = 0,
    total_tokens: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help=say("Both together, if not given.", "省略時は入力と出力の合計。")
        ),
    ] = None,
    cache_read_tokens: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help=say("Of the input, read from a cache.", "入力のうちキャッシュから読んだ分。"),
        ),
    ] = None,
    cache_write_tokens: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help=say("Of the input, written to one.", "入力のうちキャッシュに書いた分。")
        ),
    ] = None,
    cost: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="USD",
            help=say("Dollars; by the price of its day, if not given.", "ドル。省略時はその日の価格で計算。"),
        ),
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help=say("It came to nothing.", "失敗した呼び出し。"))
    ] = False,
    duration_ms: Annotated[
        int | None,
        typer.Option(min=0, metavar="MS", help=say("How long it took.", "所要時間 (ミリ秒)。")),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help=say("When it was; now, if not given.", "呼び出しの時刻。省略時は現在。")
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            help=say("Where the model's name does not say it.", "モデル名から分からない場合の提供元。")
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help=say("What it was made for: call:call-123.", "対象: call:call-123 など。")),
    ] = None,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help=say("Whose of the tenant.", "テナントのユーザー。"))
    ] = None,
    assessment: Annotated[
        str | None,
        typer.Option(metavar="ID", help=say("The assessment that it belongs to.", "対象のアセスメント。")),
    ] = None,
    lead: Annotated[
        str | None, typer.Option(metavar="ID", help=say("The lead that it belongs to.", "対象のリード。"))
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(
            metavar="UUID",
            help=say(
                "Your own name for it: twice changes nothing.",
                "記録の ID。同じ ID の 2 度目は何も変えない。",
            ),
        ),
    ] = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        whose = ledger.usage.find_tenant(tenant)
        stored = ledger.usage.record(
            tenant_id=whose.id,
            operation=operation,
            model=model,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            total_tokens=total_tokens,
            cache_read_tokens=cache_read_tokens,
            cache_write_tokens=cache_write_tokens,
            cost_usd=cost,
            success="failure" if failed else "success",
            duration_ms=duration_ms,
            created_at=instant(at) if at else None,
            provider=provider,
            source=source,
            user_id=user,
            assessment_id=assessment,
            lead_id=lead,
            id=id,
        )
    _put(stored, whose.name, json=json)


def _put(record: AIUsageLog, tenant: str | None, *, json: bool) -> None:
    if json:
        put_json(UsageOut.model_validate(record))
    else:
        shown.put_facts(record, tenant)


app.add_typer(commands_report.app)
app.add_typer(commands_import.app)
app.add_typer(commands_keep.app)
app.add_typer(commands_prices.app)
