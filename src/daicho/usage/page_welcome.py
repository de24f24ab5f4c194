"""What the usage page says where there is nothing to show: above all, how the first record is made."""

from datetime import date

from daicho.core.elements import box, set_attribute, show, words
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.usage.page_period import month_text
from daicho.usage.page_words import address

TENANT = "daicho tenants create Acme"
PYTHON = """\
from daicho import Ledger

with Ledger() as ledger:
    tenant = ledger.usage.find_tenant("Acme")
    ledger.usage.record(tenant_id=tenant.id, operation="summary", model="gpt-5-mini",
                        input_tokens=1200, output_tokens=300)"""
CURL = """\
KEY=$(daicho keys create --tenant Acme --scope ingest)
curl {base}/api/v1/usage -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{{"operation": "summary", "model": "gpt-5-mini", "input_tokens": 1200, "output_tokens": 300}}'"""


class EmptyStates:
    """What is said in the place of figures; drawn where it is made."""

    def __init__(self, screen: Screen) -> None:
        with box("d-sheet d-empty", hidden=True) as self._welcome:
            words(
                say("The ledger holds no usage of LLMs yet.", "台帳にまだ LLM の利用記録がありません。"),
                tag="b",
            )
            with box():
                words(say("Fill it with an example: ", "見本を入れるには: "))
                words("daicho demo", tag="code")
            words(
                say(
                    "Or record calls of your own. They belong to a tenant, which is made once:",
                    "自分の呼び出しを記録するには、まずテナントを 1 度だけ作ります:",
                )
            )
            words(TENANT, "d-example", "code")
            words(say("Then from Python:", "Python から記録するには:"))
            words(PYTHON, "d-example", "code")
            words(say("Or over HTTP, with a key of the tenant:", "テナントのキーを使い HTTP で記録するには:"))
            words(CURL.format(base=screen.base), "d-example", "code")
        with box("d-sheet d-empty", hidden=True) as self._none:
            words(say("Nothing was used then.", "この条件の利用記録はありません。"), tag="b")
            words(
                say(
                    "Choose another time, or clear the filters.",
                    "期間を変えるか、絞り込みを解除してください。",
                )
            )
            self._latest = words("", "d-link", "a", hidden=True)

    def take(self, *, some: bool, any_ever: bool, latest: date | None = None, tenant: str = "") -> None:
        """Say what there is to say, if there is no usage to show (``some``), or none at all.

        Args:
            latest: the latest month with usage, which a link leads to.
            tenant: whose it is; empty for everybody's.
        """
        if latest:
            month = month_text(latest)
            self._latest.set_text(say(f"Latest usage: {month}", f"最新の利用: {month}"))
            set_attribute(self._latest, "href", address({"period": f"{latest:%Y-%m}", "tenant": tenant}))
        show(self._latest, latest is not None)
        show(self._welcome, not some and not any_ever)
        show(self._none, not some and any_ever)
