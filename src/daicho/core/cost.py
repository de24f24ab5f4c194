"""What a thing has cost, on its own page; and the way from what was used for a thing to that page.

A thing is known by its source, ``call:call-123``: its kind, and its name within the kind. The room that
shows a kind says here where its pages are; the room that counts usage need not know the other rooms.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from daicho.core.elements import box, fact, set_attribute, show, words
from daicho.core.language import say
from daicho.core.money import Costs, Spent, money

_pages: dict[str, Callable[[str], str]] = {}


def has_pages(kind: str, address: Callable[[str], str]) -> None:
    """Say that things of a kind have a page each, and at which address.

    Args:
        kind: ``call``.
        address: returns the address of a name's page.
    """
    _pages[kind] = address


def page_of(source: str) -> str | None:
    """Return the address of the page of the thing that a source names; None where it has none."""
    kind, _, name = source.partition(":")
    address = _pages.get(kind)
    return address(name) if address and name else None


def records_of(source: str) -> str:
    """Return the address of the page that lists what was used for a thing."""
    return f"/usage?{urlencode({'source': source})}"


class Cost:
    """What a thing has cost, as facts; hidden while nothing was used for it. Drawn where it is made.

    Args:
        costs: ``ledger.usage``.
        source: the thing: ``call:call-123``.
    """

    def __init__(self, costs: Costs, source: str) -> None:
        self._costs, self._source = costs, source
        label = say("LLM cost", "LLM 費用")
        with box("d-sheet d-facts d-cost", "dl", aria_label=label, hidden=True) as self._root:
            with fact(say("Cost", "費用")):
                self._cost = words("", "d-number", "dd")
            with fact(say("LLM calls", "LLM 呼び出し")):
                self._calls = words("", "d-number", "dd")
            with fact(say("Tokens", "トークン")):
                self._tokens = words("", "d-number", "dd")
            with fact(say("Records", "明細")), box("", "dd"):
                words(say("Each call ›", "呼び出しごと ›"), "d-link", "a", href=records_of(source))

    async def look(self) -> None:
        """Bring it up to date."""
        spent = await self._costs.cost_of(self._source)
        show(self._root, spent.api_calls > 0)
        self._cost.set_text(money(spent.total_cost_usd))
        unpriced = unpriced_note(spent)
        set_attribute(self._cost, "title", unpriced)
        self._calls.set_text(f"{spent.api_calls:,}" + (f" ({unpriced})" if unpriced else ""))
        self._tokens.set_text(f"{spent.total_input_tokens:,} → {spent.total_output_tokens:,}")


def unpriced_note(spent: Spent) -> str | None:
    """Say how many of some calls have no price; None if all have one."""
    count = spent.unpriced_calls
    return say(f"{count:,} without a price", f"価格不明 {count:,} 件") if count else None
