"""``daicho members``: members in the terminal, and the files that describe them.

Reading stands here; what compares and reconciles files in ``commands_sync``.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import typer

from daicho.core.errors import NotFound
from daicho.core.language import say
from daicho.core.options import Json, pages, put_list
from daicho.core.page import Page
from daicho.core.terminal import put_json
from daicho.members import commands_sync, shown
from daicho.members.models import HumanMember, VirtualMember
from daicho.members.needs import MemberLedger
from daicho.members.options import OfKind, terminal_of
from daicho.members.schemas import MEMBER, HumanOut, Kind, VirtualOut

Member = HumanMember | VirtualMember

app = typer.Typer(
    help=say("Members of a team, human and virtual.", "チームのメンバー (人間と仮想)。"), no_args_is_help=True
)


@app.command("list", help=say("List members by name.", "メンバーを名前順に一覧する。"))
def list_(
    context: typer.Context,
    kind: OfKind = None,
    search: Annotated[
        str | None,
        typer.Option(help=say("Only whose name or role contains it.", "名前か役割に含むもののみ。")),
    ] = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        put_list(_pages(ledger, kind, search), shown.member_table(), shown.member_row, _out, json=json)


@app.command(
    help=say("Show a member, and the file that describes them.", "メンバーとそのファイルを表示する。")
)
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help=say("The member's name.", "メンバーの名前。"))],
    kind: OfKind = None,
    json: Json = False,
) -> None:
    with terminal_of(context).open() as ledger:
        found = [member for member in _named(ledger, name) if kind in {None, _kind(member)}]
        if not found:
            raise NotFound(MEMBER, name)
        for member in found:
            if json:
                put_json(_out(member))
            else:
                file = ledger.members.file(member.file_uri) if member.file_uri else None
                shown.put_facts(member, file)


@app.command(
    help=say("Write members as JSON lines, with all that is known.", "メンバーを JSON Lines で書き出す。")
)
def export(context: typer.Context, kind: OfKind = None) -> None:
    with terminal_of(context).open() as ledger:
        put_list(_pages(ledger, kind, None), shown.member_table(), shown.member_row, _out, json=True)


def _pages(ledger: MemberLedger, kind: Kind | None, text: str | None) -> Iterator[Page[Member]]:
    """Every member of a kind, or of both, page by page."""
    lists: dict[Kind, Any] = {
        Kind.HUMAN: ledger.members.list_humans,
        Kind.VIRTUAL: ledger.members.list_virtual,
    }
    for one, read in lists.items():
        if kind in {None, one}:
            yield from pages(partial(read, text=text))


def _named(ledger: MemberLedger, name: str) -> Iterator[Member]:
    reads: list[Any] = [ledger.members.get_human, ledger.members.get_virtual]
    for read in reads:
        try:
            yield read(name)
        except NotFound:
            continue


def _kind(member: Member) -> Kind:
    return Kind.HUMAN if isinstance(member, HumanMember) else Kind.VIRTUAL


def _out(member: Member) -> HumanOut | VirtualOut:
    return (
        HumanOut.model_validate(member)
        if isinstance(member, HumanMember)
        else VirtualOut.model_validate(member)
    )


app.add_typer(commands_sync.app)
