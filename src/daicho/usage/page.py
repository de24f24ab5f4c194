"""The usage of LLMs on the console: what it costs, over time, and who and what it is used for.

Parts of this page stand in the ``page_*`` files; what was used for one thing in ``page_source``.
"""

from collections.abc import Sequence

from nicegui import ui

from daicho.core.elements import box, show, words
from daicho.core.errors import Invalid, NotFound
from daicho.core.filters import Filters, suggest
from daicho.core.language import Text, say
from daicho.core.money import money
from daicho.core.screen import Console, Screen
from daicho.core.types import now
from daicho.usage import page_breakdown as tables
from daicho.usage.needs import LiveUsageLedger
from daicho.usage.page_breakdown import Breakdown, Part
from daicho.usage.page_chart import METRICS, SLOTS, Chart, Colours
from daicho.usage.page_lines import Chosen, Lines, LiveLines, dearest
from daicho.usage.page_months import Months
from daicho.usage.page_names import Names
from daicho.usage.page_period import Stretch, choices, stretch
from daicho.usage.page_records import Criteria, Records
from daicho.usage.page_savings import Savings
from daicho.usage.page_source import OfSource
from daicho.usage.page_style import CSS
from daicho.usage.page_unpriced import UnpricedModels
from daicho.usage.page_welcome import EmptyStates
from daicho.usage.page_words import KINDS, Figures, address, percent
from daicho.usage.schemas import By, Report, Sum

LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than others."""
PATIENCE_SECONDS = 15.0
"""It looks again after this time though no change was announced: a new day may have begun."""


def register(console: Console[LiveUsageLedger]) -> None:
    """Add this room's page to the console."""
    console.room("usage", Text("Usage", "利用量"), "/usage")
    ui.add_css(CSS, shared=True)

    @console.page("/usage", "usage")
    async def usage(screen: Screen) -> None:
        if source := screen.query.get("source"):
            await OfSource(console.ledger, screen, source).open()
        else:
            await Overview(console.ledger, screen).open()


