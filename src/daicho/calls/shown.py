"""How calls and transcript lines look in the terminal."""

import sys
from collections.abc import Sequence
from datetime import datetime

from daicho.calls.models import Call, CallLog
from daicho.calls.schemas import SearchHit
from daicho.core.language import say
from daicho.core.terminal import Table, duration, local, printable, put
from daicho.core.types import now


def call_table() -> Table:
    """The table of ``daicho calls list``; rows by ``call_row``."""
    return Table(
        say("CALL", "通話"),
        say("CLIENT", "クライアント"),
        say("STARTED", "開始"),
        say("DURATION", "時間"),
        say("STATE", "状態"),
        say("HANDED OVER", "転送"),
        say("CALLER", "発信者"),
    )


def call_row(call: Call) -> Sequence[str]:
    """A call's row in the table."""
    return (
        call.call_id,
        call.client_id,
        local(call.started_at),
        _length(call),
        call.current_state,
        say("yes", "あり") if call.is_transferred else "",
        call.caller_number or "",
    )


def hit_table() -> Table:
    """The table of ``daicho calls search``; rows by ``hit_row``."""
    return Table(
        say("CALL", "通話"),
        say("CLIENT", "クライアント"),
        say("SAID", "時刻"),
        say("ROLE", "話者"),
        say("TEXT", "内容"),
    )


def hit_row(hit: SearchHit) -> Sequence[str]:
    """A matching line's row in the table."""
    log = hit.log
    return (log.call_id, hit.call.client_id, local(log.timestamp), log.role, log.text)


def put_facts(call: Call) -> None:
    """Write what is known of a call, a line each."""
    facts = Table("", "")
    facts.add(
        [
            (say("call", "通話"), call.call_id),
            (say("client", "クライアント"), call.client_id),
            (say("caller", "発信者"), call.caller_number or "-"),
            (say("started", "開始"), local(call.started_at)),
            (say("ended", "終了"), local(call.ended_at) or say("(goes on)", "(通話中)")),
            (say("duration", "時間"), _length(call)),
            (say("state", "状態"), call.current_state),
            (say("handed over", "転送"), _handed_over(call)),
        ]
    )


def put_line(log: CallLog, day: datetime) -> None:
    """Write a transcript line; its date too, if it is not ``day``'s."""
    said_at = log.timestamp.astimezone()
    time = f"{said_at:%H:%M:%S}" if said_at.date() == day.astimezone().date() else local(log.timestamp)
    before = f"{time}  {log.role:<4}  {printable(log.state):<12}  "
    if sys.stdout.isatty():
        _draw_line(before, log)
    else:
        put(before + printable(log.text))


def _draw_line(before: str, log: CallLog) -> None:
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    line = Drawn.grid(expand=False)
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row(
        Text(before, style="dim"), Text(printable(log.text), style="bold" if log.role == "user" else "")
    )
    Console().print(line)


def _length(call: Call) -> str:
    return duration((call.ended_at or now()) - call.started_at) + ("" if call.ended_at else " …")


def _handed_over(call: Call) -> str:
    if not call.is_transferred:
        return say("no", "なし")
    return f"{say('yes', 'あり')}: {call.handover_summary}" if call.handover_summary else say("yes", "あり")
