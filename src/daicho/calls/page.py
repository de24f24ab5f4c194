"""The calls on the console: those that go on, those that have ended, and a search in what was said.

Parts of this page stand in ``page_lists`` and ``page_search``; one call's own page in ``page_call``.
"""

from datetime import date, datetime, time, timedelta

from nicegui import ui

from daicho.calls import page_call
from daicho.calls.needs import LiveCallLedger
from daicho.calls.page_lists import Criteria, EndedCalls, LiveCalls
from daicho.calls.page_search import Hits
from daicho.core.elements import Rows, box, set_attribute, show, suggestion, words
from daicho.core.language import Text, say
from daicho.core.screen import Console, Screen

LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than that of one call."""
SUGGESTIONS = 50
FILTERS = ("client", "state", "live", "transferred", "from", "to")
TYPED = "(event) => daicho.typed(event, emit)"


def register(console: Console[LiveCallLedger]) -> None:
    """Add this room's pages to the console."""
    console.room("calls", Text("Calls", "通話"), "/calls")

    @console.page("/calls", "calls")
    async def overview(screen: Screen) -> None:
        await Overview(console.ledger, screen).open()

    page_call.register(console)


class Overview:
    """The page of all calls. What the reader chose is in ``chosen``, and in the address."""

    def __init__(self, ledger: LiveCallLedger, screen: Screen) -> None:
        self.screen = screen
        self.chosen = {name: screen.query.get(name, "") for name in ("q", *FILTERS)}
        self.fields: dict[str, ui.element] = {}
        self.inputs: dict[str, ui.element] = {}
        screen.name(say("Calls", "通話"))
        with box("d-row"):
            words(say("Calls", "通話"), "d-grow", "h1")
            self._search_field()
        self._filter_fields()
        self.hits = Hits(ledger.calls, screen)
        self.live = LiveCalls(ledger.calls, screen, self.look)
        self.ended = EndedCalls(ledger.calls, screen, self._turn_page, screen.query.get("after"))
        self._empty_states()

    async def open(self) -> None:
        """Show what there is, and keep it up to date."""
        await self.screen.follow("calls", self.look, LOOK_SECONDS)

    async def look(self) -> None:
        """Bring the page up to date."""
        filtered = any(self.chosen[name] for name in FILTERS)
        searching = bool(self.chosen["q"])
        show(self.clear, filtered)
        show(self.hits.root, searching)
        for name in FILTERS:
            show(self.fields[name], not searching or name == "client")
        if searching:
            for part in (self.live.root, self.ended.root, self.welcome, self.no_match):
                show(part, False)
            await self.hits.look(self.chosen["q"], self.chosen["client"] or None)
            return
        criteria, asked = self._criteria(), self.chosen["live"]
        found = await self.live.look(criteria) if asked != "ended" else 0
        found += await self.ended.look(criteria) if asked != "live" else 0
        some = found > 0 or self.ended.pager.cursor is not None
        show(self.live.root, some and asked != "ended")
        show(self.ended.root, some and asked != "live")
        show(self.welcome, not some and not filtered)
        show(self.no_match, not some and filtered)
        self._suggest()

    async def _choose(self, name: str, value: str) -> None:
        self.chosen[name] = value.strip()
        self.ended.pager.restart()
        if name in self.inputs:
            self.inputs[name].classes(**{"add" if value.strip() else "remove": "d-set"})
        await self._turn_page()

    async def _turn_page(self) -> None:
        self.screen.remember({**self.chosen, "after": self.ended.pager.cursor or ""})
        await self.look()

    def _criteria(self) -> Criteria:
        chosen = self.chosen
        return Criteria(
            client_id=chosen["client"] or None,
            state=chosen["state"] or None,
            transferred={"yes": True, "no": False}.get(chosen["transferred"]),
            since=self._day(chosen["from"], 0),
            until=self._day(chosen["to"], 1),
        )

    def _day(self, text: str, later: int) -> datetime | None:
        """The beginning of a day in the reader's time zone, or some days later; None if it is no day."""
        try:
            return datetime.combine(
                date.fromisoformat(text) + timedelta(days=later), time.min, self.screen.zone
            )
        except (ValueError, OverflowError):
            return None

    # -- what the reader chooses with ----------------------------------------------------------------

    def _search_field(self) -> None:
        hint = say("Search in what was said", "会話の中を検索")
        self._typed(
            "q", box("d-search", "input", type="search", placeholder=hint, aria_label=hint, maxlength=200)
        )

    def _filter_fields(self) -> None:
        with box("d-filters", role="group", aria_label=say("Filters", "絞り込み")):
            self.clients = self._text("client", say("Client", "クライアント"), say("Any", "すべて"), 128)
            self.states = self._text("state", say("State", "状態"), say("Any", "すべて"), 64)
            any_one = ("", say("All", "すべて"))
            self._select(
                "live",
                say("Live or ended", "通話中・終了"),
                (any_one, ("live", say("Live", "通話中")), ("ended", say("Ended", "終了"))),
            )
            self._select(
                "transferred",
                say("Handed over", "転送"),
                (any_one, ("yes", say("Yes", "あり")), ("no", say("No", "なし"))),
            )
            self._date("from", say("From", "開始日"))
            self._date("to", say("To", "終了日"))
            self.clear = words(say("Clear", "解除"), "d-button", "a", href=self.screen.path)

    def _field(self, name: str, label: str) -> ui.element:
        self.fields[name] = box("d-field", "label")
        with self.fields[name]:
            words(label)
        return self.fields[name]

    def _text(self, name: str, label: str, hint: str, length: int) -> Rows[str]:
        with self._field(name, label):
            field = box("", "input", type="text", placeholder=hint, maxlength=length, autocomplete="off")
            self._typed(name, field)
            options = box("", "datalist")
        set_attribute(field, "list", options.html_id)
        return Rows(options, str, suggestion)

    def _date(self, name: str, label: str) -> None:
        with self._field(name, label):
            self._changed(name, box("", "input", type="date"))

    def _select(self, name: str, label: str, options: tuple[tuple[str, str], ...]) -> None:
        with self._field(name, label), box("", "select") as field:
            for value, text in options:
                words(text, tag="option", value=value, selected=self.chosen[name] == value or None)
        self._changed(name, field)

    def _typed(self, name: str, field: ui.element) -> None:
        self._changed(name, field, ("input", "compositionend"), TYPED)

    def _changed(
        self,
        name: str,
        field: ui.element,
        events: tuple[str, ...] = ("change",),
        js: str = "(event) => emit(event.target.value)",
    ) -> None:
        # "^": the attribute, not the property, which Vue would put back while the reader is typing.
        field.props["^value"] = self.chosen[name]
        self.inputs[name] = field
        if self.chosen[name]:
            field.classes("d-set")

        async def choose(value: object) -> None:
            await self._choose(name, str(value or ""))

        for event in events:
            self.screen.on(field, event, choose, js)

    def _suggest(self) -> None:
        calls = [*self.live.calls, *self.ended.calls]
        self.clients.show(sorted({call.client_id for call in calls})[:SUGGESTIONS])
        self.states.show(sorted({call.current_state for call in calls})[:SUGGESTIONS])

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
