"""The page of the server itself: what it has done stands there, and goes on."""

import httpx
from playwright.sync_api import expect

from tests.console.conftest import Console
from tests.console.test_usage import figure, lines


def test_the_page_shows_what_the_server_does(console: Console) -> None:
    page = console.page("/operations")
    expect(page.locator("h1")).to_have_text("Operations")
    expect(page.locator("nav a[aria-current]")).to_have_text("Operations")
    expect(figure(page, "Connections in use")).to_contain_text(" / 15")
    expect(figure(page, "Writer queue")).to_have_text("0 / 10,000")
    expect(figure(page, "Database")).to_contain_text("B")
    calls = lines(page, "Tables").filter(has_text="call_logs")
    expect(calls).to_have_count(1)
    # Another page, read by the server for somebody else, is an operation that comes to be seen without a reload.
    other = console.page("/members")
    other.context.close()
    expect(lines(page, "Operations, last 15 minutes").filter(has_text="members.")).not_to_have_count(0)
    expect(page.get_by_role("region", name="Slow statements of late", exact=True)).to_be_visible()


def test_the_page_is_in_japanese_and_for_the_operator_only(console: Console) -> None:
    page = console.page("/operations", locale="ja-JP")
    expect(page.locator("h1")).to_have_text("運用")
    for title in ("操作 (直近 15 分)", "テーブル", "最近の遅い SQL 文"):
        expect(page.get_by_role("region", name=title, exact=True)).to_have_count(1)
    assert httpx.get(console.base + "/operations", trust_env=False).status_code == 401
