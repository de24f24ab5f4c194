"""Models that calls were made of and that have no price: what their cost is, nobody knows."""

import shlex
from collections.abc import Mapping

from daicho.core.elements import Row, Rows, box, show, words
from daicho.core.language import say
from daicho.usage.schemas import Sum

AT_MOST = 10

Unpriced = tuple[str, Sum]


class UnpricedModels:
    """A warning that names the models without a price and says how to give them one; hidden without any."""

    def __init__(self) -> None:
        title = say("Models without a price", "価格のないモデル")
        with box("d-sheet d-trouble", "section", aria_label=title, hidden=True) as self._root:
            with words(title, tag="h2"):
                self._count = words("", "d-count")
            words(
                say(
                    "What these calls cost is not known, and so in no total. Set a price, then price them"
                    " anew (daicho usage reprice):",
                    "これらの呼び出しの費用は不明で、合計に含まれていません。価格を設定してから再計算"
                    " (daicho usage reprice) してください:",
                ),
                tag="div",
            )
            self._rows = Rows(box("d-trouble-files", "ul"), lambda item: item[0], _row)

    def take(self, models: Mapping[str, Sum]) -> None:
        """Show those of the models that have calls without a price, most calls first."""
        without = [(model, spent) for model, spent in models.items() if spent.unpriced_calls]
        without.sort(key=lambda item: (-item[1].unpriced_calls, item[0]))
        self._count.set_text(f"{len(without):,}")
        self._rows.show(without[:AT_MOST])
        show(self._root, bool(without))


def _row(item: Unpriced) -> Row[Unpriced]:
    model = item[0]
    with box("d-trouble-file", "li") as root:
        with box("d-row"):
            words(model, "d-mono d-title")
            counts = words("", "d-number d-small")
        words(
            f"daicho usage prices set --model {shlex.quote(model)} --input … --output …", "d-command", "code"
        )

    def take(item: Unpriced) -> None:
        calls, tokens = item[1].unpriced_calls, item[1].total_tokens
        if item[1].total_cost_usd is None:
            counts.set_text(
                say(f"{calls:,} calls · {tokens:,} tokens", f"{calls:,} 回 · {tokens:,} トークン")
            )
        else:  # some of its calls have a price: whose tokens are whose, sums do not tell
            counts.set_text(
                say(f"{calls:,} of {item[1].api_calls:,} calls", f"{item[1].api_calls:,} 回中 {calls:,} 回")
            )

    take(item)
    return Row(root, take)
