"""The chats on the console: the sessions, one session as it goes on, DynamoDB, the demo."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from daicho import AsyncLedger, Ledger, Settings
from daicho.chats import demo
from daicho.chats.dynamo_client import connect
from daicho.chats.models import ChatLog
from tests import dynalite
from tests.console.conftest import Console
from tests.console.test_pages import HOSTILE

dynamodb, unmade_table = dynalite.dynamodb, dynalite.unmade_table
AT = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # already the 21st in Tokyo


def opened(console: Console, path: str, **context: Any) -> Page:
    """A page in a browser that has said before that it is in Tokyo."""
    made = console.context(**context)
    made.add_cookies([{"name": "daicho_zone", "value": quote("Asia/Tokyo", safe=""), "url": console.base}])
    page = made.new_page()
    page.goto(console.base + path)
    page.wait_for_selector("link-state[data-state=up]")
    return page


def of(session_id: str) -> str:
    """The address of a session's page."""
    return f"/chats/{quote(session_id, safe='')}"


def rows(page: Page) -> Locator:
    return page.locator("a.d-tr:visible")


def lines(page: Page) -> Locator:
    return page.locator(".d-talk")


def texts(page: Page) -> list[str]:
    """What was said, as the page shows it, in its order."""
    found: list[str] = page.locator(".d-bubble").evaluate_all("all => all.map(one => one.textContent)")
    return found


def fact(page: Page, label: str) -> Locator:
    return page.locator(".d-fact:visible", has=page.locator("dt", has_text=label)).locator("dd")


# -- the sessions ------------------------------------------------------------------------------------


def test_the_list_follows_what_another_process_writes(sqlite_url: str, serve: Callable[[str], Any]) -> None:
    with serve(sqlite_url) as console, Ledger(sqlite_url) as ledger:
        page = console.page("/chats")
        for shown in ("The ledger holds no chats yet.", "daicho demo", "ledger.chats.append("):
            expect(page.get_by_text(shown)).to_be_visible()
        expect(page.get_by_text("daicho chats init")).to_be_hidden()
        expect(page.get_by_text("Kept in the database")).to_be_visible()
        ledger.chats.append("discord:1:2", "user", "anybody here?", author="maru")
        row = rows(page)
        expect(row).to_contain_text("maru: anybody here?")
        expect(page.get_by_text("The ledger holds no chats yet.")).to_be_hidden()
        expect(row.get_by_role("img", name="Live")).to_be_visible()
        row.evaluate("row => (row.kept = true)")
        ledger.chats.append("discord:1:2", "assistant", "I am.")
        expect(row).to_contain_text("Assistant: I am.")
        expect(row.locator(".d-labelled")).to_have_text("2")
        assert row.evaluate("row => row.kept"), "a row is changed, not drawn anew"
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        ledger.chats.append("web:1", "user", "an older one", timestamp=long_ago)
        expect(row.locator(".d-session")).to_have_text(["discord:1:2", "web:1"])  # newest first
        expect(row.last.get_by_role("img")).to_have_count(0)
        row.first.click()
        page.wait_for_url("**/chats/discord%3A1%3A2")
        expect(page.get_by_role("heading", level=1)).to_have_text("discord:1:2")


