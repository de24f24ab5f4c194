"""What another process writes is on the page, as it is spoken."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page, expect

from daicho import Ledger, migrations
from tests.console.conftest import Console
from tests.postgres import Cluster

WATCH = """() => {
  window.seen = {};
  new MutationObserver(() => {
    for (const bubble of document.querySelectorAll(".d-bubble")) window.seen[bubble.textContent] ??= Date.now();
  }).observe(document.querySelector(".d-lines"), { childList: true, subtree: true, characterData: true });
}"""


def test_a_line_written_by_another_process_is_on_the_page_within_a_second(
    url: str, serve: Callable[[str], Any], writing: Callable[[str], Any]
) -> None:
    with serve(url) as console, writing(url) as write:
        write("start", call_id="call-1", client_id="client-001")
        page = console.page("/calls/call-1")
        page.evaluate(WATCH)
        write("append_log", call_id="call-1", role="ai", text="お電話ありがとうございます。")
        first = page.wait_for_selector(".d-line")
        assert first is not None
        first.evaluate("line => (line.kept = true)")
        delays = []
        for text in ("もしもし", "hello", "聞こえますか"):
            acknowledged = write("append_log", call_id="call-1", role="user", text=text, state="greeting")
            page.wait_for_function("text => window.seen[text]", arg=text, timeout=5_000)
            delays.append(page.evaluate("text => window.seen[text]", text) / 1000 - acknowledged)
        print("seconds from acknowledged to seen:", ", ".join(f"{delay:.3f}" for delay in delays))
        assert min(delays) < 1.0
        assert first.evaluate("line => line.isConnected && line.kept"), "lines are appended, not drawn anew"
        expect(page.locator(".d-beside")).to_contain_text("greeting")


def test_the_list_follows_calls_as_they_start_speak_and_end(console: Console, ledger: Ledger) -> None:
    page = console.page("/calls?client=follow-1")
    ledger.calls.start("follow-1-a", "follow-1", caller_number="03-0000-0001")
    card = page.locator("a.d-card")
    expect(card).to_have_count(1)
    ledger.calls.append_log("follow-1-a", "user", "予約をお願いします", state="booking")
    expect(card).to_contain_text("Caller: 予約をお願いします")
    expect(card).to_contain_text("booking")
    ledger.calls.mark_transfer("follow-1-a", "wants a table")
    expect(card).to_contain_text("Handed over")
    ledger.calls.complete("follow-1-a")
    expect(card).to_have_count(0)
    expect(page.locator("a.d-tr")).to_have_count(1)
    expect(page.locator("a.d-tr")).to_contain_text("completed")


def test_a_call_that_ends_stops_its_clock_and_says_so(console: Console, ledger: Ledger) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=3)
    ledger.calls.start("ends-1", "client-001", started_at=begun)
    page = console.page("/calls/ends-1")
    length = page.locator(".d-facts elapsed-time")
    before = length.inner_text()
    expect(length).not_to_have_text(before)
    expect(page.locator("h1 ~ .d-live")).to_be_visible()
    ledger.calls.mark_transfer("ends-1", "<b>Room 5</b>\nasks for a cot")
    expect(page.locator(".d-handover")).to_contain_text("<b>Room 5</b>")
    ledger.calls.complete("ends-1", ended_at=begun + timedelta(seconds=65))
    expect(length).to_have_text("1:05")
    expect(page.locator("h1 ~ .d-live")).to_be_hidden()


def test_a_page_in_japanese_stays_japanese_when_it_changes(console: Console, ledger: Ledger) -> None:
    page = console.page("/calls?client=japanese-1", locale="ja-JP")
    ledger.calls.append_log("japanese-1-a", "user", "hello", state="greeting", client_id="japanese-1")
    expect(page.locator("a.d-card")).to_contain_text("発信者: hello")


def test_a_reader_who_has_scrolled_up_is_offered_new_lines(console: Console, ledger: Ledger) -> None:
    for number in range(40):
        ledger.calls.append_log("scroll-1", "user", f"line {number}\n" * 3, client_id="client-001")
    page = console.page("/calls/scroll-1")
    expect(page.locator(".d-line").last).to_be_in_viewport()
    ledger.calls.append_log("scroll-1", "ai", "at the end")
    expect(page.get_by_text("at the end")).to_be_in_viewport()
    offer = page.get_by_role("button", name="New lines")
    expect(offer).to_be_hidden()
    page.locator("stick-to-end").evaluate("box => (box.scrollTop = 300)")
    place = _place(page)
    ledger.calls.append_log("scroll-1", "ai", "further on")
    expect(offer).to_be_visible()
    assert _place(page) == place
    offer.click()
    expect(page.get_by_text("further on")).to_be_in_viewport()
    expect(offer).to_be_hidden()


def test_earlier_lines_are_loaded_on_demand_and_the_reader_keeps_the_place(
    console: Console, ledger: Ledger
) -> None:
    ledger.calls.start("long-1", "client-001")
    ledger.calls.append_logs(
        [{"call_id": "long-1", "role": "user", "text": f"line {n:03}"} for n in range(450)]
    )
    page = console.page("/calls/long-1")
    lines = page.locator(".d-line")
    expect(lines).to_have_count(200)
    expect(lines.first).to_contain_text("line 250")
    page.locator("stick-to-end").evaluate("box => (box.scrollTop = 0)")
    page.get_by_role("button", name="Load earlier").click()
    expect(lines).to_have_count(400)
    expect(lines.first).to_contain_text("line 050")
    expect(page.get_by_text("line 250")).to_be_in_viewport()
    page.get_by_role("button", name="Load earlier").click()
    expect(lines).to_have_count(450)
    expect(page.get_by_role("button", name="Load earlier")).to_be_hidden()
    ledger.calls.append_log("long-1", "ai", "the newest")
    expect(lines.last).to_contain_text("the newest")


def test_a_page_survives_the_database_being_away(
    serve: Callable[[str], Any], writing: Callable[[str], Any]
) -> None:
    cluster = Cluster()
    try:
        with Ledger(cluster.url()) as ledger:
            migrations.run(ledger.database, "upgrade", "head")
            ledger.calls.start("call-1", "client-001")
        with serve(cluster.url()) as console:
            page = console.page("/calls")
            expect(page.locator("a.d-card")).to_have_count(1)
            cluster.stop("immediate")
            banner = page.locator(".d-banner")
            expect(banner).to_be_visible(timeout=30_000)
            expect(banner).to_contain_text("unavailable")
            expect(page.locator("a.d-card")).to_have_count(1)
            cluster.start()
            expect(banner).to_be_hidden(timeout=30_000)
            with writing(cluster.url()) as write:
                write("start", call_id="call-2", client_id="client-001")
            expect(page.locator("a.d-card")).to_have_count(2, timeout=30_000)
    finally:
        cluster.close()


def _place(page: Page) -> float:
    return page.locator("stick-to-end").evaluate("box => box.scrollTop")
