"""Which process works on a task, and whether it still does.

A process number alone says little: the system gives it to another process later, and containers
that share a host's name count their own. So a process is known by its *identity*: the kernel's boot,
the namespace of process numbers, and the moment it started (in clock ticks on Linux, which no change
of the clock moves).
"""

import socket
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from daicho.core.language import Text
from daicho.core.types import now
from daicho.tasks.models import Task

PROC = Path("/proc")
STALE_AFTER = timedelta(minutes=10)
"""How old a heartbeat may be before its task counts as left alone."""
SLACK = timedelta(minutes=1)
"""How much later than its task a process may seem to have started, where only the clock tells."""


def hostname() -> str:
    """This machine's name, as tasks record it."""
    return socket.gethostname()[:255]


def identity(pid: int) -> str | None:
    """What tells a process of this machine from any other that ever was; None if there is none."""
    started = _started(pid)
    return None if started is None else f"{_scope()}/{pid}/{started}"


def recorded_identity(process_id: int | None, host: str | None, since: datetime) -> str | None:
    """The identity to keep beside a process number; None where this machine cannot know it.

    Args:
        since: when the process worked on its task already: one that began later is another.
    """
    if not process_id or host != hostname() or _started_at(process_id) > since + SLACK:
        return None
    return identity(process_id)


def why_gone(task: Task, at: datetime, stale_after: timedelta) -> Text | None:
    """Say why a task's process is surely gone; None if it lives or nobody here can know.

    A process of this machine is looked up, and while it lives nothing else counts. For any other the
    heartbeat decides, if there is one.

    Args:
        at: now, by the clock that wrote the heartbeats.
        stale_after: how old the last heartbeat may be.
    """
    beaten = task.heartbeat_at
    fresh = beaten is not None and at - beaten <= stale_after
    if task.process_id and task.process_identity is not None:
        if task.process_identity.startswith(f"{_scope()}/"):
            found = identity(task.process_id)
            return None if found == task.process_identity else _ended(task.process_id, found is not None)
    elif task.process_id and task.hostname == hostname() and not fresh:
        # A name that containers may share: a fresh heartbeat tells of a process that is not seen here.
        if identity(task.process_id) is None:
            return _ended(task.process_id, False)
        began = _started_at(task.process_id)
        return _ended(task.process_id, True) if began > (task.started_at or task.created_at) + SLACK else None
    if beaten is not None and not fresh:
        seconds = int((at - beaten).total_seconds())
        return Text(
            f"no sign of life from it for {seconds:,} s (on {task.hostname or '?'})",
            f"{seconds:,} 秒間、応答がありません ({task.hostname or '?'})",
        )
    return None


def _ended(pid: int, reused: bool) -> Text:
    if reused:
        return Text(
            f"its process {pid} has ended; another one has the number now",
            f"プロセス {pid} は終了し、その番号は別のプロセスのものです",
        )
    return Text(f"its process {pid} has ended", f"プロセス {pid} は終了しています")


def lives(task: Task, stale_after: timedelta = STALE_AFTER) -> bool:
    """Whether a process may be working on a task: it does, or nobody here can know.

    One that never told of a process, and one whose process is surely gone, has nobody.
    """
    if task.process_id is None and task.heartbeat_at is None:
        return False
    return why_gone(task, now(), stale_after) is None


@cache
def _scope() -> str:
    """The kernel's boot and the namespace of process numbers that this process sees."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{PROC.joinpath('self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return f"{socket.gethostname()[:80]}/"


def _started(pid: int) -> str | None:
    if not PROC.joinpath("self/stat").exists():
        return _started_elsewhere(pid)
    try:
        # The name in brackets may hold anything; state is the 3rd field, start the 22nd.
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _started_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return "unknown"


def _started_at(pid: int) -> datetime:
    """When a process started, by the clock; the beginning of time if that cannot be known."""
    import psutil

    try:
        return datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except psutil.Error:
        return datetime.min.replace(tzinfo=UTC)