def test_filters_and_pages_stand_in_the_address(console: Console, ledger: Ledger) -> None:
    ledger.chats.append_many(
        {
            "session_id": f"filtered:{number:02}",
            "role": "user",
            "content": f"text {number}",
            "timestamp": AT - timedelta(hours=number),
        }
        for number in range(30)
    )
    page = opened(console, "/chats")
    page.get_by_label("Session begins with").fill("filtered:")
    page.wait_for_url("**/chats?prefix=filtered%3A")
    expect(rows(page)).to_have_count(25)
    expect(rows(page).first).to_contain_text("text 0")
    page.get_by_role("button", name="Older").click()
    expect(rows(page)).to_have_count(5)
    expect(rows(page).first).to_contain_text("text 25")
    page.reload()
    expect(rows(page)).to_have_count(5)
    expect(page.get_by_label("Session begins with")).to_have_value("filtered:")
    page.get_by_role("button", name="Newer").click()
    expect(rows(page)).to_have_count(25)
    page.get_by_label("Active since").fill("2026-11-21")  # a day of Tokyo: since 15:00 of the 20th
    expect(rows(page)).to_have_count(1)
    page.wait_for_url("**/chats?prefix=filtered%3A&from=2026-11-21")
    page.get_by_label("Session begins with").fill("filtered_0")  # no pattern
    expect(page.get_by_text("No session fits these filters.")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/chats")
    expect(page.get_by_label("Session begins with")).to_have_value("")


def test_a_page_that_cannot_be_is_said_to_be_none(console: Console, ledger: Ledger) -> None:
    page = console.page("/chats?after=nonsense")
    expect(page.get_by_text("is not a cursor of this list")).to_be_visible()
    page.get_by_role("link", name="From the beginning").click()
    page.wait_for_url("**/chats")
    page.goto(f"{console.base}/chats?prefix={'x' * 251}")
    expect(page.get_by_text("prefix is 251 characters long")).to_be_visible()


def test_what_a_session_cost_is_told_and_leads_to_its_usage(console: Console, ledger: Ledger) -> None:
    tenant = ledger.usage.create_tenant("chatting").id
    ledger.chats.append("costly/1", "user", "hello")
    page = console.page("/chats?prefix=costly")
    session = console.page(of("costly/1"))
    expect(rows(page)).to_have_count(1)
    expect(session.locator(".d-cost")).to_be_hidden()
    used = {"model": "m", "provider": "p", "input_tokens": 10, "output_tokens": 2, "source": "chat:costly/1"}
    ledger.usage.record(tenant_id=tenant, operation="reply", cost_usd=0.25, **used)
    expect(rows(page)).to_contain_text("$0.250")
    expect(fact(session, "Cost")).to_have_text("$0.250")
    session.get_by_role("link", name="Each call").click()
    session.wait_for_url("**/usage?source=chat%3Acostly%2F1")
    session.get_by_role("link", name="Open its page").click()
    session.wait_for_url("**/chats/costly%2F1")


# -- one session -------------------------------------------------------------------------------------


def test_a_session_that_is_not_there_yet_shows_with_its_first_message(
    console: Console, ledger: Ledger
) -> None:
    page = opened(console, of("新しい/会話?#%"), locale="ja-JP")
    expect(page.get_by_text("そのセッションはまだありません。")).to_be_visible()
    ledger.chats.append("新しい/会話?#%", "user", "もしもし")
    expect(page.locator(".d-bubble")).to_have_text(["もしもし"])
    expect(page.get_by_role("heading", level=1)).to_have_text("新しい/会話?#%")
    expect(page.locator(".d-under .d-author")).to_have_text("ユーザー")
    lines(page).evaluate("line => (line.kept = true)")
    ledger.chats.append("新しい/会話?#%", "assistant", "はい")
    expect(page.locator(".d-bubble")).to_have_text(["もしもし", "はい"])
    expect(fact(page, "メッセージ数")).to_have_text("2")
    assert lines(page).first.evaluate("line => line.kept"), "lines are added, not drawn anew"
    ledger.chats.delete_session("新しい/会話?#%")
    expect(page.get_by_text("そのセッションはまだありません。")).to_be_visible()
    ledger.chats.append("新しい/会話?#%", "user", "again")
    expect(page.locator(".d-bubble")).to_have_text(["again"])
    console.complaints.clear()  # the browser notes the status of what is not there


def test_a_message_that_comes_late_stands_where_it_belongs_once(console: Console, ledger: Ledger) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=10)

    def say(text: str, seconds: float) -> None:
        ledger.chats.append("late-1", "user", text, timestamp=begun + timedelta(seconds=seconds))

    say("first", 0)
    say("third", 20)
    page = opened(console, of("late-1"))
    expect(lines(page)).to_have_count(2)
    lines(page).last.evaluate("line => (line.kept = true)")
    say("second", 15)  # within the time that clocks may be apart
    expect(page.locator(".d-bubble")).to_have_text(["first", "second", "third"])
    assert lines(page).last.evaluate("line => line.kept")
    say("earliest", -300)  # far from it
    expect(page.locator(".d-bubble")).to_have_text(["earliest", "first", "second", "third"])
    expect(fact(page, "Messages")).to_have_text("4")
    say("fourth", 21)
    expect(page.locator(".d-bubble")).to_have_text(["earliest", "first", "second", "third", "fourth"])


