"""What was used for one thing, ``/usage?source=call:call-123``: its sum over all time, and each call."""

from daicho.core.cost import page_of
from daicho.core.elements import box, words
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.usage.needs import LiveUsageLedger
from daicho.usage.page_names import Names
from daicho.usage.page_records import Criteria, Records
from daicho.usage.page_words import KINDS, Figures, seconds
from daicho.usage.schemas import Sum


class OfSource:
    """The page of what was used for a thing."""

    def __init__(self, ledger: LiveUsageLedger, screen: Screen, source: str) -> None:
        self._usage, self._screen, self._source = ledger.usage, screen, source
        screen.name(source)
        words(say("‹ All usage", "‹ 利用量全体"), "d-link d-small", "a", href="/usage")
        kind = source.partition(":")[0]
        with box("d-row"):
            with box("d-head"):
                words(KINDS.get(kind, kind), "d-title d-quiet", "div")
                words(source.partition(":")[2] or source, "d-title", "h1", dir="auto")
            page = page_of(source)
            if page:
                words(say("Open its page", "ページを開く"), "d-button d-end", "a", href=page)
        self._figures = Figures(say("Average time", "平均時間"))
        self._names = Names(ledger.usage)
        self._records = Records(ledger.usage, self._names, screen, self._turn_page, linked=False)

    async def open(self) -> None:
        """Show what there is, and keep it up to date."""
        await self._screen.follow("usage", self.look)

    async def look(self) -> None:
        """Bring the page up to date."""
        spent = await self._usage.cost_of(self._source)
        self._figures.take(spent)
        self._figures.take_more(seconds(spent))
        await self._look_at_records(spent)
        self._records.explain(
            say(
                "Single records of that time are kept no more; their sum is.",
                "個々の記録は保存期間を過ぎました。合計は残っています。",
            )
            if spent.api_calls
            else say("Nothing was used for it so far.", "まだ利用記録がありません。")
        )

    async def _look_at_records(self, spent: Sum | None = None) -> None:
        await self._records.look(Criteria(source=self._source), spent)

    async def _turn_page(self) -> None:
        self._screen.remember({"source": self._source, "after": self._records.pager.cursor or ""})
        await self._look_at_records()
