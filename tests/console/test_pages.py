"""What the pages show: any text as text, both languages, filters and pages, the search, odd ids."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from daicho import Ledger
from tests.console.conftest import Console

HOSTILE = (
    "<script>alert('script')</script>",
    '<img src=x onerror="alert(1)">',
    "{{7*7}} ${7*7} #{7*7} {{constructor.constructor('alert(2)')()}}",
    "**bold** [link](javascript:alert(3)) `code` &lt;b&gt; &amp;",
    "👩‍👩‍👧‍👦 𠮷野家 שלום مرحبا \u202eright to left\u202c",
    "</script></template></div>\\u003cb\\u003e `backquote` $&",
    "a" * 500,
    "  spaces\n\n\tand lines  ",
)
BEGUN = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # already the 22nd in Tokyo


def test_any_text_is_shown_as_text(console: Console, ledger: Ledger) -> None:
    ledger.calls.start("hostile-1", "<i>client</i>{{7*7}}", caller_number="<b>1</b>")
    for text in HOSTILE:
        ledger.calls.append_log("hostile-1", "user", text, state="<u>state</u>")
    ledger.calls.mark_transfer("hostile-1", HOSTILE[0] + HOSTILE[2])
    page = console.page("/calls/hostile-1")
    bubbles = page.locator(".d-bubble")
    expect(bubbles).to_have_count(len(HOSTILE))
    for text in HOSTILE:
        ledger.calls.append_log("hostile-1", "ai", text)
    expect(bubbles).to_have_count(2 * len(HOSTILE))
    assert bubbles.evaluate_all("all => all.map(one => one.textContent)") == [*HOSTILE, *HOSTILE]
    assert page.locator(".d-bubble *").count() == 0
    assert page.locator(".d-handover > div").text_content() == HOSTILE[0] + HOSTILE[2]
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    listed = console.page("/calls?client=" + quote("<i>client</i>{{7*7}}"))
    expect(listed.locator("a.d-card b")).to_have_text("<i>client</i>{{7*7}}")
    expect(listed.locator("a.d-card .d-chip").first).to_have_text("<u>state</u>")
    found = console.page("/calls?q=" + quote("<script>"))
    expect(found.locator("mark").first).to_have_text("<script>")


def test_a_very_long_line_is_cut_until_more_is_asked_for(console: Console, ledger: Ledger) -> None:
    ledger.calls.append_log("huge-1", "user", "長い話 " * 250_000, client_id="client-001")
    page = console.page("/calls/huge-1")
    bubble = page.locator(".d-bubble")
    assert len(bubble.text_content() or "") == 2_001
    more = page.get_by_role("button", name="Show more of 1,000,000 characters")
    more.click()
    page.wait_for_function("document.querySelector('.d-bubble').textContent.length === 20001")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_the_language_is_the_browsers_until_the_reader_chooses(console: Console, ledger: Ledger) -> None:
    page = console.page("/calls", locale="ja-JP")
    expect(page.get_by_role("heading", level=1)).to_have_text("通話")
    assert page.evaluate("document.documentElement.lang") == "ja"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")
    page.get_by_role("button", name="日本語").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("通話")


def test_filters_stand_in_the_address(console: Console, ledger: Ledger) -> None:
    for number, state in enumerate(("booking", "billing")):
        call_id = f"filter-{number}"
        ledger.calls.start(call_id, "filters", state=state, started_at=BEGUN + timedelta(days=number))
        ledger.calls.complete(call_id, state=state, ended_at=BEGUN + timedelta(days=number, minutes=1))
    ledger.calls.mark_transfer("filter-0", "why")
    ledger.calls.start("filter-live", "filters", started_at=BEGUN + timedelta(days=2))
    page = console.page("/calls")
    rows, cards = page.locator("a.d-tr:visible"), page.locator("a.d-card:visible")
    page.get_by_label("Client").fill("filters")
    expect(rows).to_have_count(2)
    expect(cards).to_have_count(1)
    page.get_by_label("State").press_sequentially("booking")
    expect(rows).to_have_count(1)
    page.wait_for_url("**/calls?client=filters&state=booking")
    page.reload()
    expect(rows).to_have_count(1)
    expect(page.get_by_label("State")).to_have_value("booking")
    page.get_by_label("State").fill("")
    page.get_by_label("Handed over").select_option("Yes")
    expect(rows).to_contain_text(["filter-0"])
    expect(cards).to_have_count(0)
    page.get_by_label("Handed over").select_option("All")
    page.get_by_label("Live or ended").select_option("Live")
    expect(cards).to_have_count(1)
    expect(rows).to_have_count(0)
    page.get_by_label("Live or ended").select_option("All")
    page.get_by_label("From").fill("2026-11-22")  # days of Tokyo
    page.get_by_label("To").fill("2026-11-22")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("filter-0")
    page.get_by_label("To").fill("2026-11-21")
    expect(page.get_by_text("No call fits these filters.")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/calls")
    expect(page.get_by_label("Client")).to_have_value("")


def test_typing_is_not_disturbed_by_what_happens_meanwhile(console: Console, ledger: Ledger) -> None:
    page = console.page("/calls?client=typing")
    ledger.calls.start("typing-1", "typing")
    card = page.locator("a.d-card")
    expect(card).to_have_count(1)
    search = page.get_by_label("Search in what was said")
    search.evaluate("field => (field.value = 'half a wor')")  # as while Japanese is being composed
    ledger.calls.append_log("typing-1", "user", "news")
    expect(card).to_contain_text("news")
    expect(search).to_have_value("half a wor")


def test_ended_calls_come_a_page_at_a_time(console: Console, ledger: Ledger) -> None:
    for number in range(60):
        at = BEGUN - timedelta(minutes=number)
        ledger.calls.start(f"paged-{number:02}", "paged", started_at=at)
        ledger.calls.complete(f"paged-{number:02}", ended_at=at)
    page = console.page("/calls?client=paged")
    first = page.locator("a.d-tr .d-mono").first
    older, newer = page.get_by_role("button", name="Older"), page.get_by_role("button", name="Newer")
    expect(first).to_have_text("paged-00")
    expect(newer).to_be_disabled()
    older.click()
    expect(first).to_have_text("paged-25")
    page.reload()
    expect(first).to_have_text("paged-25")
    older.click()
    expect(first).to_have_text("paged-50")
    expect(older).to_be_disabled()
    expect(page.locator("a.d-tr")).to_have_count(10)
    newer.click()
    expect(first).to_have_text("paged-25")
    newer.click()
    expect(first).to_have_text("paged-00")


def test_the_search_finds_lines_and_leads_to_them(console: Console, ledger: Ledger) -> None:
    ledger.calls.start("found-1", "search")
    ledger.calls.append_logs(
        [
            {"call_id": "found-1", "role": "ai", "text": f"Zimmer {n} ist frei, 予約は {n} 番です"}
            for n in range(60)
        ]
    )
    page = console.page("/calls?client=search")
    field, hits = page.get_by_label("Search in what was said"), page.locator("a.d-hit")
    field.fill("zimmer")
    expect(hits).to_have_count(25)
    expect(hits.first.locator("mark")).to_have_text("Zimmer")
    page.get_by_role("button", name="More").click()
    expect(hits).to_have_count(50)
    field.fill("番")
    expect(hits.first.locator("mark")).to_have_text("番")
    field.fill("no one said this")
    expect(page.get_by_text("Nobody said that.")).to_be_visible()
    field.fill("Zimmer 7 ist")
    expect(hits).to_have_count(1)
    page.wait_for_url("**q=Zimmer+7+ist**")
    hits.click()
    shown = page.locator(".d-line.d-shown")
    expect(shown).to_contain_text("Zimmer 7 ist frei")
    expect(shown).to_be_in_viewport()
    page.go_back()
    expect(hits).to_have_count(1)
    field.fill("")
    expect(page.locator("a.d-card")).to_have_count(1)


@pytest.mark.parametrize(
    "call_id", ["電話 1", "a b#c", "100%", "x/y//z", "q?a=1&b=2", 'he said "hi"', "..%2F..", "a+b"]
)
def test_any_call_id_has_its_page(console: Console, ledger: Ledger, call_id: str) -> None:
    client = f"odd-{hash(call_id)}"
    ledger.calls.append_log(call_id, "user", f"this is {call_id}", client_id=client)
    page = console.page(f"/calls?client={client}")
    page.locator("a.d-card").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(call_id)
    expect(page.locator(".d-bubble")).to_have_text(f"this is {call_id}")


@pytest.mark.parametrize("zone", ["No%2FWhere", "..%2F..%2Fetc%2Fpasswd", "%00", ""])
def test_a_time_zone_that_is_none_does_no_harm(console: Console, zone: str) -> None:
    context = console.context()
    context.add_cookies([{"name": "daicho_zone", "value": zone, "url": console.base}])
    page = context.new_page()
    page.goto(f"{console.base}/calls?from=2026-11-22&to=nonsense")
    expect(page.get_by_role("heading", level=1)).to_have_text("Calls")


def test_without_the_token_nothing_is_shown(console: Console, browser: Browser) -> None:
    page = browser.new_page()
    for path in ("/", "/calls", "/calls/call-1", "/nowhere"):
        response = page.goto(console.base + path)
        assert response is not None
        assert response.status == 401
        assert "link-state" not in page.content()


@pytest.mark.parametrize("path", ["/calls/no-such-call", "/nowhere", "/calls/%00"])
def test_a_wrong_address_is_said_in_words(console: Console, path: str) -> None:
    page = console.context(locale="ja-JP").new_page()
    response = page.goto(console.base + path)
    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("link", name="通話一覧")).to_be_visible()
    console.complaints.clear()  # the browser notes the status


def test_a_call_that_is_deleted_leaves_its_page(console: Console, ledger: Ledger) -> None:
    ledger.calls.append_log("deleted-1", "user", "hello", client_id="client-001")
    page = console.page("/calls/deleted-1")
    ledger.calls.delete("deleted-1")
    expect(page.get_by_text("There is no such call.")).to_be_visible()
    ledger.calls.append_log("deleted-1", "user", "again", client_id="client-001")
    expect(page.locator(".d-bubble")).to_have_text("again")


def test_an_empty_ledger_says_what_to_do(serve: Callable[[str], Any], sqlite_url: str) -> None:
    with serve(sqlite_url) as console:
        page = console.page("/")
        expect(page.get_by_text("daicho demo")).to_be_visible()
        with Ledger(sqlite_url) as ledger:
            ledger.calls.start("call-1", "client-001")
        expect(page.locator("a.d-card")).to_have_count(1)
        expect(page.get_by_text("daicho demo")).to_be_hidden()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_colours_follow_the_browser(console: Console, scheme: str, dark: bool) -> None:
    page = console.page("/calls", color_scheme=scheme)
    brightness = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b) / 3"
    )
    assert (brightness < 60) is dark


@pytest.mark.parametrize("path", ["/calls", "/calls/narrow-1"])
def test_a_narrow_window_is_enough(console: Console, ledger: Ledger, path: str) -> None:
    ledger.calls.append_log("narrow-1", "user", "hello " * 50, client_id="client-" + "x" * 100)
    page = console.page(path, viewport={"width": 390, "height": 844})
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
