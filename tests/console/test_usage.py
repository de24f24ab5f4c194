"""Usage on the console: figures, bars and tables, filters, one thing's cost, on its own page too."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from daicho import Ledger
from daicho.core.language import current
from daicho.core.money import money
from daicho.core.types import new_uuid, now
from daicho.usage.models import AIUsageLog
from daicho.usage.page_period import choices, stretch
from daicho.usage.page_words import short
from daicho.usage.pricing import PriceBook
from daicho.usage.schemas import Sum
from tests.console.conftest import Console
from tests.console.test_pages import HOSTILE
from tests.databases import on_sqlite

TOKYO = ZoneInfo("Asia/Tokyo")
BARS = ".d-chart svg path[fill*=series]"
SERIES = """() => {
  const place = document.querySelector(".nicegui-echart");
  const chart = place && getElement(+place.id.slice(1))?.chart;
  if (!chart) return {labels: [], series: {}};  // not drawn yet
  const {series, xAxis} = chart.getOption();
  const named = series.map(one => [one.name, one.data.map(value => value ?? 0)]);
  return {labels: xAxis[0].data, series: Object.fromEntries(named)};
}"""


def use(ledger: Ledger, tenant_id: str, **values: Any) -> AIUsageLog:
    """A call of an LLM, just now."""
    given = {"operation": "summary", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 200}
    return ledger.usage.record(tenant_id=tenant_id, **{**given, **values})


def opened(console: Console, path: str, **context: Any) -> Page:
    """A page in a browser that has said before that it is in Tokyo: it need not ask a second time."""
    made = console.context(**context)
    made.add_cookies([{"name": "daicho_zone", "value": quote(TOKYO.key, safe=""), "url": console.base}])
    page = made.new_page()
    page.goto(console.base + path)
    page.wait_for_selector("link-state[data-state=up]")
    return page


def figure(page: Page, label: str) -> Locator:
    """The figure of a tile."""
    return page.locator(".d-tile", has=page.get_by_text(label, exact=True)).locator("b")


def field(page: Page, label: str) -> Locator:
    """The field of a filter."""
    return page.locator(".d-field", has=page.get_by_text(label, exact=True)).locator("input, select")


def lines(page: Page, title: str) -> Locator:
    """The lines of a table."""
    return page.get_by_role("region", name=title, exact=True).locator(".d-tr:not(.d-th)")


def cells(line: Locator) -> list[str]:
    """What a line says, cell by cell."""
    found: list[str] = line.evaluate("line => [...line.children].map(one => one.innerText.trim())")
    return found


def some_usage(ledger: Ledger, name: str) -> str:
    """A tenant that has used several models for several things; its id."""
    tenant = ledger.usage.create_tenant(name).id
    for number in range(24):
        use(
            ledger,
            tenant,
            model=("gpt-4o", "claude-3-5-sonnet-20241022", "gpt-4o-mini")[number % 3],
            operation=("summary", "reply")[number % 2],
            source=(None, "call:figures-1", "ticket:42", "member:華扇")[number % 4],
            input_tokens=1003 + 7 * number,
            cache_read_tokens=400 if number % 3 == 0 else None,
            duration_ms=100 * number,
            success="failure" if number == 5 else "success",
            created_at=now() - timedelta(minutes=number),
        )
    return tenant


# -- all usage ---------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_report(console: Console, ledger: Ledger) -> None:
    tenant = some_usage(ledger, "figures")
    use(ledger, tenant, model="nobody-knows-its-price")
    period = stretch("30-days", TOKYO, now())

    def report(*by: str) -> Any:
        return ledger.usage.report(
            since=period.since, until=period.until, by=by, zone="Asia/Tokyo", tenant_id=tenant
        )

    total: Sum = report("tenant").total
    assert total.api_calls == 25
    page = opened(console, f"/usage?period=30-days&tenant={tenant}")
    expect(figure(page, "Cost")).to_have_text(money(total.total_cost_usd))
    expect(figure(page, "LLM calls")).to_have_text("25")
    expect(figure(page, "Tokens")).to_have_text(f"{total.total_tokens:,}")
    expect(figure(page, "Failures")).to_have_text("1")
    expect(figure(page, "Without a price")).to_have_text("1")
    saved = PriceBook().saved(tenant, "gpt-4o", None, now(), 8 * 400)
    assert saved is not None
    expect(figure(page, "Saved by caching")).to_have_text(money(saved))
    models = {row.model: row.sum for row in report("model").rows}
    expect(lines(page, "Models")).to_have_count(4)
    said = [cells(line) for line in lines(page, "Models").all()]
    assert [line[:4] for line in said] == [
        [model, money(spent.total_cost_usd), f"{spent.api_calls:,}", f"{spent.total_tokens:,}"]
        for model, spent in models.items()
    ]
    assert said[-1][:2] == ["nobody-knows-its-price", "—"]
    operations = [cells(line) for line in lines(page, "Operations").all()]
    assert [line[:3] for line in operations] == [
        [row.operation, money(row.sum.total_cost_usd), f"{row.sum.api_calls:,}"]
        for row in report("operation").rows
    ]
    kinds = {cells(line)[0]: cells(line)[2] for line in lines(page, "Used for").all()}
    assert kinds == {"Not stated": "7", "Call": "6", "Ticket": "6", "Member": "6"}


def test_the_bars_are_those_of_the_report(console: Console, ledger: Ledger) -> None:
    tenant = some_usage(ledger, "bars")
    use(ledger, tenant, created_at=now() - timedelta(days=3), model="gpt-4.1")
    page = opened(console, f"/usage?period=30-days&tenant={tenant}")
    expect(page.locator(".d-chart svg text", has_text="gpt-4.1")).to_be_visible()
    period = stretch("30-days", TOKYO, now())
    report = ledger.usage.report(
        since=period.since, until=period.until, by=["day", "model"], zone="Asia/Tokyo", tenant_id=tenant
    )
    place = {begin: number for number, begin in enumerate(period.begins)}

    def expected(measure: Callable[[Sum], float | None]) -> dict[str, list[float]]:
        made = {row.model: [0.0] * 30 for row in report.rows}
        for row in report.rows:
            made[row.model][place[row.begins]] += measure(row.sum) or 0
        return made

    shown = page.evaluate(SERIES)
    assert len(shown["labels"]) == 30
    for model, bars in expected(lambda spent: spent.total_cost_usd).items():
        assert shown["series"][model] == pytest.approx(bars)
    page.get_by_role("button", name="Tokens").click()
    page.wait_for_url("**show=tokens**")
    expect(page.get_by_role("heading", name="Tokens by day and model")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Tokens by day and model")).to_be_visible()
    page.wait_for_selector(BARS)
    assert page.evaluate(SERIES)["series"] == expected(lambda spent: spent.total_tokens)


def test_more_models_than_colours_share_one(console: Console, ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("colours").id
    for number in range(9):
        use(ledger, tenant, model=f"model-{number}", cost_usd=9.0 - number)
    page = opened(console, f"/usage?period=today&tenant={tenant}")
    page.wait_for_selector(BARS)
    series = page.evaluate(SERIES)["series"]
    assert [*series] == [*(f"model-{number}" for number in range(6)), "Others"]
    assert sum(series["Others"]) == 1 + 2 + 3
    expect(lines(page, "Models")).to_have_count(8)
    page.get_by_role("region", name="Models").get_by_role("button", name="Show more").click()
    expect(lines(page, "Models")).to_have_count(9)


def test_what_has_no_price_is_said_and_never_nothing(console: Console, ledger: Ledger) -> None:
    use(ledger, ledger.usage.create_tenant("priced").id)
    tenant = ledger.usage.create_tenant("unpriced").id
    page = opened(console, f"/usage?period=30-days&tenant={tenant}")
    expect(page.get_by_text("Nothing was used then.")).to_be_visible()
    use(ledger, tenant, model="our own; llama")
    expect(figure(page, "Cost")).to_have_text("—")
    warning = page.get_by_role("region", name="Models without a price")
    expect(warning).to_contain_text("1 calls · 1,200 tokens")
    expect(warning).to_contain_text("daicho usage prices set --model 'our own; llama' --input … --output …")
    expect(page.locator(".d-records .d-tr").last).to_contain_text("—")
    use(ledger, tenant, model="our own; llama", cost_usd=0.0004)
    expect(figure(page, "Cost")).to_have_text("$0.000400")
    expect(warning).to_contain_text("1 of 2 calls")
    said = page.locator(".d-figures, .d-halves, .d-records").all_inner_texts()
    assert not re.search(r"\$0(?!\.000(4|2)00)", " ".join(said)), "what is not known is not nothing"
    (first,) = ledger.usage.list(tenant_id=tenant, unpriced=True).items
    ledger.usage.delete(first.id)
    expect(warning).to_be_hidden()


def test_filters_stand_in_the_address_and_a_click_narrows(console: Console, ledger: Ledger) -> None:
    one, other = (ledger.usage.create_tenant(f"narrowed {name}").id for name in ("甲", "乙"))
    use(ledger, one, cost_usd=1.0, model="alpha", operation="reply")
    use(ledger, one, cost_usd=2.0, model="beta", operation="summary")
    use(ledger, other, cost_usd=4_000.0, model="alpha")
    page = opened(console, "/usage")
    select = field(page, "Tenant")
    expect(select.locator("option", has_text="narrowed 甲")).to_have_count(1)
    select.select_option("narrowed 甲")
    expect(figure(page, "Cost")).to_have_text("$3.00")
    page.wait_for_url(f"**/usage?tenant={one}")
    use(ledger, one, cost_usd=3.0, model="beta", operation="summary")  # the choice outlasts what happens
    expect(figure(page, "Cost")).to_have_text("$6.00")
    expect(select).to_have_value(one)
    late = ledger.usage.create_tenant("narrowed 丙").id
    expect(select.locator(f"option[value='{late}']")).to_have_count(1)
    expect(select).to_have_value(one)
    lines(page, "Models").filter(has_text="beta").click()
    page.wait_for_url("**model=beta**")
    expect(figure(page, "Cost")).to_have_text("$5.00")
    expect(field(page, "Model")).to_have_value("beta")
    expect(page.locator(".d-records .d-tr:not(.d-th)")).to_have_count(2)
    field(page, "Operation").fill("reply")
    expect(page.get_by_text("Nothing was used then.")).to_be_visible()
    page.goto(f"{console.base}/usage?model=alpha")
    lines(page, "Tenants").filter(has_text="narrowed 乙").click()
    page.wait_for_url(f"**tenant={other}**")
    expect(figure(page, "Cost")).to_have_text("$4,000.00")
    expect(select).to_have_value(other)
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/usage")
    expect(select).to_have_value("")


@on_sqlite
def test_an_empty_ledger_says_how_to_begin_and_follows_another_process(
    url: str, serve: Callable[[str], Any], writing: Callable[..., Any]
) -> None:
    with serve(url) as console, writing(url, "usage") as write:
        page = opened(console, "/usage")
        expect(page.get_by_text("The ledger holds no usage of LLMs yet.")).to_be_visible()
        expect(page.get_by_text("daicho tenants create Acme")).to_be_visible()
        expect(page.get_by_text("ledger.usage.record(")).to_be_visible()
        expect(page.get_by_text(f"curl {console.base}/api/v1/usage")).to_be_visible()
        tenant = new_uuid()
        write("create_tenant", name="甲", id=tenant)
        given = {"tenant_id": tenant, "operation": "summary", "model": "gpt-4o"}
        write("record", **given, cost_usd=1.25, source="call:live-1")
        expect(figure(page, "Cost")).to_have_text("$1.25")
        row = page.locator(".d-records .d-tr:not(.d-th)")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("甲")
        row.evaluate("row => (row.kept = true)")
        write("record", **given, cost_usd=0.25)
        expect(figure(page, "Cost")).to_have_text("$1.50")
        expect(row).to_have_count(2)
        assert row.last.evaluate("row => row.kept"), "rows are added, not drawn anew"
        expect(lines(page, "Tenants")).to_contain_text(["甲"])
        page.wait_for_function(f"({SERIES})().series['gpt-4o']?.reduce((all, one) => all + one) === 1.5")
        write("rename_tenant", id=tenant, name="乙")
        expect(lines(page, "Tenants")).to_contain_text(["乙"])
        expect(row).to_contain_text(["乙", "乙"])


def test_records_come_a_page_at_a_time_and_lead_to_what_they_were_for(
    console: Console, ledger: Ledger
) -> None:
    tenant = ledger.usage.create_tenant("paged").id
    sources = ("call:of/a call", "task:0b7e", "member:美 咲", "lead:7", None)
    begun = now()
    for number in range(30):
        at = begun - timedelta(seconds=number)
        use(ledger, tenant, operation=f"op-{number:02}", source=sources[number % 5], created_at=at)
    page = opened(console, f"/usage?period=30-days&tenant={tenant}")
    rows = page.locator(".d-records .d-tr:not(.d-th)")
    expect(rows).to_have_count(25)
    assert [row.get_attribute("href") for row in rows.all()[:5]] == [
        "/calls/of%2Fa%20call",
        "/tasks/0b7e",
        f"/members/virtual/{quote('美 咲')}",
        "/usage?source=lead%3A7",
        None,
    ]
    page.get_by_role("button", name="Older").click()
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("op-25")
    page.reload()
    expect(rows.first).to_contain_text("op-25")
    page.get_by_role("button", name="Newer").click()
    expect(rows.first).to_contain_text("op-00")
    rows.filter(has_text="lead:7").first.click()
    page.wait_for_url("**/usage?source=lead%3A7")
    expect(rows).to_have_count(6)
    expect(figure(page, "LLM calls")).to_have_text("6")
    expect(page.get_by_role("link", name="Open its page")).to_have_count(0)


def test_sums_outlast_the_records(serve: Callable[[str], Any], sqlite_url: str) -> None:
    with serve(sqlite_url) as console, Ledger(sqlite_url) as ledger:
        tenant = ledger.usage.create_tenant("pruned").id
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        use(ledger, tenant, cost_usd=7.0, source="call:pruned-1", created_at=today - timedelta(days=2))
        assert ledger.usage.prune(today) == 1
        page = opened(console, "/usage?period=30-days")
        expect(figure(page, "Cost")).to_have_text("$7.00")
        expect(page.get_by_text("Single records of this time are kept no more")).to_be_visible()
        page = opened(console, "/usage?period=2020-01")
        expect(page.get_by_text("Nothing was used then.")).to_be_visible()
        page = opened(console, "/usage?source=call:pruned-1")
        expect(figure(page, "Cost")).to_have_text("$7.00")
        expect(page.get_by_text("Single records of that time are kept no more")).to_be_visible()


# -- time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"])
def test_days_are_those_of_the_browser_from_the_first_look(
    console: Console, ledger: Ledger, zone: str
) -> None:
    tenant = ledger.usage.create_tenant(f"zone {zone}").id
    at = use(ledger, tenant, cost_usd=5.0).created_at
    page = console.page(f"/usage?period=today&tenant={tenant}", timezone_id=zone)
    label = f"{at.astimezone(ZoneInfo(zone)):%H}:00"
    page.wait_for_function(
        f"""label => {{
          const shown = ({SERIES})();
          return shown.labels[shown.series["gpt-4o"]?.indexOf(5)] === label && shown.labels.length === 24;
        }}""",
        arg=label,
    )


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("", "2026-11-01", "2026-12-01", 30),
        ("last-month", "2026-10-01", "2026-11-01", 31),
        ("30-days", "2026-10-24", "2026-11-23", 30),
        ("today", "2026-11-22", "2026-11-23", 24),
        ("2026-02", "2026-02-01", "2026-03-01", 28),
        ("2026-13", "2026-11-01", "2026-12-01", 30),
        ("9999-12", "2026-11-01", "2026-12-01", 30),
        ("nonsense", "2026-11-01", "2026-12-01", 30),
    ],
)
def test_a_period_is_of_the_readers_clocks(name: str, first: str, last: str, count: int) -> None:
    at = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # already the 22nd in Tokyo
    made = stretch(name, TOKYO, at)
    assert made.since == datetime.fromisoformat(f"{first}T00:00+09:00")
    assert made.until == datetime.fromisoformat(f"{last}T00:00+09:00")
    assert len(made.begins) == count


def test_a_day_may_have_an_hour_more_or_less() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for month, day, count in ((3, 29, 23), (10, 25, 25)):
        at = datetime(2026, month, day, 12, tzinfo=UTC)
        assert len(stretch("today", berlin, at).begins) == count


def test_former_months_are_offered_and_a_month_of_the_address_too() -> None:
    at = datetime(2026, 11, 30, 15, 30, tzinfo=UTC)  # already December in Tokyo
    offered = [value for value, _ in choices("2019-07", TOKYO, at)]
    assert offered[:5] == ["", "last-month", "30-days", "today", "2026-10"]
    assert offered[-2:] == ["2025-12", "2019-07"]
    offered = [value for value, _ in choices("2019-07", TOKYO, at, [date(2023, 11, 1), date(2019, 7, 1)])]
    assert offered[-3:] == ["2025-12", "2023-11", "2019-07"]


def test_a_month_of_long_ago_is_offered_where_something_was_used_in_it(
    console: Console, ledger: Ledger
) -> None:
    tenant = ledger.usage.create_tenant("long ago").id
    use(ledger, tenant, cost_usd=9.0, created_at=datetime(2023, 10, 31, 15, 30, tzinfo=UTC))  # November there
    page = opened(console, f"/usage?tenant={tenant}")
    expect(page.get_by_text("Nothing was used then.")).to_be_visible()
    page.get_by_role("link", name="Latest usage: November 2023").click()
    page.wait_for_url(f"**/usage?period=2023-11&tenant={tenant}")
    expect(figure(page, "Cost")).to_have_text("$9.00")
    page = opened(console, "/usage")
    field(page, "Period").select_option("November 2023")
    expect(lines(page, "Tenants")).to_contain_text(["long ago"])


def test_a_tenant_that_cannot_be_is_said_and_nothing_is_shown(console: Console, ledger: Ledger) -> None:
    use(ledger, ledger.usage.create_tenant("can be").id)
    page = opened(console, "/usage?tenant=nonsense")
    expect(page.get_by_role("alert")).to_contain_text("no such tenant: nonsense")
    expect(page.get_by_text("Nothing was used then.")).to_be_visible()
    for part in (".d-figures", ".d-records"):
        expect(page.locator(part)).to_be_hidden()


# -- one thing's cost --------------------------------------------------------------------------------


def test_a_calls_page_says_what_it_has_cost(
    console: Console, ledger: Ledger, writing: Callable[..., Any]
) -> None:
    with writing(console.url, "usage") as write:
        call_id = "costs/1 ü"
        ledger.calls.start(call_id, "client-001")
        ledger.calls.start("costs/2", "client-001")
        tenant = ledger.usage.create_tenant("costs").id
        page = opened(console, "/calls/" + quote(call_id, safe=""))
        expect(page.locator(".d-facts").first).to_be_visible()
        expect(page.locator(".d-cost")).to_be_hidden()
        given = {"tenant_id": tenant, "operation": "reply", "model": "gpt-4o", "source": f"call:{call_id}"}
        write("record", **given, input_tokens=1500, output_tokens=70, cost_usd=0.0004)
        expect(page.locator(".d-cost")).to_contain_text("$0.000400")
        expect(page.locator(".d-cost")).to_contain_text("1,500 → 70")
        write("record", **{**given, "model": "nobody-knows"}, input_tokens=10)
        write("record", **{**given, "source": "call:costs/2"}, cost_usd=50.0)
        expect(page.locator(".d-cost")).to_contain_text("2 (1 without a price)")
        expect(page.locator(".d-cost")).to_contain_text("$0.000400")
        page.get_by_role("link", name="Each call").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(call_id)
        expect(figure(page, "Cost")).to_have_text("$0.000400")
        expect(page.locator(".d-records .d-tr:not(.d-th)")).to_have_count(2)
        write("record", **given, cost_usd=2.0)
        expect(figure(page, "Cost")).to_have_text("$2.00")
        page.get_by_role("link", name="Open its page").click()
        expect(page.locator(".d-cost")).to_contain_text("$2.00")
        ledger.calls.complete(call_id)
        ledger.calls.complete("costs/2")
        listed = opened(console, "/calls")
        expect(listed.locator("a.d-tr", has_text=call_id)).to_contain_text("$2.00")
        expect(listed.locator("a.d-tr", has_text="costs/2")).to_contain_text("$50.00")
        write("record", **given, cost_usd=1.0)
        expect(listed.locator("a.d-tr", has_text=call_id)).to_contain_text("$3.00")


def test_tasks_and_members_say_what_they_have_cost(console: Console, ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("things").id
    task = ledger.tasks.create(
        {"task_source": "github", "owner": "harbor", "repo": "costs", "task_type": "issue", "task_id": "7"}
    )
    ledger.members.save_or_update_virtual_member(
        {"name": "費用 花子", "role": "r", "llm_model": "gpt-4o", "system_prompt": "x"}
    )
    ledger.members.save_or_update_human_member({"name": "費用 太郎", "role": "r"})
    for number, source in enumerate((f"task:{task.uuid}", "member:費用 花子", "member:費用 太郎"), 1):
        use(ledger, tenant, cost_usd=float(number), source=source)
    for path, cost in (
        (f"/tasks/{task.uuid}", "$1.00"),
        (f"/members/virtual/{quote('費用 花子')}", "$2.00"),
        (f"/members/human/{quote('費用 太郎')}", "$3.00"),
    ):
        page = opened(console, path)
        expect(page.locator(".d-cost")).to_contain_text(cost)
    use(ledger, tenant, cost_usd=0.5, source="member:費用 太郎")
    expect(page.locator(".d-cost")).to_contain_text("$3.50")
    page = opened(console, "/usage?source=" + quote("member:費用 太郎"))
    page.get_by_role("link", name="Open its page").click()
    page.get_by_role("link", name="People: 費用 太郎").click()
    expect(page.locator(".d-cost")).to_contain_text("$3.50")
    console.complaints.clear()  # the browser notes that there is no virtual member of that name


# -- everywhere --------------------------------------------------------------------------------------


def test_any_text_is_shown_as_text(console: Console, ledger: Ledger) -> None:
    for text in HOSTILE:
        tenant = ledger.usage.create_tenant(text[:255]).id
        named = {"model": text[:100], "operation": text[:100], "source": f"call:{text[:200]}"}
        use(ledger, tenant, **named, cost_usd=100_000.0)
        use(ledger, tenant, **{**named, "model": text[:99] + "!"})
    page = opened(console, f"/usage?tenant={tenant}")
    expect(figure(page, "LLM calls")).to_have_text("2")
    page = opened(console, "/usage")
    for text in HOSTILE[:5]:
        expect(lines(page, "Models").filter(has_text=text[:100].strip())).not_to_have_count(0)
        expect(lines(page, "Tenants").filter(has_text=text[:100].strip())).not_to_have_count(0)
        expect(lines(page, "Operations").filter(has_text=text[:100].strip())).not_to_have_count(0)
    for kind in ("Models", "Tenants", "Operations"):
        assert lines(page, kind).locator(":is(script, img, b, a, u)").count() == 0
    bars = page.locator(".d-chart svg")
    box = bars.bounding_box()
    assert box is not None
    series = page.evaluate(SERIES)["series"]
    assert HOSTILE[0] in series
    assert HOSTILE[1] in series
    for share in range(1, 40):  # the tooltip of the day that has all of them
        page.mouse.move(box["x"] + box["width"] * share / 40, box["y"] + 60)
        if page.get_by_text(HOSTILE[1]).count() > 1:
            break
    assert page.locator(".d-chart :is(script, img)").count() == 0
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    source = f"call:{HOSTILE[0]}"
    page = opened(console, f"/usage?source={quote(source)}")
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])


def test_the_page_speaks_japanese(console: Console, ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("日本語の会社").id
    use(ledger, tenant, cost_usd=1.0, model="nobody-knows", source="call:日本語")
    use(ledger, tenant, model="nobody-knows")
    page = opened(console, f"/usage?tenant={tenant}", locale="ja-JP")
    expect(page.get_by_role("heading", level=1)).to_have_text("利用量")
    for label in ("費用", "LLM 呼び出し", "トークン", "失敗", "価格不明"):
        expect(figure(page, label)).to_be_visible()
    expect(page.get_by_role("region", name="価格のないモデル")).to_contain_text("2 回中 1 回")
    expect(page.get_by_role("heading", name="日別・モデル別の費用")).to_be_visible()
    expect(lines(page, "用途")).to_contain_text(["通話"])
    use(ledger, tenant, model="also-nobody-knows")
    expect(page.get_by_role("region", name="価格のないモデル")).to_contain_text("1 回 · 1,200 トークン")


def test_bars_have_colours_by_day_and_by_night(console: Console, ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("night").id
    for number in range(8):
        use(ledger, tenant, model=f"night-{number}", cost_usd=8.0 - number)
    seen = []
    for scheme in ("light", "dark"):
        page = opened(console, f"/usage?period=today&tenant={tenant}", color_scheme=scheme)
        page.wait_for_selector(BARS)
        colours = page.locator(BARS).evaluate_all(
            "all => [...new Set(all.map(one => getComputedStyle(one).fill))]"
        )
        assert len(colours) == 7
        assert "rgb(0, 0, 0)" not in colours
        seen.append(set(colours))
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("path", ["/usage?tenant=", "/usage?source=call:narrow-usage&x="])
def test_a_phone_is_wide_enough(console: Console, ledger: Ledger, path: str) -> None:
    tenant = ledger.usage.create_tenant("n" * 255).id
    long = {"model": "m" * 100, "operation": "o" * 100}
    use(ledger, tenant, **long, cost_usd=123_456_789.0, input_tokens=2_000_000_000)
    use(ledger, tenant, **long, source="call:narrow-usage")
    page = opened(console, path + tenant, viewport={"width": 375, "height": 800})
    expect(page.locator(".d-records .d-tr").last).to_be_visible()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("width", [390, 1400])
def test_a_long_source_leaves_room_for_the_rest(console: Console, ledger: Ledger, width: int) -> None:
    tenant = ledger.usage.create_tenant("long source").id
    source = f"task:{new_uuid()}:of-the-agent"
    use(ledger, tenant, input_tokens=8_055, output_tokens=1_234, source=source)
    page = opened(console, f"/usage?tenant={tenant}", viewport={"width": width, "height": 800})
    row = page.locator(".d-records .d-tr").last
    expect(row).to_contain_text("8,055 → 1,234")
    cut = "one => one.scrollWidth > one.clientWidth"
    assert not row.locator(".d-number", has_text="8,055").evaluate(cut)
    chip = row.locator(".d-chip", has_text=source)
    assert not chip.locator("xpath=..").evaluate(cut)
    assert chip.locator("span").evaluate(cut), "it ends in an ellipsis"


def test_large_counts_are_short_in_the_readers_own_units() -> None:
    for count, english, japanese in (
        (999_999, "999,999", "999,999"),
        (38_975_233, "39.0M", "3,898万"),
        (123_456_789, "123.5M", "1.23億"),
        (4_000_000_000, "4.00B", "40.0億"),
    ):
        for language, text in (("en", english), ("ja", japanese)):
            token = current.set(language)
            assert short(count) == text
            current.reset(token)


def test_money_has_the_digits_that_tell_something() -> None:
    for amount, text in (
        (None, "—"),
        (0, "$0"),
        (0.0004, "$0.000400"),
        (0.99499, "$0.995"),
        (0.9951, "$1.00"),
        (1234.5, "$1,234.50"),
        (-0.25, "-$0.250"),
        (1e-9, "<$0.00000001"),
        (1e-8, "$0.00000001"),
    ):
        assert money(amount) == text
