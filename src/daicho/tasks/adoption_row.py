"""A row of an old agent's ``tasks``, read as one of ours: TEXT columns that held whatever was written."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from daicho.core.cells import Cell, Plain, as_text, as_whole, decoded, shown
from daicho.core.errors import DaichoError, Invalid
from daicho.core.language import Text
from daicho.core.types import uuid_text
from daicho.tasks.adoption_times import read_time
from daicho.tasks.models import COUNTS, Task
from daicho.tasks.rows import IDENTITY
from daicho.tasks.schemas import COUNT_MAX, TaskStatus

Value = Plain | None

TIMES = ("created_at", "started_at", "completed_at")
NUMBERS = ("process_id", "context_length", *COUNTS)
TEXTS = ("hostname", "llm_provider", "model", "error_message", "user")
NEEDED = ("uuid", *IDENTITY, "status", "created_at")
"""The columns that seed 001 calls NOT NULL."""
KNOWN = (*NEEDED, *TIMES[1:], *NUMBERS, *TEXTS)
"""Every column of seed 001."""

SYNONYMS: Mapping[str, TaskStatus] = {
    **{str(status): status for status in TaskStatus},
    **dict.fromkeys(("done", "finished", "success", "succeeded"), TaskStatus.COMPLETED),
    **dict.fromkeys(("error", "errored"), TaskStatus.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "aborted", "killed", "interrupted"), TaskStatus.STOPPED),
    **dict.fromkeys(("in_progress", "active", "processing"), TaskStatus.RUNNING),
    **dict.fromkeys(("queued", "waiting", "new", "todo", "created"), TaskStatus.PENDING),
    "suspended": TaskStatus.PAUSED,
}
"""What other programs call the statuses, where it can mean only one."""

NO_TIME = Text(
    "empty, and so are started_at and completed_at; give it a time",
    "空で、started_at と completed_at も空です。時刻を入れてください",
)


class BadRow(Exception):
    """A row that cannot be read as a task: every reason, each naming its column and the way out."""

    def __init__(self, reasons: list[Text]) -> None:
        super().__init__("; ".join(reason.en for reason in reasons))
        self.reasons = reasons


class RowReader:
    """Reads rows, and notes what it had to take for granted.

    Args:
        zone: where times were written that name no zone.
        statuses: further names of statuses; they go first.

    Attributes:
        zoneless: times that named no zone.
        undated: tasks without ``created_at``: when they began, or ended, stands for it.
    """

    def __init__(self, zone: ZoneInfo, statuses: Mapping[str, TaskStatus]) -> None:
        self._zone = zone
        self._statuses = {**SYNONYMS, **{plain_status(old): new for old, new in statuses.items()}}
        self._seen: set[str] = set()
        self.zoneless = 0
        self.undated = 0

    def read(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """Return a row for ``tasks.adopt``. Raises BadRow."""
        row: dict[str, Any] = {}
        reasons: list[Text] = []
        zoneless = 0

        def time(value: Value) -> datetime | None:
            nonlocal zoneless
            if (written := _filled(value)) is None:
                return None
            instant, zoned = read_time(written, self._zone)
            zoneless += not zoned
            return instant

        readers: Mapping[tuple[str, ...], Callable[[Value], object]] = {
            ("uuid",): self._uuid,
            IDENTITY: _needed,
            ("status",): self._status,
            TIMES: time,
            NUMBERS: _number,
            TEXTS: _text,
        }
        for names, read in readers.items():
            for name in names:
                try:
                    row |= Task.row(**{name: read(decoded(cells.get(name)))})
                except DaichoError as error:
                    reasons.append(_about(name, error.message))
        undated = "created_at" in row and row["created_at"] is None
        if undated:
            row["created_at"] = row.get("started_at") or row.get("completed_at")
            if row["created_at"] is None:
                reasons.append(_about("created_at", NO_TIME))
        if reasons:
            raise BadRow(reasons)
        self.zoneless += zoneless
        self.undated += undated
        return row

    def _uuid(self, value: Value) -> str:
        uuid = uuid_text(str(value).strip())
        if uuid is None:
            raise Invalid(
                f"{shown(value)} is not a UUID; give the row one",
                f"{shown(value)} は UUID ではありません。付けてください",
            )
        if uuid in self._seen:
            raise Invalid(
                "an earlier row has the same one, written otherwise; keep one of them",
                "同じ UUID (表記違い) の行が前にあります。どちらか 1 つにしてください",
            )
        self._seen.add(uuid)
        return uuid

    def _status(self, value: Value) -> str:
        status = self._statuses.get(plain_status("" if value is None else str(value)))
        if status is None:
            wanted = str(_filled(value) or "").strip()[:40]
            raise Invalid(
                f"{shown(value)} is no status; say which it means: --status '{wanted}=failed'",
                f"{shown(value)} という状態はありません。意味を指定してください: --status '{wanted}=failed'",
            )
        return status.value


def plain_status(name: str) -> str:
    """A status's name without what does not matter: case, blanks around it, hyphens for underscores."""
    return re.sub(r"[\s_-]+", "_", unicodedata.normalize("NFKC", name).strip().casefold())


def row_name(cells: Mapping[str, Cell], number: int | None) -> str:
    """How people find a row again: by its uuid as it stands there, or by its rowid."""
    try:
        uuid = decoded(cells.get("uuid"))
    except Invalid:
        uuid = None
    if _filled(uuid) is not None:
        return str(uuid)[:60]
    return "?" if number is None else f"rowid {number}"


def _needed(value: Value) -> str:
    if value is None:
        raise Invalid("NULL; every task needs one", "NULL です。タスクには必要です")
    return as_text(value)


def _text(value: Value) -> str | None:
    return None if value is None else as_text(value)


def _number(value: Value) -> int | None:
    if (written := _filled(value)) is None:
        return None
    number = as_whole(written)
    if number is None:
        raise Invalid(
            f"{shown(value)} is not a whole number; write 0 to {COUNT_MAX}",
            f"{shown(value)} は整数ではありません。0 から {COUNT_MAX} で書いてください",
        )
    if not 0 <= number <= COUNT_MAX:
        raise Invalid(
            f"{number} is out of range; 0 to {COUNT_MAX} fits", f"{number} は範囲外です (0 から {COUNT_MAX})"
        )
    return number


def _filled(value: Value) -> Value:
    """A value; None for an empty text."""
    return None if isinstance(value, str) and not value.strip() else value


def _about(column: str, reason: Text) -> Text:
    """A reason that names its column, once."""
    if reason.en.startswith(column):
        return reason
    return Text(f"{column}: {reason.en}", f"{column}: {reason.ja}")
