"""The calls on the console: those that go on, those that have ended, and a search in what was said.

Parts of this page stand in ``page_lists`` and ``page_search``; one call's own page in ``page_call``.
"""

from daicho.calls import page_call
from daicho.calls.needs import LiveCallLedger
from daicho.calls.page_lists import Criteria, EndedCalls, LiveCalls
from daicho.calls.page_search import Hits
from daicho.core.elements import box, show, words
from daicho.core.filters import Filters, suggest
from daicho.core.language import Text, say
from daicho.core.screen import Console, Screen

LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than that of one call."""


def register(console: Console[LiveCallLedger]) -> None:
    """Add this room's pages to the console."""
    console.room("calls", Text("Calls", "通話"), "/calls")

    @console.page("/calls", "calls")
    async def overview(screen: Screen) -> None:
        await Overview(console.ledger, screen).open()

    page_call.register(console)


class Overview:
    """The page of all calls. What the reader chose is in ``filters``, and in the address."""

    def __init__(self, ledger: LiveCallLedger, screen: Screen) -> None:
        self.screen = screen
        self.filters = Filters(screen, self._choose)
        screen.name(say("Calls", "通話"))
        with box("d-row"):
            words(say("Calls", "通話"), "d-grow", "h1")
            self._search_field()
        self._filter_fields()
        self.hits = Hits(ledger.calls, screen)
        self.live = LiveCalls(ledger.calls, screen, self.look)
        self.ended = EndedCalls(
            ledger.calls, ledger.usage, screen, self._turn_page, screen.query.get("after")
        )
        self._empty_states()

    async def open(self) -> None:
        """Show what there is, and keep it up to date."""
        await self.screen.follow("calls", self.look, LOOK_SECONDS)
        await self.screen.follow("usage", self.ended.look_at_costs, LOOK_SECONDS)

    async def look(self) -> None:
        """Bring the page up to date."""
        filtered, chosen = self.filters.any, self.filters.chosen
        searching = bool(chosen["q"])
        self.filters.offer_to_clear()
        show(self.hits.root, searching)
        for name, field in self.filters.fields.items():
            show(field, not searching or name == "client")
        if searching:
            for part in (self.live.root, self.ended.root, self.welcome, self.no_match):
                show(part, False)
            await self.hits.look(chosen["q"], chosen["client"] or None)
            return
        criteria, asked = self._criteria(), chosen["live"]
        found = await self.live.look(criteria) if asked != "ended" else 0
        found += await self.ended.look(criteria) if asked != "live" else 0
        some = found > 0 or self.ended.pager.cursor is not None
        show(self.live.root, some and asked != "ended")
        show(self.ended.root, some and asked != "live")
        show(self.welcome, not some and not filtered)
        show(self.no_match, not some and filtered)
        calls = [*self.live.calls, *self.ended.calls]
        suggest(self.clients, [call.client_id for call in calls])
        suggest(self.states, [call.current_state for call in calls])

    async def _choose(self) -> None:
        self.ended.pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        self.screen.remember({**self.filters.chosen, "after": self.ended.pager.cursor or ""})
        await self.look()

    def _criteria(self) -> Criteria:
        chosen = self.filters.chosen
        return Criteria(
            client_id=chosen["client"] or None,
            state=chosen["state"] or None,
            transferred={"yes": True, "no": False}.get(chosen["transferred"]),
            since=self.filters.day("from"),
            until=self.filters.day("to", 1),
        )

    # -- what the reader chooses with ----------------------------------------------------------------

    def _search_field(self) -> None:
        hint = say("Search in what was said", "会話の中を検索")
        field = box("d-search", "input", type="search", placeholder=hint, aria_label=hint, maxlength=200)
        self.filters.typed("q", field)

    def _filter_fields(self) -> None:
        filters, any_one = self.filters, ("", say("All", "すべて"))
        with filters.bar():
            self.clients = filters.text("client", say("Client", "クライアント"), say("Any", "すべて"), 128)
            self.states = filters.text("state", say("State", "状態"), say("Any", "すべて"), 64)
            filters.select(
                "live",
                say("Live or ended", "通話中・終了"),
                (any_one, ("live", say("Live", "通話中")), ("ended", say("Ended", "終了"))),
            )
            filters.select(
                "transferred",
                say("Handed over", "転送"),
                (any_one, ("yes", say("Yes", "あり")), ("no", say("No", "なし"))),
            )
            filters.date("from", say("From", "開始日"))
            filters.date("to", say("To", "終了日"))

    # -- what is said when there is nothing to show -----------------------------------------------------

    def _empty_states(self) -> None:
        with box("d-sheet d-empty", hidden=True) as self.welcome:
            words(say("The ledger holds no calls yet.", "台帳にまだ通話がありません。"), tag="b")
            with box():
                words(say("Fill it with an example: ", "見本を入れるには: "))
                words("daicho demo", tag="code")
            with box():
                words(say("Or record your own: ", "自分の通話を記録するには: "))
                words('ledger.calls.start("call-123", "client-001")', tag="code")
        with box("d-sheet d-empty", hidden=True) as self.no_match:
            words(say("No call fits these filters.", "条件に合う通話はありません。"), tag="b")
            words(say("Change one, or clear them all.", "条件を変えるか、解除してください。"))
