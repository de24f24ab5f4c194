"""What was used over time, as stacked bars: a colour for each of the models used most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from daicho.core.elements import box, set_attribute, show, words
from daicho.core.language import Text, say
from daicho.core.screen import Screen
from daicho.usage.page_period import Stretch
from daicho.usage.schemas import By, ReportRow, Sum

SLOTS = 6
"""Models that have a colour of their own; the others share one."""
OTHERS = SLOTS
HEIGHT = "height: 300px"
FONT = '-apple-system, "Segoe UI", "Noto Sans", "Noto Sans JP", "Noto Sans CJK JP", system-ui, sans-serif'
"""Named, for texts are measured before they are drawn."""
Measure = Callable[[Sum], float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """What the bars are of, and how the browser writes it: exactly, and on the axis."""

    title: Text
    measure: Measure
    exact: str
    short: str


METRICS: Mapping[str, Metric] = {
    "": Metric(
        Text("Cost", "費用"),
        lambda spent: spent.total_cost_usd,
        "value => value == null ? '—' : '$' + value.toLocaleString('en-US', value < 0.995"
        " ? {maximumSignificantDigits: 3} : {minimumFractionDigits: 2, maximumFractionDigits: 2})",
        "value => '$' + value.toLocaleString('en-US', {maximumSignificantDigits: 3})",
    ),
    "tokens": Metric(
        Text("Tokens", "トークン"),
        lambda spent: spent.total_tokens,
        "value => (value ?? 0).toLocaleString('en-US')",
        "value => new Intl.NumberFormat(document.documentElement.lang, {notation: 'compact'}).format(value)",
    ),
}


class Colours:
    """Which model has which colour: a model keeps its own as long as it is among those shown."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}

    def take(self, models: Sequence[str]) -> None:
        """Give these models a colour each; at most ``SLOTS`` of them."""
        kept = {model: slot for model, slot in self._slots.items() if model in models}
        free = [slot for slot in range(SLOTS) if slot not in kept.values()]
        for model in models[:SLOTS]:
            if model not in kept:
                kept[model] = free.pop(0)
        self._slots = kept

    @property
    def models(self) -> list[str]:
        """The models that have a colour, in the colours' order."""
        return sorted(self._slots, key=self._slots.__getitem__)

    def of(self, model: str) -> str:
        """Return a model's colour, for CSS."""
        return colour(self._slots.get(model, OTHERS))


def colour(slot: int) -> str:
    """The CSS variable of a colour, which is another one by night."""
    return f"var(--series-{slot + 1})"


class Chart:
    """Bars by day or hour, a part of each for each model, and what chooses between cost and tokens.

    Args:
        screen: the page; its address says what the bars are of (``show``).
        turn: called when the reader has chosen.
        colours: the models' colours.
    """

    def __init__(self, screen: Screen, turn: Callable[[], Any], colours: Colours) -> None:
        self._turn, self._colours = turn, colours
        asked = screen.query.get("show", "")
        self.metric = asked if asked in METRICS else ""
        self._drawn: dict[str, Any] = {}
        with box("d-sheet d-passage", hidden=True) as self.root:
            with box("d-row"):
                self._title = words("", "d-grow", "h2")
                with box("d-switch", role="group", aria_label=say("What the bars show", "グラフの表示")):
                    self._ways = {
                        name: words(metric.title, "", "button", type="button")
                        for name, metric in METRICS.items()
                    }
            self._place = box("d-chart", role="img")
            with self._place:
                self._chart = ui.echart({}, renderer="svg").style(HEIGHT)
        for name, way in self._ways.items():
            screen.on(way, "click", self._choosing(name))

    def take(self, period: Stretch, rows: Sequence[ReportRow]) -> None:
        """Show the lines of a report by time and model."""
        metric = METRICS[self.metric]
        show(self.root, True)
        for name, way in self._ways.items():
            set_attribute(way, "aria-pressed", "true" if name == self.metric else "false")
        by_hour = period.unit is By.HOUR
        title = (
            say(f"{metric.title.en} by hour and model", f"時間別・モデル別の{metric.title.ja}")
            if by_hour
            else say(f"{metric.title.en} by day and model", f"日別・モデル別の{metric.title.ja}")
        )
        self._title.set_text(title)
        set_attribute(self._place, "aria-label", title)
        options = chart_options(period, rows, metric, self._colours)
        if options != self._drawn:
            self._drawn = options
            self._chart.options.clear()
            self._chart.options.update(options)
            self._chart.update()

    def _choosing(self, name: str) -> Callable[[object], Any]:
        async def choose(_: object) -> None:
            self.metric = name
            await self._turn()

        return choose


def chart_options(
    period: Stretch, rows: Sequence[ReportRow], metric: Metric, colours: Colours
) -> dict[str, Any]:
    """What ECharts draws: texts of the ledger are values in it, never keys, which could be code."""
    begins = period.begins
    place = {begin: number for number, begin in enumerate(begins)}
    named = colours.models
    bars: dict[str | None, list[float | None]] = {}
    for row in rows:
        value = metric.measure(row.sum)
        if value is None or row.begins not in place or row.model is None:
            continue
        series = bars.setdefault(row.model if row.model in named else None, [None] * len(begins))
        series[place[row.begins]] = (series[place[row.begins]] or 0) + value
    shown: list[str | None] = [model for model in named if model in bars]
    if None in bars:
        shown.append(None)
    others = say("Others", "その他")
    names = [others if model is None else model for model in shown]
    quiet = {"color": "var(--ink-3)"}
    return {
        "animation": False,
        "textStyle": {"fontFamily": FONT},
        "grid": {"left": 8, "right": 8, "top": 12, "bottom": 40, "containLabel": True},
        "legend": {
            "type": "scroll",
            "bottom": 0,
            "left": 0,
            "itemWidth": 12,
            "itemHeight": 12,
            "icon": "roundRect",
            "data": names,
            "textStyle": {
                "color": "var(--ink-2)",
                "width": 200,
                "overflow": "truncate",
                "fontFamily": "inherit",
            },
            "inactiveColor": "var(--rule-strong)",
            "pageIconColor": "var(--ink-2)",
            "pageIconInactiveColor": "var(--rule-strong)",
            "pageTextStyle": quiet,
        },
        "tooltip": {
            "trigger": "axis",
            "confine": True,
            "axisPointer": {"type": "shadow", "shadowStyle": {"color": "var(--accent)", "opacity": 0.08}},
            "backgroundColor": "var(--sheet)",
            "borderColor": "var(--rule-strong)",
            "textStyle": {"color": "var(--ink)", "fontSize": 12.5},
            ":valueFormatter": metric.exact,
        },
        "xAxis": {
            "type": "category",
            "data": [period.label(begin) for begin in begins],
            "axisLabel": {**quiet, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": "var(--rule-strong)"}},
            "axisTick": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "axisLabel": {**quiet, ":formatter": metric.short},
            "splitLine": {"lineStyle": {"color": "var(--rule)"}},
        },
        "series": [
            {
                "type": "bar",
                "stack": "all",
                "name": name,
                "data": bars[model],
                "barMaxWidth": 42,
                "barCategoryGap": "28%",
                "itemStyle": {
                    "color": colours.of(model) if model is not None else colour(OTHERS),
                    "borderColor": "var(--sheet)",
                    "borderWidth": 0.5,
                },
                # A lighter shade would have to be worked out from a colour that only the browser knows.
                "emphasis": {"disabled": True},
            }
            for model, name in zip(shown, names, strict=True)
        ],
    }
