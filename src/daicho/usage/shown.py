"""How usage looks in the terminal: records, reports, sums of money."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from daicho.core.language import say
from daicho.core.operation import Sync
from daicho.core.page import LIMIT_MAX, Page
from daicho.core.terminal import Table, csv_cell, local, put
from daicho.usage.models import AIUsageLog
from daicho.usage.reports import COLUMNS
from daicho.usage.schemas import By, Report, ReportRow, Sum
from daicho.usage.store import UsageStore

UNKNOWN = "—"
"""What stands where nobody knows the cost. Never 0."""
CENTS_FROM = 100.0
"""From so many dollars on two decimals are enough; below, four."""
TIMES: Mapping[By, str] = {By.HOUR: "%Y-%m-%d %H:%M", By.DAY: "%Y-%m-%d", By.MONTH: "%Y-%m"}
SEED = ("api_calls", "total_input_tokens", "total_output_tokens", "total_tokens", "total_cost_usd")
"""The columns of the monthly query, named as seed 003 names them."""
FURTHER = (
    "failed_calls",
    "unpriced_calls",
    "total_cache_read_tokens",
    "total_cache_write_tokens",
    "timed_calls",
    "total_duration_ms",
)


def dollars(cost: float | None, digits: int = 4) -> str:
    """Write an amount of dollars: ``—`` for an unknown one, ``<0.0001`` for one that would look like none."""
    if cost is None:
        return UNKNOWN
    least = 10**-digits
    return f"<{least:.{digits}f}" if 0 < cost < least else f"{cost:,.{digits}f}"


def exactly(cost: float | None) -> str:
    """Write a single call's cost, however small."""
    return UNKNOWN if cost is None else f"{cost:,.4f}" if cost >= 1 else f"{cost:.6f}".rstrip("0").rstrip(".")


def stretch_text(begins: datetime, ends: datetime, zone: ZoneInfo) -> str:
    """Say from when until when, by which clocks."""
    first, last = (f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in (begins, ends))
    return say(f"{first} to {last}, {zone.key}", f"{first} から {last} まで ({zone.key})")


# -- names -------------------------------------------------------------------------------------------


def names(read: Callable[..., Page[Any]], wanted: Iterable[str | None]) -> dict[str, str]:
    """Return what things are called, by id, page by page until all are found."""
    missing = {one for one in wanted if one is not None}
    found: dict[str, str] = {}
    cursor: str | None = None
    while missing:
        page = read(limit=LIMIT_MAX, cursor=cursor)
        for one in page.items:
            if one.id in missing:
                missing.remove(one.id)
                found[one.id] = one.name or ""
        if (cursor := page.next) is None:
            break
    return found


# -- reports -----------------------------------------------------------------------------------------


class ReportLines:
    """A report's lines, for people and for programs.

    Args:
        by: what they tell apart.
        usage: knows the names of tenants and users.
    """

    def __init__(self, report: Report, by: Sequence[By], usage: UsageStore[Sync]) -> None:
        self._report = report
        self._by = sorted(by, key=lambda one: not one.is_time)
        rows = report.rows
        self._tenants = names(usage.list_tenants, {row.tenant_id for row in rows})
        self._users = names(usage.list_users, {row.user_id for row in rows})

    def put_table(self) -> None:
        """Write them as a table with a line of the total."""
        titles = {
            By.TENANT: say("TENANT", "テナント"),
            By.USER: say("USER", "ユーザー"),
            By.MODEL: say("MODEL", "モデル"),
            By.OPERATION: say("OPERATION", "操作"),
            By.SOURCE: say("SOURCE", "対象"),
            By.HOUR: say("HOUR", "時"),
            By.DAY: say("DAY", "日"),
            By.MONTH: say("MONTH", "月"),
        }
        heads = [titles[one] for one in self._by]
        figures = [say("CALLS", "呼び出し"), say("INPUT", "入力"), say("OUTPUT", "出力")]
        figures += [say("TOKENS", "トークン"), say("COST (USD)", "費用 (USD)")]
        total = self._report.total
        digits = 2 if (total.total_cost_usd or 0) >= CENTS_FROM else 4
        lines = [
            [*(self._cell(row, one) for one in self._by), *_figures(row.sum, digits)]
            for row in self._report.rows
        ]
        if self._by:
            lines.append([say("total", "合計"), *[""] * (len(heads) - 1), *_figures(total, digits)])
        put_aligned([*heads, *figures], lines, len(heads))

    def put_json(self) -> None:
        """Write each as a line of JSON."""
        for row in self._report.rows:
            put(json.dumps(self._record(row), ensure_ascii=False))

    def write_csv(self, to: TextIO, *, raw: bool) -> None:
        """Write them as CSV; ``raw`` leaves cells alone that a spreadsheet would run."""
        writer = csv.writer(to)
        heads = [name for one in self._by for name in _columns(one)]
        writer.writerow([*heads, *SEED, *FURTHER])
        for row in self._report.rows:
            writer.writerow([csv_cell(value, raw=raw) for value in self._record(row).values()])

    def _record(self, row: ReportRow) -> dict[str, Any]:
        """A line's columns, in their order."""
        found: dict[str, Any] = {}
        for one in self._by:
            match one:
                case By.TENANT:
                    found |= {"tenant_id": row.tenant_id, "tenant": self._tenants.get(row.tenant_id or "")}
                case By.USER:
                    found |= {"user_id": row.user_id, "user": self._users.get(row.user_id or "")}
                case By.HOUR if row.begins:
                    found["hour"] = row.begins.isoformat(timespec="minutes")
                case one if one.is_time and row.begins:
                    found[one.value] = f"{row.begins:{TIMES[one]}}"
                case _:
                    found[COLUMNS[one]] = getattr(row, COLUMNS[one])
        return found | {name: getattr(row.sum, name) for name in (*SEED, *FURTHER)}

    def _cell(self, row: ReportRow, one: By) -> str:
        if one.is_time:
            return f"{row.begins:{TIMES[one]}}" if row.begins else ""
        value: str | None = getattr(row, COLUMNS[one])
        called = {By.TENANT: self._tenants, By.USER: self._users}.get(one, {})
        return called.get(value or "") or value or "-"


