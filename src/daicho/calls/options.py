"""What the commands of calls have in common: the ledger, arguments, options."""

from typing import Annotated

import typer

from daicho.calls.models import Call
from daicho.calls.needs import CallLedger, LiveCallLedger
from daicho.core.language import say
from daicho.core.terminal import Terminal


def terminal_of(context: typer.Context) -> Terminal[CallLedger, LiveCallLedger]:
    """The terminal that a command runs in."""
    terminal: Terminal[CallLedger, LiveCallLedger] = context.obj
    return terminal


def checked_call(value: str) -> str:
    """Return a call's name, or raise Invalid for one that no call can have."""
    Call.row(call_id=value)
    return value


def checked_client(value: str | None) -> str | None:
    """Return a client's name, or raise Invalid for one that no client can have."""
    Call.row(client_id=value)
    return value


def checked_state(value: str | None) -> str | None:
    """Return a state, or raise Invalid for one that no call can be in."""
    Call.row(current_state=value)
    return value


CallId = Annotated[
    str,
    typer.Argument(metavar="CALL", help=say("The call's own name.", "通話 ID。"), callback=checked_call),
]
Client = Annotated[
    str | None,
    typer.Option(help=say("Only this client's.", "このクライアントのみ。"), callback=checked_client),
]
State = Annotated[
    str | None,
    typer.Option(help=say("Only those in this state.", "この状態のみ。"), callback=checked_state),
]
Transferred = Annotated[
    bool | None,
    typer.Option(
        "--transferred/--not-transferred",
        help=say(
            "Only those that were, or were not, handed to a person.", "転送した、またはしていないもののみ。"
        ),
    ),
]
Live = Annotated[
    bool | None,
    typer.Option(
        "--live/--ended", help=say("Only those that go on, or have ended.", "通話中、または終了のみ。")
    ),
]
