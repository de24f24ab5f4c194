"""``daicho tasks``: a coding agent's tasks in the terminal.

Reading stands here; changing in ``commands_change``, an old agent's database in ``commands_adopt``.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Annotated

import typer

from daicho.core.language import say
from daicho.core.options import Cursor, Every, Json, Limit, Since, Until, pages, put_list
from daicho.core.page import LIMIT_MAX
from daicho.core.terminal import note, printable, put, put_json
from daicho.tasks import commands_adopt, commands_change, files, shown
from daicho.tasks.files import TaskFiles
from daicho.tasks.options import (
    Repository,
    Source,
    Status,
    TaskId,
    Type,
    User,
    files_of,
    owner_and_repo,
    terminal_of,
)
from daicho.tasks.schemas import TaskOut

app = typer.Typer(
    help=say("A coding agent's tasks and their files.", "コーディングエージェントのタスクとそのファイル。"),
    no_args_is_help=True,
)

Reader = Callable[..., shown.ShownLines]
KINDS = {
    "messages": files.MESSAGES,
    "tools": files.TOOLS,
    "summaries": files.SUMMARIES,
    "current": files.CURRENT,
}
"""What ``show`` can print of a task's files, and the file."""


@app.command("list", help=say("List tasks, newest first.", "タスクを新しい順に一覧する。"))
def list_(
    context: typer.Context,
    status: Status = None,
    source: Source = None,
    repository: Repository = None,
    kind: Type = None,
    user: User = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    every: Every = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    owner, repo = owner_and_repo(repository)
    with terminal_of(context).open() as ledger:
        read = partial(
            ledger.tasks.list,
            status=status,
            task_source=source,
            owner=owner,
            repo=repo,
            task_type=kind,
            user=user,
            since=since,
            until=until,
        )
        found = pages(read, None if every else limit, cursor)
        put_list(found, shown.task_table(), shown.task_row, TaskOut.model_validate, json=json)


@app.command(
    help=say(
        "Show a task: facts, numbers, folder, process; or lines of its files.",
        "タスクの内容、数値、フォルダー、プロセス、またはファイルの行を表示する。",
    )
)
def show(
    context: typer.Context,
    uuid: TaskId,
    messages: Annotated[
        bool, typer.Option("--messages", help=say("Its latest messages.", "最新のメッセージ。"))
    ] = False,
    tools: Annotated[
        bool, typer.Option("--tools", help=say("Its latest tool calls.", "最新のツール呼び出し。"))
    ] = False,
    summaries: Annotated[
        bool, typer.Option("--summaries", help=say("Its latest summaries.", "最新の要約。"))
    ] = False,
    current: Annotated[
        bool,
        typer.Option("--current", help=say("What the model is sent next.", "モデルに次に送られる内容。")),
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help=say("How many lines.", "行数。"))] = 20,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help=say("One JSON object a line; lines as the file has them.", "1 行 1 件の JSON。"),
        ),
    ] = False,
) -> None:
    asked = [kind for kind, on in zip(KINDS, (messages, tools, summaries, current), strict=True) if on]
    if len(asked) > 1:
        raise typer.BadParameter(
            say(f"one of {_options(asked)} at a time", f"{_options(asked)} は 1 つずつ指定してください")
        )
    with terminal_of(context).open() as ledger:
        task = ledger.tasks.find(uuid)
        of = files_of(ledger)
    if asked:
        unread = _show_lines(asked[0], latest(_reader(of, asked[0], task.uuid), lines), json=json)
        if unread:
            raise typer.Exit(1)
    elif json:
        put_json(TaskOut.model_validate(task))
    else:
        shown.put_facts(task, of.folder(task.uuid))


def latest(read: Reader, count: int) -> Iterator[shown.ShownLine]:
    """Give a file's last lines, oldest first, however many: no more than a page of them is held."""
    left, first, before = count, None, None
    while left:
        page = read(limit=min(left, LIMIT_MAX), cursor=before, newest_first=True)
        left -= len(page.items)
        first = page.items[-1].at if page.items else first
        if (before := page.next) is None:
            break
    while first is not None:
        page = read(limit=LIMIT_MAX, cursor=first)
        yield from page.items
        first = page.next


def _show_lines(kind: str, found: Iterator[shown.ShownLine], *, json: bool) -> int:
    """Print lines; return how many could not be read."""
    table, unread = shown.line_table(kind), 0
    while lot := list(islice(found, LIMIT_MAX)):
        for line in lot:
            if line.record is None:
                unread += 1
                note(printable(_unreadable(KINDS[kind], line)))
            elif json:
                put(line.record.model_dump_json(exclude_unset=True))
        if not json:
            table.add(shown.line_row(line.record) for line in lot if line.record is not None)
    return unread


def _reader(of: TaskFiles, kind: str, uuid: str) -> Reader:
    reads: dict[str, Reader] = {
        "messages": of.messages,
        "tools": of.tool_calls,
        "summaries": of.summaries,
        "current": of.current,
    }
    return partial(reads[kind], uuid)


def _unreadable(name: str, line: shown.ShownLine) -> str:
    return say(
        f"{name}: the line at byte {line.at:,} cannot be read: {line.problem}",
        f"{name}: {line.at:,} バイト目の行を読めません: {line.problem}",
    )


def _options(names: list[str]) -> str:
    return ", ".join(f"--{name}" for name in names)


app.add_typer(commands_change.app)
app.add_typer(commands_adopt.app)
