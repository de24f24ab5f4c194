"""What the commands of usage have in common: the ledger, arguments, options, time zones."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.terminal import Terminal, instant
from daicho.core.types import now
from daicho.usage.needs import LiveUsageLedger, UsageLedger
from daicho.usage.periods import QUARTER, check_stretch, month_in, zone_of

LOCALTIME = Path("/etc/localtime")
"""A link into the zone files on most machines: its target says where the machine stands."""


def terminal_of(context: typer.Context) -> Terminal[UsageLedger, LiveUsageLedger]:
    """The terminal that a command runs in."""
    terminal: Terminal[UsageLedger, LiveUsageLedger] = context.obj
    return terminal


def tenant_of(ledger: UsageLedger, named: str | None) -> str | None:
    """Return the id of a tenant that an option names by id or name; None for none.

    Raises NotFound; Conflict for a name that several have.
    """
    return None if named is None else ledger.usage.find_tenant(named).id


# -- times -------------------------------------------------------------------------------------------


def zone_named(name: str | None) -> ZoneInfo:
    """Return the time zone that an option names; this machine's, or UTC where it is unknown, for None."""
    return zone_of(name.strip()) if name is not None else machine_zone()


def machine_zone() -> ZoneInfo:
    """Return this machine's time zone, as ``TZ`` or its settings name it; UTC if they name none."""
    _, _, linked = str(LOCALTIME.resolve()).partition("/zoneinfo/")
    try:
        return zone_of(os.environ.get("TZ", "").removeprefix(":") or linked or "UTC")
    except Invalid:  # TZ may also hold a rule, as JST-9
        return ZoneInfo("UTC")


def moment(text: str, zone: ZoneInfo) -> datetime:
    """Read a time; where it names no zone, in this one. ``7d`` is that long ago, to the quarter of an hour.

    Raises typer.BadParameter.
    """
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        ago = instant(text)
        return ago - (ago - ago.replace(hour=0, minute=0, second=0, microsecond=0)) % QUARTER
    return read if read.tzinfo else read.replace(tzinfo=zone)


def stretch(
    month: str | None, since: str | None, until: str | None, zone: ZoneInfo
) -> tuple[datetime, datetime]:
    """Return when the time that options name begins and ends; this month, if they name none.

    Raises typer.BadParameter and Invalid.
    """
    if month is not None and (since or until):
        raise typer.BadParameter(
            say("--month, or --since and --until, not both", "--month と --since/--until は併用できません")
        )
    if until is not None and since is None:
        raise typer.BadParameter(say("--until needs --since", "--until には --since も必要です"))
    if since is None:
        return month_in(month or f"{now().astimezone(zone):%Y-%m}", zone)
    begins = moment(since, zone)
    ends = moment(until, zone) if until is not None else _next_quarter()
    return check_stretch(begins, ends)


def _next_quarter() -> datetime:
    at = now().replace(second=0, microsecond=0)
    return at + QUARTER - timedelta(minutes=at.minute % 15)


# -- options -----------------------------------------------------------------------------------------

OfTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant",
        metavar="ID|NAME",
        help=say("Only this tenant's.", "このテナントのみ。"),
    ),
]
OfUser = Annotated[
    str | None,
    typer.Option("--user", metavar="ID", help=say("Only this user's.", "このユーザーのみ。")),
]
OfModel = Annotated[
    str | None, typer.Option("--model", help=say("Only calls of this model.", "このモデルのみ。"))
]
OfOperation = Annotated[
    str | None,
    typer.Option("--operation", help=say("Only calls for this operation.", "この操作のみ。")),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        show_default=False,
        help=say(
            "The time zone whose months, days and hours count: Asia/Tokyo. This machine's, if not given.",
            "月・日・時を区切る時間帯: Asia/Tokyo など。省略時はこのマシンの時間帯。",
        ),
    ),
]