def _columns(one: By) -> list[str]:
    if one in {By.TENANT, By.USER}:
        return [f"{one.value}_id", one.value]
    return [one.value if one.is_time else COLUMNS[one]]


def _figures(of: Sum, digits: int) -> list[str]:
    counts = (of.api_calls, of.total_input_tokens, of.total_output_tokens, of.total_tokens)
    return [*(f"{count:,}" for count in counts), dollars(of.total_cost_usd, digits)]


def put_aligned(titles: Sequence[str], lines: Sequence[Sequence[str]], words: int) -> None:
    """Write a table whose columns after the first ``words`` are numbers, which end under each other."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(titles, *lines, strict=True)]

    def aligned(line: Sequence[str]) -> list[str]:
        return [
            cell if place < words else " " * (width - cell_len(cell)) + cell
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]

    table = Table(*aligned(titles))
    table.add(map(aligned, lines))


def put_sum(source: str, of: Sum) -> None:
    """Write what was used for one thing, a line each."""
    facts = Table("", "")
    facts.add(
        [
            (say("source", "対象"), source),
            (say("calls", "呼び出し"), f"{of.api_calls:,}" + _failed(of.failed_calls)),
            (say("input tokens", "入力トークン"), f"{of.total_input_tokens:,}"),
            (say("output tokens", "出力トークン"), f"{of.total_output_tokens:,}"),
            (say("tokens", "トークン"), f"{of.total_tokens:,}"),
            (say("cost (USD)", "費用 (USD)"), exactly(of.total_cost_usd) + _unpriced(of.unpriced_calls)),
        ]
    )


def _failed(calls: int) -> str:
    return say(f" ({calls:,} failed)", f" (うち失敗 {calls:,})") if calls else ""


def _unpriced(calls: int) -> str:
    return say(f" ({calls:,} calls without a price)", f" (価格不明 {calls:,} 件)") if calls else ""


# -- records -----------------------------------------------------------------------------------------


def record_table() -> Table:
    """The table of ``daicho usage list``; rows by ``record_row``."""
    return Table(
        say("TIME", "時刻"),
        say("TENANT", "テナント"),
        say("MODEL", "モデル"),
        say("OPERATION", "操作"),
        say("INPUT", "入力"),
        say("OUTPUT", "出力"),
        say("COST (USD)", "費用 (USD)"),
        say("RESULT", "結果"),
        say("SOURCE", "対象"),
        say("ID", "ID"),
    )


def record_row(record: AIUsageLog, tenants: Mapping[str, str]) -> Sequence[str]:
    """A record's row in the table."""
    return (
        local(record.created_at),
        tenants.get(record.tenant_id) or record.tenant_id,
        record.model,
        record.operation,
        f"{record.input_tokens:,}",
        f"{record.output_tokens:,}",
        exactly(record.cost_usd),
        record.success,
        record.source or "",
        record.id,
    )


def put_facts(record: AIUsageLog, tenant: str | None) -> None:
    """Write what is known of a record, a line each, by its columns' names."""
    facts = Table("", "")
    facts.add([(name, _fact(name, value, tenant)) for name, value in record.values().items()])


def _fact(name: str, value: object, tenant: str | None) -> str:
    if name == "cost_usd":
        return exactly(value if isinstance(value, float) else None)
    if name == "tenant_id" and tenant:
        return f"{value} ({tenant})"
    if isinstance(value, datetime):
        return local(value)
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