def test_the_ends_of_the_calendar_are_shown_too(console: Console, ledger: Ledger) -> None:
    ends = [at.replace(tzinfo=UTC) for at in (datetime.min, datetime.max)]  # noqa: DTZ901
    ledger.chats.restore(
        "ends-1",
        [
            ChatLog.of(
                {
                    "session_id": "ends-1",
                    "timestamp": at,
                    "role": "user",
                    "content": f"in {at.year}",
                    "author": None,
                    "message_id": f"{at.year}",
                    "details": f'{{"of": {at.year}}}',
                }
            )
            for at in ends
        ],
    )
    page = opened(console, of("ends-1"))
    expect(page.locator(".d-bubble")).to_have_text(["in 1", "in 9999"])
    days = [lines(page).nth(number).get_attribute("data-day") for number in range(2)]
    assert days == ["Monday, January 1, 1", "Friday, December 31, 9999"]
    expect(page.locator(".d-live")).to_be_hidden()
    for button in page.get_by_role("button", name="Details").all():
        button.click()
    expect(page.locator(".d-details:visible")).to_have_text([re.compile(f'"of": {at.year}') for at in ends])


def test_each_part_has_its_place(console: Console, ledger: Ledger) -> None:
    def say(role: str, content: str, **more: Any) -> None:
        ledger.chats.append("roles-1", role, content, timestamp=AT, **more)

    say("system", "Be kind.")
    say("user", "hi", author="maru", details={"reply_to": "<b>1</b>", "名前": [1, 2]})
    say("tool", '{"ok": true}', author="lookup")
    say("tool", "row\n" * 100, author="dump")
    say("tool", "nobody's")
    say("assistant", "hello")
    say("moderator", "be nice", author="tess")
    page = opened(console, of("roles-1"))
    expect(page.locator(".d-line.d-system .d-notice")).to_have_text("Be kind.")
    expect(page.locator(".d-line.d-user .d-bubble")).to_have_text(["hi", "be nice"])
    expect(page.locator(".d-line.d-ai .d-bubble")).to_have_text("hello")
    expect(page.locator(".d-line.d-user .d-under").last).to_contain_text("tess")
    expect(page.locator(".d-line.d-user .d-under").last).to_contain_text("moderator")
    tools = page.locator(".d-line.d-aside details")
    expect(tools.locator("b")).to_have_text(["lookup", "dump", "Tool"])
    named, dump = tools.first, tools.nth(1)
    expect(page.locator(".d-line.d-aside .d-under", has_text="Tool")).to_have_count(2)  # not where it is said
    expect(named.locator(".d-pre")).to_be_visible()
    expect(dump.locator(".d-pre")).to_be_hidden()
    dump.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(dump.locator(".d-pre")).to_be_visible()
    assert dump.locator(".d-pre").evaluate("one => getComputedStyle(one).fontFamily").count("mono")

    more = page.get_by_role("button", name="Details")
    expect(more).to_have_count(1)
    expect(more).to_have_attribute("aria-expanded", "false")
    more.focus()
    page.keyboard.press("Enter")
    shown = page.locator(".d-details:visible")
    expect(shown).to_have_count(1)
    assert json.loads(shown.text_content() or "") == {"reply_to": "<b>1</b>", "名前": [1, 2]}
    expect(more).to_have_attribute("aria-expanded", "true")
    more.click()
    expect(shown).to_have_count(0)


def test_days_are_those_of_the_reader(console: Console, ledger: Ledger) -> None:
    for hours in (-1, 0, 1, 24):
        ledger.chats.append("days-1", "user", f"{hours}", timestamp=AT + timedelta(hours=hours))
    days = "all => all.map(one => one.dataset.day ?? '')"
    page = opened(console, of("days-1"))
    expect(lines(page)).to_have_count(4)
    friday, saturday, sunday = (
        f"{day}, 2026" for day in ("Friday, November 20", "Saturday, November 21", "Sunday, November 22")
    )
    assert lines(page).evaluate_all(days) == [friday, saturday, "", sunday]
    japanese = opened(console, of("days-1"), locale="ja-JP")
    assert lines(japanese).first.get_attribute("data-day") == "2026年11月20日(金)"
    ledger.chats.append("days-1", "user", "earlier", timestamp=AT - timedelta(hours=2))
    expect(lines(page)).to_have_count(5)
    assert lines(page).evaluate_all(days) == [friday, "", saturday, "", sunday]


