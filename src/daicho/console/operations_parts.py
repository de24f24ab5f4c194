"""The parts of the page of the server itself: a chart and three tables."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from nicegui import ui

from daicho.console.history import Operation
from daicho.console.operations_words import amount, duration, size
from daicho.core.elements import Row, Rows, box, moment, set_attribute, show, words
from daicho.core.language import say
from daicho.core.slow import SlowQueries, SlowQuery
from daicho.ops.facts import TableSize

SHOWN = 12
"""Lines of each table."""
HEIGHT = "height: 200px"
CSS = """
.d-table.d-timings { --columns: minmax(150px, 1fr) 84px 84px 84px 64px; }
.d-table.d-sizes { --columns: minmax(120px, 1fr) minmax(60px, 1.2fr) 84px 100px; }
.d-table.d-slow { --columns: 120px 84px 170px minmax(0, 1fr); }
.d-sizes .d-bar {
  display: block; height: 10px; border-radius: 3px; background: var(--series-1); min-width: 1px;
}
.d-slow .d-statement { white-space: normal; overflow-wrap: anywhere; max-height: 5.2em; overflow: auto; }
.d-slow .d-th h2 { grid-column: 1 / -1; }
@media (max-width: 640px) {
  .d-table.d-timings .d-th, .d-table.d-sizes .d-th, .d-table.d-slow .d-th { display: grid; }
  .d-table.d-timings .d-tr {
    grid-template-columns: minmax(0, 1fr) 44px 62px 62px 44px; gap: 6px; padding-inline: 10px;
  }
  .d-table.d-sizes .d-tr { grid-template-columns: minmax(0, 1fr) 76px 84px; gap: 8px; }
  .d-table.d-sizes .d-tr > :nth-child(2) { display: none; }
  .d-table.d-timings .d-tr > *, .d-table.d-sizes .d-tr > * { order: 0; }
  .d-table.d-timings .d-right, .d-table.d-sizes .d-right { text-align: right; }
  .d-table.d-slow .d-tr { grid-template-columns: 110px 70px minmax(0, 1fr); gap: 4px 8px; }
  .d-slow .d-tr > :nth-child(4) { grid-column: 1 / -1; }
}
"""


class Rates:
    """Rows written a second, over the last quarter of an hour."""

    def __init__(self) -> None:
        title = say("Rows written a second, last 15 minutes", "1 秒あたりの書き込み行数 (直近 15 分)")
        self._drawn: list[list[Any]] | None = None
        with box("d-sheet d-passage", "section", aria_label=title):
            words(title, tag="h2")
            with box("d-chart", role="img", aria_label=title):
                self._chart = ui.echart(_chart(say("rows/s", "行/秒")), renderer="svg").style(HEIGHT)

    def take(self, rates: Sequence[tuple[datetime, float]]) -> None:
        """Show these rates, each at the end of its step."""
        points = [[int(at.timestamp() * 1000), round(rate, 2)] for at, rate in rates]
        if points != self._drawn:
            self._drawn = points
            self._chart.options["series"][0]["data"] = points
            self._chart.update()


def _chart(name: str) -> dict[str, Any]:
    quiet = {"color": "var(--ink-3)"}
    return {
        "animation": False,
        "grid": {"left": 8, "right": 12, "top": 12, "bottom": 8, "containLabel": True},
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "backgroundColor": "var(--sheet)",
            "borderColor": "var(--rule-strong)",
            "textStyle": {"color": "var(--ink)", "fontSize": 12.5},
        },
        "xAxis": {
            "type": "time",
            "axisLabel": {**quiet, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": "var(--rule-strong)"}},
        },
        "yAxis": {
            "type": "value",
            "minInterval": 1,
            "axisLabel": quiet,
            "splitLine": {"lineStyle": {"color": "var(--rule)"}},
        },
        "series": [
            {
                "type": "line",
                "name": name,
                "data": [],
                "showSymbol": False,
                "lineStyle": {"color": "var(--series-1)", "width": 1.5},
                "itemStyle": {"color": "var(--series-1)"},
                "areaStyle": {"color": "var(--series-1)", "opacity": 0.15},
                "emphasis": {"disabled": True},
            }
        ],
    }


class Timings:
    """How long operations took of late; those first that took most of the time."""

    def __init__(self) -> None:
        title = say("Operations, last 15 minutes", "操作 (直近 15 分)")
        with box("d-sheet d-table d-timings", "section", aria_label=title) as self._root:
            with box("d-tr d-th"):
                words(title, tag="h2")
                for name in (say("Calls", "回数"), "p50", "p95", say("Failed", "失敗")):
                    words(name, "d-right")
            self._rows = Rows(box(), lambda one: one.name, self._draw)

    def take(self, operations: Sequence[Operation]) -> None:
        """Show these operations, as many as there is room for."""
        self._rows.show(operations[:SHOWN])
        show(self._root, bool(operations))

    def _draw(self, one: Operation) -> Row[Operation]:
        with box("d-tr") as root:
            words(one.name, "d-mono", title=one.name)
            calls, half, most, failed = (words("", "d-right d-number") for _ in range(4))

        def take(one: Operation) -> None:
            calls.set_text(f"{one.held.count:,}")
            half.set_text(duration(one.held.quantile(0.5)))
            most.set_text(duration(one.held.quantile(0.95)))
            failed.set_text(f"{one.failed:,}")

        take(one)
        return Row(root, take)


Size = tuple[str, TableSize, float]
"""A table, and its share of the largest one's size."""


