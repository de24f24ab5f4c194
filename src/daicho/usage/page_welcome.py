"""What the usage page says where there is nothing to show: above all, how the first record is made."""

from daicho.core.elements import box, show, words
from daicho.core.language import say
from daicho.core.screen import Screen

PYTHON = """\
from daicho import Ledger

with Ledger() as ledger:
    tenant = ledger.usage.create_tenant("Acme")
    ledger.usage.record(tenant_id=tenant.id, operation="summary", model="gpt-5-mini",
                        input_tokens=1200, output_tokens=300)"""
CURL = """\
daicho tenants create Acme
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
                say("Or record a call of your own, from Python:", "自分の呼び出しを Python から記録するには:")
            )
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

    def take(self, *, some: bool, any_ever: bool) -> None:
        """Say what there is to say, if there is no usage to show (``some``), or none at all."""
        show(self._welcome, not some and not any_ever)
        show(self._none, not some and any_ever)
