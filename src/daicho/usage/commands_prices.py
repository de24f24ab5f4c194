"""``daicho usage prices|reprice``: prices of one's own, discounts, and calls priced anew."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer

from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Yes, pages, put_list
from daicho.core.terminal import Table, instant, local, note, progress, put, put_json
from daicho.usage import shown
from daicho.usage.models import UsagePrice
from daicho.usage.options import OfModel, OfTenant, tenant_of, terminal_of
from daicho.usage.repricing import Repriced, RepricedBatch, together
from daicho.usage.schemas import PriceOut

app = typer.Typer()
prices = typer.Typer(
    help=say("Prices of your own, and discounts.", "独自の価格と割引。"), no_args_is_help=True
)
app.add_typer(prices, name="prices")

PER_MILLION = say("For a million tokens.", "100 万トークンあたり。")
InputPrice = Annotated[float | None, typer.Option("--input", min=0, metavar="USD", help=PER_MILLION)]
OutputPrice = Annotated[float | None, typer.Option("--output", min=0, metavar="USD", help=PER_MILLION)]
ReadPrice = Annotated[float | None, typer.Option("--cache-read", min=0, metavar="USD", help=PER_MILLION)]
WritePrice = Annotated[float | None, typer.Option("--cache-write", min=0, metavar="USD", help=PER_MILLION)]


@prices.command(
    "list", help=say("List own prices and discounts, latest start first.", "独自の価格と割引を一覧する。")
)
def list_(
    context: typer.Context,
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="ID|NAME",
            help=say("Only what can apply to this tenant.", "このテナントに適用されうるもののみ。"),
        ),
    ] = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    table = Table(
        *(say("ID", "ID"), say("TENANT", "テナント"), say("MODEL", "モデル"), say("INPUT", "入力")),
        *(say("OUTPUT", "出力"), say("CACHE READ", "キャッシュ読取"), say("CACHE WRITE", "キャッシュ書込")),
        *(say("DISCOUNT", "割引"), say("FROM", "適用開始")),
    )
    with terminal_of(context).open() as ledger:
        read = partial(ledger.usage.list_prices, tenant_id=tenant_of(ledger, tenant))
        called: dict[str, str] = {}

        def look_up(found: Sequence[UsagePrice]) -> None:
            unknown = {price.tenant_id for price in found} - called.keys()
            called.update(shown.names(ledger.usage.list_tenants, unknown))

        put_list(
            pages(read, None if every else limit, cursor),
            table,
            partial(_row, tenants=called),
            PriceOut.model_validate,
            json=json,
            look_up=look_up,
        )


@prices.command(
    "set",
    help=say(
        "Set a model's prices or a discount, from a time on; recorded calls keep their cost until reprice.",
        "モデルの価格または割引を設定する。記録済みの費用は reprice まで変わらない。",
    ),
)
def set_(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            help=say(
                "As records spell it; without one only a discount.",
                "記録にあるモデル名。省略時は割引のみ設定可。",
            )
        ),
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(
            metavar="ID|NAME",
            help=say(
                "Only for this tenant; for all, if not given.", "このテナントのみ。省略時は全テナント。"
            ),
        ),
    ] = None,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    cache_read_price: ReadPrice = None,
    cache_write_price: WritePrice = None,
    discount: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="PART", help=say("0.1 takes a tenth off.", "0.1 なら 1 割引き。")),
    ] = None,
    starts: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            parser=instant,
            metavar="TIME",
            help=say("From when on; from now, if not given.", "適用開始時刻。省略時は現在から。"),
        ),
    ] = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        price = ledger.usage.set_price(
            tenant_id=tenant_of(ledger, tenant),
            model=model,
            input_price=input_price,
            output_price=output_price,
            cache_read_price=cache_read_price,
            cache_write_price=cache_write_price,
            discount=discount,
            starts_at=starts,
        )
    if json:
        put_json(PriceOut.model_validate(price))
    else:
        put(price.id)


@prices.command(
    help=say(
        "Remove a price or a discount; calls that it priced keep their cost until reprice.",
        "価格または割引を削除する。計算済みの費用は reprice まで変わらない。",
    )
)
def remove(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help=say("As list shows it.", "list に表示される ID。"))],
) -> None:
    with terminal_of(context).open() as ledger:
        ledger.usage.remove_price(id)


@app.command(
    help=say(
        "Price calls anew by the prices of today's ledger; shows the difference first.",
        "現在の価格設定で費用を計算し直す。先に差額を示す。",
    )
)
def reprice(
    context: typer.Context,
    since: Annotated[
        datetime,
        typer.Option(
            "--from",
            parser=instant,
            metavar="TIME",
            help=say("Calls of this time or later.", "この時刻以降の呼び出し。"),
        ),
    ],
    until: Annotated[
        datetime,
        typer.Option(
            "--to", parser=instant, metavar="TIME", help=say("Calls before this time.", "この時刻より前。")
        ),
    ],
    model: OfModel = None,
    tenant: OfTenant = None,
    given: Annotated[
        bool,
        typer.Option(
            "--given",
            help=say(
                "Also calls whose cost was given when they were recorded.",
                "記録時に費用が指定された呼び出しも対象にする。",
            ),
        ),
    ] = False,
    yes: Yes = False,
) -> None:
    with terminal_of(context).open() as ledger:
        chosen: dict[str, Any] = {
            "since": since,
            "until": until,
            "model": model,
            "tenant_id": tenant_of(ledger, tenant),
            "given": given,
        }
        with progress(say("comparing", "比較中"), None) as advance:
            found = together(_batches(ledger.usage.reprice_preview, chosen, advance))
        changed = sum(one.changed for one in found)
        _put_difference(found)
        if not changed:
            note(say("nothing would change", "変わる費用はありません"))
            return
        question = say(f"Write the new cost of {_calls(changed)}?", f"{changed:,} 件の費用を書き換えますか")
        if not yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        calls = sum(one.calls for one in found)
        with progress(say("writing", "書き込み中"), calls) as advance:
            done = together(_batches(ledger.usage.reprice_batch, chosen, advance))
    written = sum(one.changed for one in done)
    put(say(f"repriced {_calls(written)}", f"{written:,} 件の費用を計算し直しました"))


def _batches(ask: Any, chosen: dict[str, Any], advance: Any) -> Iterator[RepricedBatch]:
    after: str | None = None
    while True:
        batch: RepricedBatch = ask(**chosen, after=after)
        advance(batch.calls)
        yield batch
        if (after := batch.next) is None:
            return


def _put_difference(found: list[Repriced]) -> None:
    """Write what a model's calls cost and would cost, a line each."""
    titles = [
        say("MODEL", "モデル"),
        say("CALLS", "呼び出し"),
        say("CHANGED", "変更"),
        say("GIVEN", "指定済み"),
    ]
    titles += [say("UNPRICED", "価格不明"), say("COST (USD)", "費用 (USD)"), say("DIFFERENCE", "差額")]
    lines = [
        [
            one.model,
            *(f"{count:,}" for count in (one.calls, one.changed, one.given)),
            f"{one.unpriced_before:,} → {one.unpriced_after:,}",
            f"{shown.dollars(one.cost_before)} → {shown.dollars(one.cost_after)}",
            _difference((one.cost_after or 0) - (one.cost_before or 0)),
        ]
        for one in found
    ]
    shown.put_aligned(titles, lines, 1)


def _difference(amount: float) -> str:
    return f"{'-' if amount < 0 else '+'}{shown.dollars(abs(amount))}" if amount else "0"


def _calls(count: int) -> str:
    return f"{count:,} {'call' if count == 1 else 'calls'}"


def _row(price: UsagePrice, tenants: Mapping[str, str]) -> list[str]:
    everyone = say("all", "すべて")
    tenant = tenants.get(price.tenant_id or "")
    figures = (price.input_price, price.output_price, price.cache_read_price, price.cache_write_price)
    return [
        price.id,
        (tenant or price.tenant_id) if price.tenant_id else everyone,
        price.model or everyone,
        *("-" if figure is None else f"{figure:g}" for figure in figures),
        "-" if price.discount is None else f"{price.discount:.4g}",
        local(price.starts_at),
    ]