class Sizes:
    """The largest tables, as bars."""

    def __init__(self) -> None:
        title = say("Tables", "テーブル")
        with box("d-sheet d-table d-sizes", "section", aria_label=title, hidden=True) as self._root:
            with box("d-tr d-th"):
                words(title, tag="h2")
                words("")
                words(say("Size", "サイズ"), "d-right")
                words(say("Rows, about", "行数 (概算)"), "d-right")
            self._rows = Rows(box(), lambda one: one[0], self._draw)

    def take(self, tables: Mapping[str, TableSize]) -> None:
        """Show these tables; nothing while they are not known."""
        largest = sorted(tables.items(), key=lambda one: (-one[1].size, one[0]))[:SHOWN]
        most = max((table.size for _, table in largest), default=1) or 1
        self._rows.show([(name, table, table.size / most) for name, table in largest])
        show(self._root, bool(largest))

    def _draw(self, one: Size) -> Row[Size]:
        with box("d-tr") as root:
            words(one[0], "d-mono", title=one[0])
            with box():
                bar = box("d-bar", "i", aria_hidden="true")
            bytes_, rows = words("", "d-right d-number"), words("", "d-right d-number")

        def take(one: Size) -> None:
            _, table, share = one
            bar.style(replace=f"width: {100 * share:.1f}%")
            bytes_.set_text(size(table.size))
            rows.set_text("–" if table.rows is None else amount(table.rows))

        take(one)
        return Row(root, take)


class SlowOnes:
    """Statements that took long, latest first.

    Args:
        slow: remembers them.
    """

    def __init__(self, slow: SlowQueries) -> None:
        self._slow = slow
        title = say("Slow statements of late", "最近の遅い SQL 文")
        least = duration(slow.seconds)
        with box("d-sheet d-table d-slow", "section", aria_label=title):
            with box("d-tr d-th"):
                words(title, tag="h2")
            self._rows = Rows(box(), lambda one: (one.at, one.statement), self._draw)
            with box("d-empty d-slim") as self._none:
                words(say(f"None took {least} or more.", f"{least} 以上かかった文はありません。"))

    def look(self) -> None:
        """Show the latest ones."""
        latest = self._slow.latest()[:SHOWN]
        self._rows.show(latest)
        show(self._none, not latest)

    def _draw(self, one: SlowQuery) -> Row[SlowQuery]:
        with box("d-tr") as root:
            moment(one.at)
            words(duration(one.seconds), "d-right d-number")
            name = words(one.operation or "–", "d-mono", title=one.operation)
            words(one.statement, "d-mono d-statement", dir="ltr")
        if one.failed:
            set_attribute(name, "title", say(f"{one.operation}: failed", f"{one.operation}: 失敗"))
        return Row(root, lambda _: None)