class Overview:
    """The page of all usage. What the reader chose is in ``filters``, and in the address."""

    def __init__(self, ledger: LiveUsageLedger, screen: Screen) -> None:
        self._usage, self.screen = ledger.usage, screen
        self.filters = Filters(screen, self._choose)
        self.names, self.lines = Names(ledger.usage), LiveLines(ledger.usage)
        self.savings, self.colours = Savings(ledger.usage), Colours()
        self.months = Months(ledger.usage, screen.zone)
        screen.name(say("Usage", "利用量"))
        screen.insist_on_zone()
        words(say("Usage", "利用量"), tag="h1")
        self._filter_fields()
        with box("d-section d-roomy") as self.sums:
            self.figures = Figures(say("Saved by caching", "キャッシュによる節約"))
            self.chart = Chart(screen, self._turn_page, self.colours)
            self.unpriced = UnpricedModels()
            self._tables()
        self.records = Records(ledger.usage, self.names, screen, self._turn_records, linked=True)
        self.empty = EmptyStates(screen)

    async def open(self) -> None:
        """Show what there is, and keep it up to date."""
        await self.screen.follow("usage", self.look, LOOK_SECONDS, lambda: PATIENCE_SECONDS)

    async def look(self) -> None:
        """Bring the page up to date, what is quickly read first."""
        period, chosen = self._period(), self._narrowing()
        self.filters.offer_to_clear()
        await self.names.look(self.filters.chosen["tenant"])
        self.tenant_options.show([("", say("All", "すべて")), *self.names.offered])
        try:
            tenants = await self._usage.report(
                since=period.since,
                until=period.until,
                by=[By.TENANT],
                zone=period.zone,
                limit=self.tenants.limit,
                **chosen,
            )
        except (Invalid, NotFound):  # an address may ask for anything
            self._show(False)
            self.empty.take(some=False, any_ever=True)
            raise
        some = tenants.total.api_calls > 0
        self._show(some)
        if some:
            await self._take_tenants(tenants)
            await self._look_at_records(tenants.total)
            await self._take_lines(period, tenants.total, await self.lines.look(period, chosen))
            self.empty.take(some=True, any_ever=True)
        else:
            latest = await self.months.latest(now(), chosen["tenant_id"])
            any_ever = latest is not None or await self._any_ever()
            self.empty.take(some=False, any_ever=any_ever, latest=latest, tenant=chosen["tenant_id"] or "")
        await self.months.look(now())
        self.period_options.show(self._periods(self.filters.chosen["period"]))

    def _show(self, some: bool) -> None:
        show(self.sums, some)
        show(self.records.root, some)

    async def _any_ever(self) -> bool:
        """Whether the ledger holds usage of any time, if only as sums."""
        return bool(await self._usage.list(limit=1)) or await self._usage.kept_from() is not None

    async def _take_tenants(self, tenants: Report) -> None:
        await self.names.know(row.tenant_id for row in tenants.rows)
        self.figures.take(tenants.total)
        self.tenants.take(
            [
                Part(
                    row.tenant_id,
                    self.names.of(row.tenant_id),
                    row.sum,
                    self._narrowed("tenant", row.tenant_id),
                )
                for row in tenants.rows
            ],
            more=tenants.more,
        )

    async def _take_lines(self, period: Stretch, total: Sum, lines: Lines) -> None:
        models = lines.models
        saved = await self.savings.look(self.filters.chosen["tenant"] or None, lines.over_time)
        cached = percent(total.total_cache_read_tokens, total.total_input_tokens)
        self.figures.take_more(
            money(sum(saved.values()) if saved else None),
            say(f"{cached} of input was cached", f"入力の {cached} がキャッシュ"),
        )
        self.unpriced.take(models)
        measure = METRICS[self.chart.metric].measure
        most = sorted(models, key=lambda model: (-(measure(models[model]) or 0), model))
        self.colours.take([model for model in most if measure(models[model])][:SLOTS])
        self.chart.take(period, lines.over_time)
        self._take_table(
            self.models,
            [
                Part(
                    model,
                    model,
                    spent,
                    self._narrowed("model", model),
                    self.colours.of(model),
                    saved.get(model),
                )
                for model, spent in dearest(models)
            ],
        )
        self._take_table(
            self.operations,
            [
                Part(operation, operation or "–", spent, self._narrowed("operation", operation))
                for operation, spent in dearest(lines.operations)
            ],
        )
        none = say("Not stated", "指定なし")
        self._take_table(
            self.kinds,
            [
                Part(kind, str(KINDS.get(kind or "", kind or none)), spent)
                for kind, spent in dearest(lines.kinds)
            ],
        )
        suggest(self.model_options, list(models))
        suggest(self.operation_options, list(lines.operations))

    def _take_table(self, table: Breakdown, parts: Sequence[Part]) -> None:
        table.take(parts[: table.limit], more=len(parts) > table.limit)

    async def _look_at_records(self, total: Sum | None = None) -> None:
        """Bring the records up to date: only if it may be that there are others, where that is known."""
        period = self._period()
        criteria = Criteria(**self._narrowing(), source=None, since=period.since, until=period.until)
        await self.records.look(criteria, total)
        self.records.explain(
            say(
                "Single records of this time are kept no more; their sums are.",
                "この期間の個々の記録は保存期間を過ぎました。集計は残っています。",
            )
        )

    def _period(self) -> Stretch:
        return stretch(self.filters.chosen["period"], self.screen.zone, now())

    def _periods(self, chosen: str) -> list[tuple[str, str]]:
        """What there is to choose from."""
        return choices(chosen, self.screen.zone, now(), self.months.older)

    def _narrowing(self) -> Chosen:
        chosen = self.filters.chosen
        return Chosen(
            tenant_id=chosen["tenant"] or None,
            model=chosen["model"] or None,
            operation=chosen["operation"] or None,
        )

    # -- what the reader chooses -------------------------------------------------------------------------

    async def _choose(self) -> None:
        self.records.pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        self._remember()
        await self.look()

    async def _turn_records(self) -> None:
        self._remember()
        await self._look_at_records()

    def _remember(self) -> None:
        self.screen.remember({**self._chosen(), "after": self.records.pager.cursor or ""})

    def _chosen(self) -> dict[str, str]:
        return {**self.filters.chosen, "show": self.chart.metric}

    def _narrowed(self, name: str, value: str | None) -> str | None:
        """The address of this page with one choice more; None where it is chosen already."""
        if not value or self.filters.chosen[name]:
            return None
        return address({**self._chosen(), name: value})

    def _filter_fields(self) -> None:
        filters, hint = self.filters, say("Any", "すべて")
        with filters.bar():
            offered = self._periods(self.screen.query.get("period", ""))
            self.period_options = filters.select("period", say("Period", "期間"), offered)
            self.tenant_options = filters.select(
                "tenant", say("Tenant", "テナント"), [("", say("All", "すべて"))]
            )
            self.model_options = filters.text("model", say("Model", "モデル"), hint, 100)
            self.operation_options = filters.text("operation", say("Operation", "操作"), hint, 100)

    def _tables(self) -> None:
        cost, calls, tokens = tables.cost_column(), tables.calls_column(), tables.tokens_column()
        screen, look = self.screen, self.look
        with box("d-halves"):
            self.models = Breakdown(
                screen, say("Models", "モデル"), [cost, calls, tokens, tables.saved_column()], look
            )
            self.tenants = Breakdown(screen, say("Tenants", "テナント"), [cost, calls, tokens], look)
            self.operations = Breakdown(
                screen,
                say("Operations", "操作"),
                [cost, calls, tables.each_column(), tables.time_column()],
                look,
            )
            self.kinds = Breakdown(screen, say("Used for", "用途"), [cost, calls, tokens], look)
