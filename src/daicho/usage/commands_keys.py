"""``daicho keys``: what lets a tenant's own programs in."""

from typing import Annotated

import typer

from daicho.core.access import KeyScope
from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, pages, put_list
from daicho.core.page import Page
from daicho.core.terminal import Table, local, note, put, put_json
from daicho.usage.models import ApiKey
from daicho.usage.options import OfTenant, tenant_of, terminal_of
from daicho.usage.schemas_access import KeyOut, NewKeyOut

keys_app = typer.Typer(help=say("API keys of tenants.", "テナントの API キー。"), no_args_is_help=True)


@keys_app.command(
    help=say(
        "Make a key. It is shown this once, alone on standard output.",
        "キーを作る。キーは今回だけ、標準出力に表示される。",
    )
)
def create(
    context: typer.Context,
    tenant: Annotated[
        str, typer.Option(metavar="ID|NAME", help=say("Whose key it is.", "キーを使うテナント。"))
    ],
    scope: Annotated[
        KeyScope,
        typer.Option(
            help=say(
                "ingest: record usage; read: read it; admin: both, and see who else may.",
                "ingest: 記録、read: 読み取り、admin: 両方とユーザー・キーの一覧。",
            )
        ),
    ],
    name: Annotated[str | None, typer.Option(help=say("What it is for.", "用途。"))] = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        new = ledger.usage.create_key(ledger.usage.find_tenant(tenant).id, scope, name=name)
    if json:
        put_json(NewKeyOut.of(new))
    else:
        put(new.key)
    note(
        say(
            f"keep it now: it is not shown again (revoke it with: daicho keys revoke {new.stored.id})",
            f"今保管してください。二度と表示されません (無効にするには: daicho keys revoke {new.stored.id})",
        )
    )


@keys_app.command("list", help=say("List keys, latest first.", "キーを新しい順に一覧する。"))
def list_(
    context: typer.Context,
    tenant: OfTenant = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    table = Table(
        say("id", "ID"),
        say("tenant", "テナント"),
        say("scope", "範囲"),
        say("key", "キー"),
        say("name", "名前"),
        say("created", "作成"),
        say("last used", "最終使用"),
        say("revoked", "無効化"),
    )
    with terminal_of(context).open() as ledger:
        whose = tenant_of(ledger, tenant)

        def read(*, limit: int, cursor: str | None) -> Page[ApiKey]:
            return ledger.usage.list_keys(tenant_id=whose, limit=limit, cursor=cursor)

        put_list(pages(read, None if every else limit, cursor), table, _row, KeyOut.model_validate, json=json)


@keys_app.command(help=say("Let a key open nothing from now on.", "キーを無効にする。"))
def revoke(
    context: typer.Context,
    key_id: Annotated[
        str,
        typer.Argument(metavar="ID", help=say("The key's id, as list shows it.", "一覧に出るキーの ID。")),
    ],
) -> None:
    with terminal_of(context).open() as ledger:
        key = ledger.usage.revoke_key(key_id)
    put(say(f"revoked: {key.hint} ({key.id})", f"無効にしました: {key.hint} ({key.id})"))


def _row(key: ApiKey) -> list[str]:
    return [
        key.id,
        key.tenant_id,
        key.scope,
        key.hint,
        key.name or "",
        local(key.created_at),
        local(key.last_used_at),
        local(key.revoked_at),
    ]