def test_any_text_is_shown_as_text(console: Console, ledger: Ledger) -> None:
    name = "hostile-1 <b>{{7*7}}</b> 'x' \"y\""
    for number, text in enumerate(HOSTILE):
        ledger.chats.append(name, ("user", "assistant")[number % 2], text, author=text[:255])
    ledger.chats.append(name, "<i>role</i>", "x", details=f'{{"a": {json.dumps(HOSTILE[0])}}}')
    for text in HOSTILE:
        ledger.chats.append(name, "system", text)
        ledger.chats.append(name, "tool", text, author=text[:255])
    page = opened(console, of(name))
    expect(lines(page)).to_have_count(3 * len(HOSTILE) + 1)
    assert texts(page) == [*HOSTILE, "x"]
    assert page.locator(".d-bubble *, .d-notice *, .d-pre *, .d-author *").count() == 0
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.get_by_role("button", name="Details").click()
    expect(page.locator(".d-details:visible")).to_contain_text("<script>alert('script')</script>")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    listed = console.page("/chats?prefix=" + quote("hostile-1"))
    expect(rows(listed).locator(".d-session")).to_have_text(name)


def test_a_very_long_text_is_cut_until_more_is_asked_for(console: Console, ledger: Ledger) -> None:
    ledger.chats.append("huge-1", "user", "before")
    ledger.chats.append("huge-1", "user", "長い話 " * 25_000)
    page = opened(console, of("huge-1"))
    bubble = page.locator(".d-bubble").last
    assert len(bubble.text_content() or "") == 2_001
    page.get_by_role("button", name="Show more of 100,000 characters").click()
    page.wait_for_function("[...document.querySelectorAll('.d-bubble')].at(-1).textContent.length === 20001")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_earlier_messages_are_loaded_on_demand(console: Console, ledger: Ledger) -> None:
    ledger.chats.append_many(
        {"session_id": "long-1", "role": "user", "content": f"line {n:03}", "timestamp": AT}
        for n in range(450)
    )
    page = opened(console, of("long-1"))
    expect(lines(page)).to_have_count(200)
    expect(lines(page).first).to_contain_text("line 250")
    expect(lines(page).last).to_be_in_viewport()
    expect(fact(page, "Messages")).to_have_text("450")
    earlier = page.get_by_role("button", name="Load earlier")
    page.locator("stick-to-end").evaluate("box => (box.scrollTop = 0)")
    earlier.click()
    expect(lines(page)).to_have_count(400)
    expect(page.get_by_text("line 250")).to_be_in_viewport()
    earlier.click()
    expect(lines(page)).to_have_count(450)
    expect(earlier).to_be_hidden()
    ledger.chats.append("long-1", "assistant", "the newest")
    expect(lines(page).last).to_contain_text("the newest")
    assert texts(page) == [f"line {n:03}" for n in range(450)] + ["the newest"]


