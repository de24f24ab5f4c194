"""What the commands of members have in common: the ledger, arguments, options."""

from typing import Annotated

import typer

from daicho.core.errors import DaichoError
from daicho.core.language import say
from daicho.core.terminal import Terminal
from daicho.members.needs import LiveMemberLedger, MemberLedger
from daicho.members.schemas import Kind


def terminal_of(context: typer.Context) -> Terminal[MemberLedger, LiveMemberLedger]:
    """The terminal that a command runs in."""
    terminal: Terminal[MemberLedger, LiveMemberLedger] = context.obj
    return terminal


def needs_obstore(missing: ModuleNotFoundError) -> DaichoError:
    """The error for an installation without the library that reads sources."""
    return DaichoError(
        f"this needs {missing.name}; run: pip install 'daicho[s3]'",
        f"{missing.name} が必要です。次を実行してください: pip install 'daicho[s3]'",
    )


Place = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help=say(
            "Where the files are: s3://bucket/prefix, file:///folder, or a folder's path.",
            "ファイルの場所: s3://bucket/prefix、file:///folder、またはフォルダーのパス。",
        ),
    ),
]
OfKind = Annotated[
    Kind | None,
    typer.Option("--kind", help=say("Only people, or only virtual ones.", "人間のみ、または仮想のみ。")),
]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help=say("Remove members whose file is no more.", "ファイルのなくなったメンバーを削除する。"),
    ),
]
