"""What the commands of tasks have in common: the ledger, arguments, options."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from daicho.core.language import say
from daicho.core.terminal import UNITS, Terminal
from daicho.tasks.files import TaskFiles
from daicho.tasks.models import Task
from daicho.tasks.needs import LiveTaskLedger, TaskLedger
from daicho.tasks.schemas import TaskStatus

SHORTEST_SILENCE = timedelta(minutes=1)
"""Agents give a sign of life every 15 seconds: who is silent for less than this may be well."""


def terminal_of(context: typer.Context) -> Terminal[TaskLedger, LiveTaskLedger]:
    """The terminal that a command runs in."""
    terminal: Terminal[TaskLedger, LiveTaskLedger] = context.obj
    return terminal


def files_of(ledger: TaskLedger) -> TaskFiles:
    """The files of a ledger's tasks."""
    return TaskFiles(ledger.database.settings.context_storage.base_dir)


def checked_status(value: str | None) -> str | None:
    """Return a status, or raise Invalid for one that does not exist."""
    return None if value is None else TaskStatus.of(value.strip().lower()).value


def checked_source(value: str | None) -> str | None:
    """Return a task source, or raise Invalid for one that no task can have."""
    Task.row(task_source=value)
    return value


def checked_type(value: str | None) -> str | None:
    """Return a task type, or raise Invalid for one that no task can have."""
    Task.row(task_type=value)
    return value


def checked_user(value: str | None) -> str | None:
    """Return a user's name, or raise Invalid for one that no user can have."""
    Task.row(user=value)
    return value


def owner_and_repo(value: str | None) -> tuple[str | None, str | None]:
    """Split ``OWNER/REPO``. An owner may be a path too: what follows the last slash is the repository."""
    if value is None:
        return None, None
    owner, slash, repo = value.rpartition("/")
    return (owner, repo or None) if slash else (value, None)


def length(text: str) -> timedelta:
    """Read a length of time: ``90s``, ``10m``, ``2h``, ``1d``. Raises typer.BadParameter."""
    if found := re.fullmatch(r"(\d{1,6})([smhdw])", text.strip()):
        span = timedelta(**{UNITS[found[2]]: int(found[1])})
        if span >= SHORTEST_SILENCE:
            return span
        raise typer.BadParameter(
            say(f"{text!r} is too short; at least 1m", f"{text!r} は短すぎます。1m 以上にしてください")
        )
    raise typer.BadParameter(
        say(
            f"{text!r} is not a length of time; write 90s, 10m, 2h or 1d",
            f"{text!r} は時間の長さではありません。90s、10m、2h、1d のように書いてください",
        )
    )


TaskId = Annotated[
    str,
    typer.Argument(
        metavar="UUID",
        help=say(
            "The task's uuid; its first four characters or more suffice.",
            "タスクの uuid。先頭の 4 文字以上でもよい。",
        ),
    ),
]
Status = Annotated[
    str | None,
    typer.Option(
        help=say(
            "Only those in this status: pending, running, paused, completed, failed, stopped.",
            "この状態のみ: pending、running、paused、completed、failed、stopped。",
        ),
        callback=checked_status,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        help=say("Only those from here: github, gitlab.", "この出所のみ: github、gitlab。"),
        callback=checked_source,
    ),
]
Repository = Annotated[
    str | None,
    typer.Option(
        "--repo",
        metavar="OWNER/REPO",
        help=say(
            "Only this repository's; OWNER alone: all of its repositories'.",
            "このリポジトリのみ。OWNER だけならその全リポジトリ。",
        ),
    ),
]
Type = Annotated[
    str | None,
    typer.Option(
        "--type",
        help=say(
            "Only this type: issue, pull_request, merge_request.",
            "この種類のみ: issue、pull_request、merge_request。",
        ),
        callback=checked_type,
    ),
]
User = Annotated[
    str | None, typer.Option(help=say("Only this user's.", "このユーザーのみ。"), callback=checked_user)
]
StaleAfter = Annotated[
    timedelta | None,
    typer.Option(
        parser=length,
        metavar="LENGTH",
        show_default="10m",
        help=say(
            "How long a process of another machine may be silent: 10m, 2h.",
            "別のマシンのプロセスが応答しなくてもよい時間: 10m、2h。",
        ),
    ),
]
