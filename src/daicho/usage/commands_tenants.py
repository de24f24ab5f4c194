"""``daicho tenants``: whose usage is counted."""

from collections.abc import Mapping
from typing import Annotated

import typer

from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Yes, pages, put_list
from daicho.core.page import Page
from daicho.core.terminal import Table, local, printable, put, put_json
from daicho.usage.models import Tenant
from daicho.usage.options import terminal_of
from daicho.usage.schemas_access import CONTENTS, TenantOut

tenants_app = typer.Typer(
    help=say("Tenants: whose usage is counted.", "テナント: 利用量を数える対象。"), no_args_is_help=True
)


@tenants_app.command(help=say("Add a tenant and show its id.", "テナントを追加し、ID を表示する。"))
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help=say("The tenant's name.", "テナント名。"))],
    id_: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="UUID",
            help=say("An id of your own; twice adds nothing.", "自分で決めた ID。2 度目は何も加えない。"),
        ),
    ] = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        tenant = ledger.usage.create_tenant(name, id=id_)
    if json:
        put_json(TenantOut.model_validate(tenant))
    else:
        put(tenant.id)


@tenants_app.command("list", help=say("List tenants by name.", "テナントを名前順に一覧する。"))
def list_(
    context: typer.Context,
    search: Annotated[
        str | None, typer.Option(help=say("Only whose name contains it.", "名前に含むもののみ。"))
    ] = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    table = Table(say("id", "ID"), say("name", "名前"), say("created", "作成"))
    with terminal_of(context).open() as ledger:

        def read(*, limit: int, cursor: str | None) -> Page[Tenant]:
            return ledger.usage.list_tenants(text=search, limit=limit, cursor=cursor)

        found = pages(read, None if every else limit, cursor)
        put_list(found, table, _row, TenantOut.model_validate, json=json)


@tenants_app.command(
    help=say(
        "Delete a tenant with all that is its own; says what goes, and asks.",
        "テナントとその全データを削除する。削除される内容を示して確認する。",
    )
)
def delete(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="TENANT", help=say("The tenant's id or name.", "テナントの ID か名前。"))
    ],
    yes: Yes = False,
) -> None:
    with terminal_of(context).open() as ledger:
        tenant = ledger.usage.find_tenant(name)
        if not yes and not typer.confirm(
            _question(tenant, ledger.usage.tenant_contents(tenant.id)), err=True
        ):
            raise typer.Exit(1)
        gone = ledger.usage.delete_tenant(tenant.id)
    put(
        say(
            f"deleted: {_shown(tenant)} with {_told(gone)}", f"削除しました: {_shown(tenant)} ({_told(gone)})"
        )
    )


def _row(tenant: Tenant) -> list[str]:
    return [tenant.id, tenant.name or "", local(tenant.created_at)]


def _question(tenant: Tenant, contents: Mapping[str, int]) -> str:
    return say(
        f"Delete {_shown(tenant)} with {_told(contents)}?",
        f"{_shown(tenant)} を削除しますか ({_told(contents)})",
    )


def _shown(tenant: Tenant) -> str:
    return f"{printable(tenant.name or '')} ({tenant.id})"


def _told(contents: Mapping[str, int]) -> str:
    return ", ".join(
        say(f"{count:,} {CONTENTS[kind].en}", f"{CONTENTS[kind].ja} {count:,} 件")
        for kind, count in contents.items()
    )
