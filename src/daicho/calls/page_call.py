"""The page of one call: its facts, its states over time, and its transcript as it is spoken."""

from daicho.calls.models import Call
from daicho.calls.needs import LiveCallLedger
from daicho.calls.page_lists import call_address, handed_over, source
from daicho.calls.page_timeline import Timeline
from daicho.calls.page_transcript import Transcript
from daicho.core.cost import Cost, has_pages
from daicho.core.elements import Chip, box, elapsed, fact, moment, set_attribute, show, words
from daicho.core.errors import Invalid, NotFound
from daicho.core.language import say
from daicho.core.money import Costs
from daicho.core.one_page import Missing, OnePageWithCost
from daicho.core.screen import Console, Screen


def register(console: Console[LiveCallLedger]) -> None:
    """Add the page of one call to the console."""
    has_pages("call", call_address)

    @console.page("/calls/{call_id:path}", "calls")
    async def one_call(screen: Screen) -> None:
        page = CallPage(console.ledger, screen)
        await screen.follow("calls", page.look)
        await screen.follow("usage", page.look_at_cost)


class CallPage(OnePageWithCost[Call, "Drawn"]):
    """The page of one call."""

    def __init__(self, ledger: LiveCallLedger, screen: Screen) -> None:
        self._store, self._costs = ledger.calls, ledger.usage
        self._call_id = screen.route["call_id"]
        screen.name(self._call_id)
        said = say("There is no such call.", "その通話はありません。")
        back = say("To all calls", "通話一覧へ")
        super().__init__(screen, Missing(said, self._call_id, back, "/calls"), "d-section")

    async def _find(self) -> Call | None:
        try:
            return await self._store.get(self._call_id)
        except (NotFound, Invalid):
            return None

    def _draw(self, found: Call) -> "Drawn":
        return Drawn(found, Transcript(self._store, self._screen, self._call_id), self._costs)

    async def _take(self, drawn: "Drawn", found: Call) -> None:
        await drawn.transcript.look()
        drawn.take(found)


class Drawn:
    """The parts of a call's page that change.

    Args:
        call: the call as it is now.
        transcript: its lines; drawn beside the facts.
        costs: what calls have cost.
    """

    def __init__(self, call: Call, transcript: Transcript, costs: Costs) -> None:
        self.transcript = transcript
        words(say("‹ All calls", "‹ 通話一覧"), "d-link d-small", "a", href="/calls")
        with box("d-row"):
            words(call.call_id, "d-title", "h1")
            self._live = Chip(say("Live", "通話中"), "d-live")
            self._over = Chip(say("Ended", "終了"), "")
            self._transferred = handed_over()
        with box("d-call"):
            with box("d-beside"):
                self._facts(call)
                self.cost = Cost(costs, source(call))
                self.timeline = Timeline()
                with box("d-sheet d-handover", hidden=True) as self._handover:
                    words(say("Handover summary", "引き継ぎ要約"), tag="h2")
                    self._summary = words("", tag="div", dir="auto")
            transcript.draw()

    def _facts(self, call: Call) -> None:
        with box("d-sheet d-facts", "dl"):
            with fact(say("Client", "クライアント")):
                self._client = words("", "d-title")
            with fact(say("Caller", "発信者番号")):
                self._caller = words("")
            with fact(say("Started", "開始")):
                moment(call.started_at)
            with fact(say("Ended", "終了")) as self._ended:
                self._ended_at = moment(call.started_at)
            with fact(say("Length", "長さ")):
                self._length = elapsed(call.started_at, call.ended_at)
            with fact(say("State", "状態")):
                self._state = Chip()

    def take(self, call: Call) -> None:
        """Show the call as it is now."""
        ended = call.ended_at
        self._client.set_text(call.client_id or "–")
        self._caller.set_text(call.caller_number or "–")
        self._state.name(call.current_state)
        show(self._live.root, ended is None)
        show(self._over.root, ended is not None)
        show(self._ended, ended is not None)
        if ended is not None:
            set_attribute(self._ended_at, "at", ended.isoformat())
            set_attribute(self._length, "until", ended.isoformat())
        show(self._transferred.root, call.is_transferred)
        show(self._handover, call.is_transferred)
        self._summary.set_text(call.handover_summary or say("No summary was given.", "要約はありません。"))
        self.timeline.take(call, self.transcript.stamps, from_start=self.transcript.from_start)
