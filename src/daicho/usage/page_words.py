"""How usage looks on the console: addresses, names, and sums put together."""

from collections.abc import Iterable, Mapping
from functools import reduce
from urllib.parse import urlencode

from daicho.core.elements import Tile, box
from daicho.core.language import Text, say
from daicho.core.money import UNKNOWN, money
from daicho.usage.models import Tenant
from daicho.usage.schemas import Sum

KINDS: Mapping[str, Text] = {
    "call": Text("Call", "通話"),
    "task": Text("Task", "タスク"),
    "member": Text("Member", "メンバー"),
    "ticket": Text("Ticket", "チケット"),
    "chat": Text("Chat", "チャット"),
}
"""Kinds of sources; any other is called what it is called in the source."""


def address(chosen: Mapping[str, str]) -> str:
    """The address of the usage page with these choices."""
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"/usage?{query}" if query else "/usage"


def called(tenant: Tenant) -> str:
    """What a tenant is called: its name, else the beginning of its id."""
    return (tenant.name or "").strip() or f"{tenant.id[:8]}…"


def together(sums: Iterable[Sum]) -> Sum:
    """Add sums up. The cost is that of those whose cost is known; None if none is."""
    return reduce(Sum.__add__, sums, Sum())


def seconds(spent: Sum) -> str:
    """How long a call took on average: ``850 ms``, ``2.4 s``."""
    if not spent.timed_calls:
        return UNKNOWN
    average = spent.total_duration_ms / spent.timed_calls
    return duration(average)


def duration(milliseconds: float) -> str:
    """How long something took: ``850 ms``, ``2.4 s``."""
    if milliseconds < 999.5:
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds / 1000:,.1f} s" if milliseconds < 100_000 else f"{milliseconds / 60_000:,.1f} min"


def each(spent: Sum) -> str:
    """What a call with a price cost on average."""
    priced = spent.api_calls - spent.unpriced_calls
    return money(None if spent.total_cost_usd is None else spent.total_cost_usd / priced)


def short(count: int) -> str:
    """A count that need not be exact once it is large: ``39.0M``, ``3,898万``."""
    if count < 1_000_000:
        return f"{count:,}"
    if count < 1_000_000_000:
        return say(
            f"{count / 1e6:,.1f}M", f"{count / 1e4:,.0f}万" if count < 1e8 else f"{count / 1e8:,.2f}億"
        )
    return say(f"{count / 1e9:,.2f}B", f"{count / 1e8:,.1f}億")


def percent(part: int, whole: int) -> str:
    """A part of a whole, as a percentage."""
    if not part or not whole:
        return "0%"
    share = 100 * part / whole
    return "<0.1%" if share < 0.1 else f"{share:.1f}%"


class Figures:
    """The sum of some calls as tiles, with one figure more; drawn where they are made.

    Args:
        more: what the last figure is.
    """

    def __init__(self, more: str) -> None:
        with box("d-tiles d-figures"):
            self._cost = Tile(say("Cost", "費用"))
            self._calls = Tile(say("LLM calls", "LLM 呼び出し"))
            self._tokens = Tile(say("Tokens", "トークン"))
            self._failed = Tile(say("Failures", "失敗"))
            self._unpriced = Tile(say("Without a price", "価格不明"))
            self._more = Tile(more)

    def take(self, spent: Sum) -> None:
        """Show a sum."""
        calls = spent.api_calls
        per_call = each(spent)
        self._cost.take(money(spent.total_cost_usd), say(f"{per_call} a call", f"1 回あたり {per_call}"))
        self._calls.take(f"{calls:,}")
        read, written = short(spent.total_input_tokens), short(spent.total_output_tokens)
        tokens = say(f"{read} in · {written} out", f"入力 {read} · 出力 {written}")
        self._tokens.take(f"{spent.total_tokens:,}", tokens)
        self._failed.take(f"{spent.failed_calls:,}", percent(spent.failed_calls, calls))
        self._unpriced.take(f"{spent.unpriced_calls:,}", percent(spent.unpriced_calls, calls))

    def take_more(self, figure: str, note: str = "") -> None:
        """Show the last figure."""
        self._more.take(figure, note)
