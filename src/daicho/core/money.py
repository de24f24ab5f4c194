"""What rooms need of the one that knows what things cost; and how amounts of money are written."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

UNKNOWN = "—"
"""What stands for an amount that is not known. It is never 0."""
LEAST = 5e-9


class Spent(Protocol):
    """What some calls of LLMs used together."""

    @property
    def api_calls(self) -> int: ...

    @property
    def unpriced_calls(self) -> int: ...

    @property
    def total_input_tokens(self) -> int: ...

    @property
    def total_output_tokens(self) -> int: ...

    @property
    def total_cost_usd(self) -> float | None: ...


class Costs(Protocol):
    """The part of ``ledger.usage`` that knows what things cost."""

    @property
    def cost_of(self) -> Callable[[str], Awaitable[Spent]]: ...

    @property
    def costs_of(self) -> Callable[[Sequence[str]], Awaitable[Mapping[str, Spent]]]: ...


def money(dollars: float | None) -> str:
    """Write an amount of dollars; ``—`` for None.

    >>> [money(amount) for amount in (None, 0, 0.00042, 0.0123, 0.5, 12.345, 1234.5, -3)]
    ['—', '$0', '$0.000420', '$0.0123', '$0.500', '$12.35', '$1,234.50', '-$3.00']
    """
    if dollars is None:
        return UNKNOWN
    amount, sign = abs(dollars), "-" if dollars < 0 else ""
    if amount < LEAST:
        return "$0" if amount == 0 else f"{'>' if sign else '<'}{sign}$0.00000001"
    if amount >= 0.995:
        return f"{sign}${amount:,.2f}"
    # Three digits that count, and no more than eight after the point.
    places = next(place for place in range(3, 9) if place == 8 or amount * 10**place >= 99.5)
    return f"{sign}${amount:.{places}f}"