def test_what_is_deleted_at_the_beginning_leaves_the_page(console: Console, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    ledger.chats.append("old-1", "user", "too old", timestamp=now - timedelta(days=30))
    ledger.chats.append_many({"session_id": "old-1", "role": "user", "content": f"{n}"} for n in range(199))
    page = opened(console, of("old-1"))
    expect(lines(page)).to_have_count(200)
    expect(page.get_by_role("button", name="Load earlier")).to_be_hidden()  # as many as are read at once
    ledger.chats.expire(7)
    expect(lines(page)).to_have_count(199)
    expect(lines(page).first.locator(".d-bubble")).to_have_text("0")
    expect(fact(page, "Messages")).to_have_text("199")


def test_pages_fit_a_narrow_screen(console: Console, ledger: Ledger) -> None:
    narrow = {"viewport": {"width": 375, "height": 700}, "color_scheme": "dark"}
    name, author = "narrow:" + "x" * 200, "長" * 255
    ledger.chats.append(name, "user", "y" * 500, author=author)
    ledger.chats.append(name, "w" * 32, "yyy", author=author, details={"a": 1})
    page = opened(console, "/chats?prefix=narrow", **narrow)
    expect(page.locator(".d-said")).to_contain_text("長長")
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.goto(console.base + of(name))
    under = page.locator(".d-under")
    expect(under).to_have_count(2)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    for line in under.all():
        assert line.evaluate("one => one.clientHeight") < 25, "one line"
        assert line.evaluate("one => one.lastElementChild.getBoundingClientRect().right < innerWidth")
        expect(line.locator(".d-author")).to_have_attribute("title", author)
    expect(under.last.get_by_title("w" * 32)).to_be_visible()


# -- in DynamoDB -------------------------------------------------------------------------------------


def test_in_dynamodb_pages_wait_for_tables_and_then_for_messages(
    unmade_table: Settings, serve: Callable[[str], Any]
) -> None:
    url = unmade_table.database_url().render_as_string(hide_password=False)
    table = unmade_table.chats.dynamodb.table
    with serve(url) as console, Ledger(settings=unmade_table) as ledger:
        page = opened(console, "/chats")
        session = opened(console, of("table:1"), locale="ja-JP")
        expect(page.locator(".d-banner")).to_contain_text("a table is missing; run: daicho chats init")
        expect(page.locator(".d-table, .d-pager, .d-empty").filter(visible=True)).to_have_count(0)
        place = f"DynamoDB の {table} ({unmade_table.chats.dynamodb.endpoint_url})"
        expect(session.locator(".d-banner")).to_contain_text(f"{place}: テーブルがありません。")
        expect(session.get_by_role("heading", level=1)).to_have_text("table:1")
        expect(session.get_by_role("link", name="‹ チャット一覧")).to_be_visible()

        ledger.chats.prepare()
        expect(session.get_by_text("そのセッションはまだありません。")).to_be_visible()
        expect(page.locator(".d-banner")).to_be_hidden()
        expect(page.get_by_text("Kept in DynamoDB")).to_be_visible()
        expect(page.get_by_text("daicho chats init")).to_be_visible()
        ledger.chats.append("table:1", "user", "first", author="maru")
        expect(session.locator(".d-bubble")).to_have_text(["first"])
        expect(rows(page)).to_contain_text("maru: first")
        ledger.chats.append("table:1", "assistant", "second")
        expect(session.locator(".d-bubble")).to_have_text(["first", "second"])
        expect(fact(session, "メッセージ数")).to_have_text("2")
        expect(rows(page)).to_contain_text("Assistant: second")
        at = ledger.chats.history("table:1").items[0].timestamp
        ledger.chats.append("table:1", "user", "between", timestamp=at + timedelta(microseconds=1))
        expect(session.locator(".d-bubble")).to_have_text(["first", "between", "second"])
        expect(fact(session, "メッセージ数")).to_have_text("3")

        longer = "another program's " * 20  # than usage can name
        connect(unmade_table.chats.dynamodb).put_item(
            TableName=table, Item={"session_id": {"S": longer}, "timestamp": {"N": "1763713105"}}
        )
        ledger.chats.prepare()
        expect(rows(page).locator(".d-session")).to_have_text(["table:1", longer.strip()])
        expect(page.locator(".d-banner")).to_be_hidden()
        rows(page).last.click()
        expect(page.get_by_text(f"session_id is {len(longer)} characters long")).to_be_visible()
        console.complaints.clear()  # the browser notes the status of what is not there


# -- the demo ----------------------------------------------------------------------------------------


def test_the_demo_goes_on_on_the_page(
    console: Console, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "PAUSE_SECONDS", (0.0, 0.1))

    async def go_on() -> None:
        async with AsyncLedger(console.url) as ledger:
            changes = ledger.changes()
            task = asyncio.create_task(demo.live(ledger, random.Random(1)))
            while len((await ledger.chats.sessions(prefix="support:demo-live-")).items) < 2:
                await asyncio.wait_for(anext(changes), 20)
            task.cancel()
            await asyncio.wait([task])

    demo.fill(ledger, random.Random(1), datetime.now(UTC))
    page = console.page("/chats?prefix=support:demo-")
    expect(rows(page).first).to_contain_text("support:demo-")
    with ThreadPoolExecutor(1) as pool:  # the browser has an event loop here
        pool.submit(asyncio.run, go_on()).result()
    expect(rows(page).first.locator(".d-session")).to_contain_text("support:demo-live-")
    expect(rows(page).first.get_by_role("img", name="Live")).to_be_visible()
