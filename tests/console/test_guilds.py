"""The guilds on the console: boards, tickets and what is done with them, logs, music, avatars, the demo."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import delete, text

from daicho import AsyncLedger, Ledger, migrations
from daicho.core.page import encode
from daicho.guilds import demo
from daicho.guilds.enums import ENDED, LogType, TicketPriority, TicketStatus
from daicho.guilds.models import Ticket
from daicho.guilds.shown import ticket_row
from tests.console.conftest import Console
from tests.console.test_pages import HOSTILE
from tests.databases import on_sqlite
from tests.postgres import Cluster

AT = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # already the 21st in Tokyo
GUILDS = count(9_007_199_254_740_993, 2)
"""Ids that JavaScript's numbers cannot hold: each test has guilds of its own."""
ASKER, MODERATOR, CHANNEL = 9_007_199_254_740_995, 9_223_372_036_854_775_807, 1_234_567_890_123_456_789


@pytest.fixture
def guild() -> int:
    """A guild of a test's own."""
    return next(GUILDS)


def asked(ledger: Ledger, guild: int, title: str = "Help", **more: Any) -> Ticket:
    """A ticket."""
    return ledger.guilds.create_ticket(guild, CHANNEL, ASKER, title, **more)


def column(page: Page, name: str) -> Locator:
    """A column of the board."""
    return page.get_by_role("region", name=name, exact=True)


def fact(page: Page, label: str) -> Locator:
    """What a page says under a label."""
    return page.locator(".d-fact:visible", has=page.locator("dt", has_text=label)).locator("dd")


def status(page: Page) -> Locator:
    """What a ticket's page says of its status and its priority."""
    return page.locator(".d-head ~ .d-chip")


# -- all guilds --------------------------------------------------------------------------------------


@on_sqlite
def test_the_list_follows_what_another_process_writes(
    url: str, serve: Callable[[str], Any], writing: Callable[..., Any], guild: int
) -> None:
    with serve(url) as console, writing(url, "guilds") as write, Ledger(url) as ledger:
        page = console.page("/guilds")
        expect(page.get_by_text("The ledger holds no guilds yet.")).to_be_visible()
        expect(page.get_by_text("daicho guilds adopt kyrios.db")).to_be_visible()
        write("create_ticket", guild_id=guild, channel_id=CHANNEL, user_id=ASKER, title="Help")
        card = page.locator("a.d-card")
        expect(card).to_contain_text(str(guild))
        expect(card).to_contain_text("1 open")
        expect(card).to_contain_text("Nothing plays")
        card.evaluate("card => (card.kept = true)")
        track = {"artist": "Ines", "url": "https://x.invalid/1", "duration": 200, "requested_by": ASKER}
        write("create_track", guild_id=guild, title="Paper Lanterns", **track)
        [song] = ledger.guilds.list_tracks(guild).items
        write("create_session", guild_id=guild, voice_channel_id=1, text_channel_id=2)
        write("update_session_current_track", guild_id=guild, track_id=song.id)
        write("add_to_queue", guild_id=guild, track_id=song.id, added_by=ASKER)
        write("create_log", guild_id=guild, log_type="system_event", action="Started")
        for shown in ("Paper Lanterns · Ines", "1 queued"):
            expect(card).to_contain_text(shown)
        expect(card.locator("local-time")).not_to_be_empty()
        assert card.evaluate("card => card.kept"), "a card is changed, not drawn anew"
        card.click()
        page.wait_for_url(f"**/guilds/{guild}")
        expect(page.get_by_role("heading", level=1)).to_have_text(str(guild))


def test_guilds_come_a_page_at_a_time(console: Console, ledger: Ledger) -> None:
    first = 2**62
    for number in range(50):
        ledger.guilds.create_or_update_guild_settings(first + number)
    page = console.page(f"/guilds?after={encode([first - 1])}")  # behind those of other tests
    names = page.locator("a.d-card b")
    for place in (24, 48):
        expect(names.first).to_have_text(str(first + place - 24))
        page.get_by_role("button", name="Next").click()
        expect(names.first).to_have_text(str(first + place))
    expect(names).to_have_text([str(first + 48), str(first + 49)])
    page.reload()
    expect(names).to_have_count(2)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()


# -- the board ---------------------------------------------------------------------------------------


def test_the_board_has_a_column_for_each_status(console: Console, ledger: Ledger, guild: int) -> None:
    now = datetime.now(UTC)
    for number, one in enumerate(TicketStatus):
        for turn in range(number + 1):
            at = now - timedelta(days=turn, hours=number + 1)
            ticket = asked(ledger, guild, f"{one} {turn}", created_at=at, category="technical")
            ledger.guilds.update_ticket(ticket.id, status=one)
    page = console.page(f"/guilds/{guild}")
    for number, name in enumerate(("Open", "In progress", "Closed", "Archived")):
        expect(column(page, name).locator(".d-count")).to_have_text(str(number + 1))
        titles = [f"{[*TicketStatus][number]} {turn}" for turn in range(number + 1)]
        expect(column(page, name).locator("a.d-card .d-subject")).to_have_text(titles)  # newest first
    card = column(page, "Open").locator("a.d-card")
    for shown in ("Medium", "Technical", str(ASKER), "1:00:"):
        expect(card).to_contain_text(shown)
    expect(page.locator(".d-tabs [aria-current]")).to_have_text("Tickets1")

    moved = asked(ledger, guild, "A new one", priority=TicketPriority.URGENT)
    expect(column(page, "Open").locator(".d-count")).to_have_text("2")
    expect(column(page, "Open").locator("a.d-card").first).to_contain_text("Urgent")
    ledger.guilds.update_ticket(moved.id, status="archived", assigned_to=MODERATOR)
    expect(column(page, "Archived").locator("a.d-card").first).to_contain_text(f"→ {MODERATOR}")
    expect(column(page, "Open").locator("a.d-card")).to_have_count(1)


def test_the_boards_filters_stand_in_the_address(console: Console, ledger: Ledger, guild: int) -> None:
    asked(ledger, guild, "one", assigned_to=MODERATOR, priority=4)
    asked(ledger, guild, "two", category="moderation", priority=4)
    ledger.guilds.create_ticket(guild, CHANNEL, 5, "three")
    page = console.page(f"/guilds/{guild}")
    titles = page.locator(".d-subject")
    expect(titles).to_have_count(3)
    page.get_by_label("User").fill(f"<@{ASKER}>")  # as Discord copies it
    expect(titles).to_have_text(["two", "one"])
    expect(column(page, "Open").locator(".d-count")).to_have_text("2")
    page.get_by_label("Assignee").fill(str(MODERATOR))
    expect(titles).to_have_text(["one"])
    page.get_by_label("Assignee").fill("")
    page.get_by_label("Priority").select_option("Urgent")
    page.get_by_label("Category").select_option("Moderation")
    expect(titles).to_have_text(["two"])
    page.wait_for_url(f"**/guilds/{guild}?user=%3C%40{ASKER}%3E&priority=4&category=moderation")
    page.reload()
    expect(titles).to_have_text(["two"])
    expect(page.get_by_label("Priority")).to_have_value("4")
    page.get_by_label("User").fill("emma")
    expect(page.get_by_text("'emma' is no Discord id")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(f"**/guilds/{guild}")
    expect(titles).to_have_count(3)


def test_a_column_comes_a_page_at_a_time(console: Console, ledger: Ledger, guild: int) -> None:
    for number in range(25):
        asked(ledger, guild, f"{number}", created_at=AT - timedelta(minutes=number))
    closed = asked(ledger, guild, "closed", created_at=AT)
    ledger.guilds.close_ticket(closed.id)
    page = console.page(f"/guilds/{guild}")
    titles = column(page, "Open").locator(".d-subject")
    seen: list[str] = []
    for shown in (10, 10, 5):
        expect(titles).to_have_count(shown)
        seen += titles.all_text_contents()
        older = column(page, "Open").get_by_role("button", name="Older")
        if older.is_enabled():
            older.click()
            expect(titles.first).to_have_text(str(len(seen)))
    assert seen == [str(number) for number in range(25)]
    expect(column(page, "Open").locator(".d-count")).to_have_text("25")
    page.reload()
    expect(titles.first).to_have_text("20")
    expect(column(page, "Closed").locator(".d-subject")).to_have_text("closed")


# -- one ticket --------------------------------------------------------------------------------------


def test_a_thread_is_followed_as_the_bot_records_it(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild, "Cannot hear", description="Everybody else can.", created_at=AT)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    expect(page.get_by_text("Nobody has written yet.")).to_be_visible()
    expect(page.get_by_role("region", name="Description")).to_contain_text("Everybody else can.")

    def says(number: int, who: int, content: str, *, system: bool = False) -> None:
        at = AT + timedelta(minutes=number)
        ledger.guilds.add_ticket_message(ticket.id, who, 2**62 + number, content, system, timestamp=at)

    lines = page.locator(".d-line")
    says(1, ASKER, "本当に聞こえません")
    expect(lines).to_have_text([f"本当に聞こえません{ASKER}Nov 21, 00:31"])
    lines.first.evaluate("line => (line.kept = true)")
    says(3, MODERATOR, "Join again, please.")
    says(4, 1, "Assigned.", system=True)
    expect(lines).to_have_count(3)
    assert lines.first.evaluate("line => line.kept"), "lines are appended, not drawn anew"
    for number, side in enumerate(("d-user", "d-ai", "d-system")):
        assert side in (lines.nth(number).get_attribute("class") or "")
    expect(lines.last).to_contain_text("System")
    says(2, ASKER, "A late one")  # which the bot has heard of last
    expect(page.locator(".d-bubble")).to_have_text(
        ["本当に聞こえません", "A late one", "Join again, please."]
    )
    ledger.guilds.update_ticket(ticket.id, title="Hears again", description=None)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hears again")
    expect(page.get_by_role("region", name="Description")).to_be_hidden()


def test_earlier_messages_are_loaded_on_demand(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild)
    with ledger.begin() as tx:
        for number in range(120):
            at = AT + timedelta(minutes=number // 2)  # two at a time, at the same moment
            tx.guilds.add_ticket_message(ticket.id, ASKER, 0, f"message {number:03}", timestamp=at)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    lines, earlier = page.locator(".d-line"), page.get_by_role("button", name="Load earlier")
    for shown in (50, 100, 120):
        expect(lines).to_have_count(shown)
        expect(lines.first).to_contain_text(f"message {120 - shown:03}")
        if shown < 120:
            earlier.click()
    expect(earlier).to_be_hidden()
    ledger.guilds.add_ticket_message(ticket.id, ASKER, 0, "the newest")
    expect(lines).to_have_count(121)
    numbers = lines.evaluate_all("all => all.map(one => Number(one.dataset.line))")
    assert numbers == sorted(numbers)


def test_a_very_long_message_is_cut_until_more_is_asked_for(
    console: Console, ledger: Ledger, guild: int
) -> None:
    ticket = asked(ledger, guild)
    for _ in range(2):  # at the same moment: it is its own text that comes
        ledger.guilds.add_ticket_message(ticket.id, ASKER, 0, "short", timestamp=AT)
    ledger.guilds.add_ticket_message(ticket.id, ASKER, 0, "長い話 " * 10_000, timestamp=AT)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    page.get_by_role("button", name="Show more of 40,000 characters").click()
    page.wait_for_function("[...document.querySelectorAll('.d-bubble')].at(-1).textContent.length === 20001")


def test_a_ticket_says_what_it_cost(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")
    expect(page.locator(".d-cost")).to_be_hidden()
    tenant = ledger.usage.create_tenant(f"of {guild}")
    ledger.usage.record(
        tenant_id=tenant.id, operation="draft_reply", model="gpt-4o-mini", provider="openai",
        input_tokens=1_000, output_tokens=200, source=f"ticket:{ticket.id}",
    )  # fmt: skip
    expect(fact(page, "Tokens")).to_have_text("1,000 → 200")
    page.get_by_role("link", name="Each call").click()
    page.get_by_role("link", name="Open its page").click()
    page.wait_for_url(f"**/guilds/tickets/{ticket.id}")


# -- what is done with a ticket ----------------------------------------------------------------------


def test_what_one_reader_does_another_sees_at_once(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild)

    def stored() -> Ticket:
        found = ledger.guilds.get_ticket(ticket.id)
        assert found is not None
        return found

    page, other = (console.page(f"/guilds/tickets/{ticket.id}") for _ in range(2))
    board = console.page(f"/guilds/{guild}")
    expect(status(other)).to_have_text(["Open", "Medium"])

    page.get_by_role("button", name="Urgent").click()
    for shown in (page, other):
        expect(status(shown)).to_have_text(["Open", "Urgent"])
        expect(shown.get_by_role("button", name="Urgent")).to_have_attribute("aria-pressed", "true")
        expect(shown.get_by_role("button", name="Medium")).to_have_attribute("aria-pressed", "false")
    expect(column(board, "Open")).to_contain_text("Urgent")
    assert stored().priority is TicketPriority.URGENT

    other.get_by_label("Assign to").fill(f" {MODERATOR} ")
    other.get_by_label("Assign to").press("Enter")
    for shown in (page, other):
        expect(fact(shown, "Assignee")).to_contain_text(str(MODERATOR))
    expect(other.get_by_label("Assign to")).to_have_value("")
    expect(column(board, "Open")).to_contain_text(f"→ {MODERATOR}")
    assert stored().assigned_to == MODERATOR
    page.get_by_role("button", name="Unassign").click()
    expect(other.get_by_text("Nobody yet")).to_be_visible()
    assert stored().assigned_to is None

    page.get_by_role("button", name="Start work").click()
    expect(status(other)).to_have_text(["In progress", "Urgent"])
    expect(column(board, "In progress").locator("a.d-card")).to_have_count(1)
    other.get_by_role("button", name="Close ticket").click()
    for shown in (page, other):
        expect(status(shown)).to_have_text(["Closed", "Urgent"])
        expect(fact(shown, "Closed").locator("local-time")).not_to_be_empty()
        expect(shown.get_by_role("button", name="Close ticket")).to_be_hidden()
    expect(column(board, "Closed").locator("a.d-card")).to_have_count(1)
    assert stored().closed_at is not None
    page.get_by_role("button", name="Archive").click()
    expect(column(board, "Archived").locator("a.d-card")).to_have_count(1)
    page.get_by_role("button", name="Back to open").click()
    expect(status(other)).to_have_text(["Open", "Urgent"])
    assert (stored().status, stored().closed_at) == (TicketStatus.OPEN, None)


def test_everything_is_done_by_keyboard(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild)
    page = console.page(f"/guilds/{guild}")
    page.get_by_label("Category").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/guilds/tickets/{ticket.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")
    page.wait_for_selector("link-state[data-state=up]")

    def reach(name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == name:
                return
        pytest.fail(f"Tab never reaches {name}")

    reach("High")
    page.keyboard.press("Space")
    expect(status(page)).to_have_text(["Open", "High"])
    page.get_by_label("Assign to").focus()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    expect(fact(page, "Assignee")).to_contain_text("42")
    page.locator("body").focus()
    page.get_by_role("button", name="Start work").focus()
    reach("Close ticket")
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text(["Closed", "High"])


def test_the_keyboard_stays_where_the_work_is(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild, assigned_to=7)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    said = page.locator(".d-page").get_by_role("status").filter(visible=True)
    expect(said).to_have_text("Open")
    page.get_by_role("button", name="Start work").focus()
    for status_said, offered in (
        ("In progress", "Close ticket"),
        ("Closed", "Back to open"),
        ("Open", "Start work"),
    ):
        page.keyboard.press("Enter")
        expect(said).to_have_text(status_said)
        expect(page.get_by_role("button", name=offered)).to_be_focused()
    ledger.guilds.close_ticket(ticket.id)
    page.get_by_role("button", name="Archive").press("Enter")
    expect(said).to_have_text("Archived")
    expect(page.get_by_role("button", name="Back to open")).to_be_focused()
    page.get_by_role("button", name="Unassign").press("Enter")
    expect(page.get_by_text("Nobody yet")).to_be_visible()
    expect(page.get_by_label("Assign to")).to_be_focused()


def test_who_cannot_be_assigned_is_not(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild, assigned_to=7)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    field, refusal = page.get_by_label("Assign to"), page.get_by_role("alert").filter(visible=True)
    for given in ("emma", "-5", "1.5", "9223372036854775808", "<@12", "１２"):
        field.fill(given)
        field.press("Enter")
        expect(refusal).to_contain_text("no Discord id")
        expect(refusal).to_contain_text(given)
        expect(field).to_have_value(given)  # to be mended
    ledger.guilds.update_ticket(ticket.id, priority=4, assigned_to=None)
    expect(page.get_by_text("Nobody yet")).to_be_visible()
    expect(field).to_have_value("１２")  # nobody disturbs who is typing
    expect(refusal).to_be_visible()  # until the next attempt
    assert ledger.guilds.get_ticket(ticket.id).assigned_to is None  # type: ignore[union-attr]
    field.fill("8")
    page.get_by_role("button", name="Assign", exact=True).click()
    expect(fact(page, "Assignee")).to_contain_text("8")
    expect(refusal).to_have_count(0)


def test_what_the_ledger_refuses_is_said_and_not_shown_as_done(
    console: Console, ledger: Ledger, guild: int
) -> None:
    ticket = asked(ledger, guild)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    refusal = page.get_by_role("alert").filter(visible=True)
    with ledger.database.begin() as session:
        session.execute(
            text(
                f"CREATE TRIGGER refuse BEFORE UPDATE ON tickets WHEN OLD.id = {ticket.id}"
                " BEGIN SELECT RAISE(ABORT, 'not today'); END"
            )
        )
    for button in ("High", "Close ticket"):
        page.get_by_label("Assign to").fill("emma")
        page.get_by_label("Assign to").press("Enter")
        expect(refusal).to_contain_text("no Discord id")  # so that the next refusal is seen to come
        page.get_by_role("button", name=button).click()
        expect(refusal).to_contain_text("conflict")
        expect(status(page)).to_have_text(["Open", "Medium"])
        expect(page.get_by_role("button", name="Medium")).to_have_attribute("aria-pressed", "true")
    with ledger.database.begin() as session:
        session.execute(text("DROP TRIGGER refuse"))
    page.get_by_role("button", name="High").click()
    expect(status(page)).to_have_text(["Open", "High"])
    expect(refusal).to_have_count(0)


def test_a_database_that_is_away_is_told_until_it_is_back(serve: Callable[[str], Any], guild: int) -> None:
    cluster = Cluster()
    try:
        with Ledger(cluster.url()) as ledger:
            migrations.run(ledger.database, "upgrade", "head")
            ticket = asked(ledger, guild)
        with serve(cluster.url()) as console:
            page = console.page(f"/guilds/tickets/{ticket.id}")
            board = console.page(f"/guilds/{guild}")
            refusal = page.locator(".d-moving").get_by_role("alert")
            cluster.stop("immediate")
            page.get_by_role("button", name="Close ticket").click()
            expect(refusal).to_contain_text("unavailable", timeout=60_000)
            expect(status(page)).to_have_text(["Open", "Medium"])
            for shown in (page, board):
                expect(shown.locator(".d-page > .d-banner")).to_contain_text("unavailable", timeout=30_000)
            expect(column(board, "Open").locator("a.d-card")).to_have_count(1)  # what was known stays
            cluster.start()
            for shown in (page, board):
                expect(shown.locator(".d-banner").filter(visible=True)).to_have_count(0, timeout=30_000)
            page.get_by_role("button", name="Close ticket").click()
            expect(status(page)).to_have_text(["Closed", "Medium"])
            expect(column(board, "Closed").locator("a.d-card")).to_have_count(1)
    finally:
        cluster.close()


def test_a_ticket_that_is_gone_leaves_the_page(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild)
    page = console.page(f"/guilds/tickets/{ticket.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")
    with ledger.database.begin() as session:
        session.execute(delete(Ticket).where(Ticket.id == ticket.id))
    ledger.database.changes.mark(frozenset({"guilds"}))
    expect(page.get_by_text("There is no such ticket.")).to_be_visible()


# -- logs --------------------------------------------------------------------------------------------


def test_logs_are_filtered_and_the_choice_stands_in_the_address(
    console: Console, ledger: Ledger, guild: int
) -> None:
    log = ledger.guilds.create_log
    log(guild, "message_delete", "first", 1, None, CHANNEL, {"content": "消した"}, timestamp=AT)
    log(guild, "member_ban", "second", 2, MODERATOR, timestamp=AT + timedelta(days=1))
    log(guild, "message_edit", "third", ASKER, None, 11, timestamp=AT + timedelta(days=2))
    page = console.page(f"/guilds/{guild}/logs")
    page.reload()  # by now the browser has said which time zone it is in
    page.wait_for_selector("link-state[data-state=up]")
    actions = page.locator(".d-log b")
    expect(actions).to_have_text(["third", "second", "first"])
    for label, value, found in (
        ("User", str(ASKER), "third"),
        ("Moderator", str(MODERATOR), "second"),
        ("Channel", f"<#{CHANNEL}>", "first"),
    ):
        page.get_by_label(label, exact=True).fill(value)
        expect(actions).to_have_text([found])
        page.get_by_label(label, exact=True).fill("")
        expect(actions).to_have_count(3)
    page.get_by_label("From").fill("2026-11-22")  # days of Tokyo
    expect(actions).to_have_text(["third", "second"])
    page.get_by_label("To", exact=True).fill("2026-11-22")
    expect(actions).to_have_text(["second"])
    page.get_by_label("Type").select_option("Member banned")
    page.wait_for_url(f"**/guilds/{guild}/logs?type=member_ban&from=2026-11-22&to=2026-11-22")
    page.reload()
    expect(actions).to_have_text(["second"])
    page.get_by_label("Type").select_option("Member joined")
    expect(page.get_by_text("No log fits these filters.")).to_be_visible()
    page.get_by_label("User", exact=True).fill("me")
    expect(page.get_by_text("'me' is no Discord id")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(f"**/guilds/{guild}/logs")
    log(guild, "system_event", "fourth", timestamp=AT + timedelta(days=3))
    expect(actions).to_have_text(["fourth", "third", "second", "first"])


def test_every_type_of_log_can_be_chosen_and_has_a_name(console: Console, ledger: Ledger, guild: int) -> None:
    ledger.guilds.create_multiple_logs(
        [{"guild_id": guild, "log_type": kind, "action": kind.value} for kind in LogType]
    )
    page = console.page(f"/guilds/{guild}/logs")
    names = page.locator(".d-log .d-chip").all_text_contents()
    assert len(set(names)) == len(LogType)
    for kind in LogType:
        page.get_by_label("Type").select_option(kind.value)
        expect(page.locator(".d-log b")).to_have_text([kind.value])


def test_logs_come_a_page_at_a_time(console: Console, ledger: Ledger, guild: int) -> None:
    ledger.guilds.create_multiple_logs(
        {
            "guild_id": guild,
            "log_type": "system_event",
            "action": f"{number}",
            "timestamp": AT - timedelta(minutes=number),
        }
        for number in range(60)
    )
    page = console.page(f"/guilds/{guild}/logs")
    actions = page.locator(".d-log b")
    seen: list[str] = []
    for shown in (25, 25, 10):
        expect(actions).to_have_count(shown)
        seen += actions.all_text_contents()
        older = page.get_by_role("button", name="Older")
        if older.is_enabled():
            older.click()
            expect(actions.first).to_have_text(str(len(seen)))
    assert seen == [str(number) for number in range(60)]
    page.reload()
    expect(actions.first).to_have_text("50")
    page.get_by_role("button", name="Newer").click()
    expect(actions.first).to_have_text("0")


def test_details_unfold_as_readable_json(console: Console, ledger: Ledger, guild: int) -> None:
    details: list[Any] = [
        {"content": HOSTILE[0], "id": 2**63 - 1, "roles": ["読書会"]},
        {"long": "長い話 " * 10_000},
        None,
    ]
    for number, one in enumerate(details):  # at the same moment: each unfolds its own
        ledger.guilds.create_log(guild, "system_event", f"{number}", details=one, timestamp=AT)
    ledger.guilds.create_log(guild, "system_event", "x" * 400 + "end", timestamp=AT)
    page = console.page(f"/guilds/{guild}/logs")
    logs = page.locator(".d-log")
    for number, one in enumerate(details):
        log = logs.filter(has=page.locator("b", has_text=str(number)))
        log.locator("summary").focus()
        page.keyboard.press("Enter")
        shown = log.locator(".d-pre")
        if number == 0:
            expect(shown).to_have_text(json.dumps(one, ensure_ascii=False, indent=2))
        elif number == 1:
            log.get_by_role("button", name="Show more of 40,016 characters").click()
            page.wait_for_function(
                "[...document.querySelectorAll('.d-pre')].some(one => one.textContent.length === 20001)"
            )
        else:
            expect(shown).to_have_text("There are none.")
    long = logs.filter(has=page.locator("b", has_text="xxx"))
    long.locator("summary").click()
    expect(long.locator(".d-pre").first).to_have_text("x" * 400 + "end")
    ledger.guilds.create_log(guild, "system_event", "one more")
    expect(logs).to_have_count(5)
    expect(long.locator(".d-pre").first).to_be_visible()  # what is unfolded stays so


# -- music, settings, avatars ------------------------------------------------------------------------


def test_the_queue_is_shown_in_order_and_followed(console: Console, ledger: Ledger, guild: int) -> None:
    guilds = ledger.guilds
    ledger.guilds.create_or_update_guild_settings(guild)
    page = console.page(f"/guilds/{guild}/music")
    expect(page.get_by_text("The bot is in no voice channel.")).to_be_visible()
    expect(page.get_by_text("The queue is empty.")).to_be_visible()
    addresses = ("https://x.invalid/1", "javascript:alert(1)", "http://x.invalid/3", "https://x.invalid/4")
    tracks = [
        guilds.create_track(guild, f"Song {number}", "Ines", address, length, ASKER)
        for number, (address, length) in enumerate(zip(addresses, (200, 3_605, 7, 0), strict=True))
    ]
    guilds.create_session(guild, CHANNEL, 2)
    guilds.update_session_current_track(guild, tracks[0].id)
    playing = page.get_by_role("region", name="Now playing")
    for shown in ("Song 0", "Ines", "3:20", "YouTube", "No loop", str(ASKER), str(CHANNEL)):
        expect(playing).to_contain_text(shown)
    link = playing.get_by_role("link")
    expect(link).to_have_attribute("href", "https://x.invalid/1")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    entries = [guilds.add_to_queue(guild, track.id, MODERATOR) for track in tracks[1:]]
    titles, lengths = page.locator(".d-queue li .d-two b"), page.locator(".d-queue li > :last-child")
    expect(titles).to_have_text(["Song 1", "Song 2", "Song 3"])
    expect(lengths).to_have_text(["1:00:05", "0:07", "∞"])
    expect(page.get_by_text("3 tracks · 1:00:12")).to_be_visible()
    expect(page.locator(".d-queue li").first).to_contain_text(str(MODERATOR))
    assert entries[2] is not None
    guilds.move_in_queue(guild, entries[2].id, 1)
    expect(titles).to_have_text(["Song 3", "Song 1", "Song 2"])
    expect(page.locator(".d-queue li > :first-child")).to_have_text(["1", "2", "3"])
    guilds.pause(guild)
    guilds.set_loop_mode(guild, "queue")
    expect(playing.get_by_text("Paused")).to_be_visible()
    expect(playing).to_contain_text("Loops the queue")
    guilds.take_next(guild)
    guilds.take_next(guild)
    expect(playing).to_contain_text("Song 1")
    expect(playing.get_by_role("link")).to_have_count(0)  # no https, no link
    expect(playing).to_contain_text("javascript:alert(1)")
    guilds.clear_guild_tracks(guild)
    expect(playing.get_by_text("Nothing plays.")).to_be_visible()
    expect(titles).to_have_count(0)


def test_a_long_queue_is_shown_in_parts_and_summed_up_whole(
    console: Console, ledger: Ledger, guild: int
) -> None:
    track = ledger.guilds.create_track(guild, "Again", "Ines", "https://x.invalid/1", 60, ASKER)
    with ledger.begin() as tx:
        for _ in range(70):
            tx.guilds.add_to_queue(guild, track.id, ASKER)
    page = console.page(f"/guilds/{guild}/music")
    expect(page.locator(".d-queue li")).to_have_count(50)
    expect(page.get_by_text("70 tracks · 1:10:00")).to_be_visible()
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".d-queue li")).to_have_count(70)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_settings_are_shown_as_they_are_now(console: Console, ledger: Ledger, guild: int) -> None:
    ledger.guilds.create_or_update_guild_settings(guild, log_channel_id=CHANNEL)
    page = console.page(f"/guilds/{guild}/settings")
    features = page.get_by_role("list", name="Features").locator("li")
    expect(fact(page, "Prefix")).to_have_text("!")
    expect(fact(page, "Log channel")).to_have_text(str(CHANNEL))
    expect(fact(page, "Automatic role")).to_have_text("Not set")
    expect(features).to_have_text(["tickets", "logger"])
    ledger.guilds.create_or_update_guild_settings(
        guild, prefix=HOSTILE[0], features_enabled=f"music, ,{HOSTILE[2]}", auto_role_id=MODERATOR
    )
    expect(fact(page, "Prefix")).to_have_text(HOSTILE[0])
    expect(features).to_have_text(["music", HOSTILE[2]])
    expect(fact(page, "Automatic role")).to_have_text(str(MODERATOR))


def test_avatars_are_told_of_and_no_picture_is_loaded(console: Console, ledger: Ledger, guild: int) -> None:
    user = guild + 1
    record = ledger.guilds.record_avatar_change
    picture = "https://cdn.invalid/1.png"
    record(user, "avatar_change", None, picture, None, "#ff0000", "png", 45_231, timestamp=AT)
    later = AT + timedelta(days=2)
    record(user, "server_avatar_change", picture, "javascript:alert(1)", guild, "red;position:fixed", "png",
           3_200_000, timestamp=later)  # fmt: skip
    record(user + 2, "banner_change", None, "http://cdn.invalid/2.png", timestamp=AT)
    ledger.guilds.create_or_update_guild_settings(guild)
    asked_for: list[str] = []
    context = console.context()
    context.on("request", lambda request: asked_for.append(request.url))
    page = context.new_page()
    page.goto(f"{console.base}/guilds/avatars?user={user}")
    rows = page.locator(".d-avatars div.d-tr:not(.d-th)")
    expect(rows).to_have_count(2)
    statistics = page.get_by_role("region", name="The user's statistics")
    expect(statistics).not_to_contain_text("all guilds")
    expect(statistics.locator(".d-tile b")).to_have_text(["2", "0", "2.0", "png"])
    expect(rows.first).to_contain_text("Server avatar")
    expect(rows.first).to_contain_text("javascript:alert(1)")
    expect(rows.first).to_contain_text("red;position:fixed")
    expect(rows.first).to_contain_text("3.2 MB")
    expect(rows.last).to_contain_text("45 kB")
    links = rows.locator("a[target=_blank][href]")
    assert set(links.evaluate_all("all => all.map(one => one.getAttribute('href'))")) == {picture}
    expect(links.first).to_have_attribute("rel", "noopener noreferrer")
    swatch = page.locator(".d-swatch")
    expect(swatch).to_have_count(1)
    assert swatch.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(255, 0, 0)"
    page.wait_for_selector("link-state[data-state=up]")
    page.get_by_label("User", exact=True).fill(str(user + 2))
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Banner")
    expect(links).to_have_count(0)
    page.goto(f"{console.base}/guilds/{guild}/avatars")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Server avatar")
    expect(statistics).to_be_hidden()
    page.wait_for_selector("link-state[data-state=up]")
    page.get_by_label("User", exact=True).fill(str(user))
    expect(statistics.locator(".d-tile b").first).to_have_text("2")
    expect(statistics).to_contain_text("count all guilds")
    expect(rows).to_have_count(1)
    page.goto(f"{console.base}/guilds/avatars?guild={guild}&type=avatar_change")
    expect(page.get_by_text("No change fits these filters.")).to_be_visible()
    assert {urlsplit(one).netloc for one in asked_for} == {urlsplit(console.base).netloc}
    assert page.locator("img").count() == 0


# -- everywhere --------------------------------------------------------------------------------------


def test_any_text_is_shown_as_text(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild, HOSTILE[0], description=HOSTILE[1])
    for one in HOSTILE:
        ledger.guilds.add_ticket_message(ticket.id, ASKER, 0, one)
        ledger.guilds.add_ticket_message(ticket.id, 1, 0, one, is_system_message=True)
        ledger.guilds.create_log(guild, "system_event", one, details={one: one})
        track = ledger.guilds.create_track(guild, one, one, one, 1, ASKER)
        ledger.guilds.add_to_queue(guild, track.id, ASKER)
        ledger.guilds.record_avatar_change(
            guild + 1, "avatar_change", one, one, guild, one, one, timestamp=datetime.now(UTC)
        )
    ledger.guilds.create_session(guild, 1, 2)
    ledger.guilds.update_session_current_track(guild, track.id)
    page = console.context().new_page()

    def texts(selector: str) -> list[str]:
        expect(page.locator(selector).first).to_be_attached()
        found: list[str] = page.locator(selector).evaluate_all("all => all.map(one => one.textContent)")
        return found

    brief = [one if len(one) <= 300 else f"{one[:300]}…" for one in HOSTILE]
    for path, expected in {
        f"/guilds/tickets/{ticket.id}": {
            "h1": [HOSTILE[0]], ".d-passage .d-pre": [HOSTILE[1]], ".d-bubble": [*HOSTILE],
            ".d-notice": [*HOSTILE],
        },
        f"/guilds/{guild}": {".d-subject": [HOSTILE[0]]},
        f"/guilds/{guild}/logs": {".d-log b": brief[::-1]},
        f"/guilds/{guild}/music": {".d-queue li b": brief, ".d-song": [HOSTILE[-1]]},
        f"/guilds/{guild}/avatars": {".d-two > .d-url:last-child": brief[::-1]},
        "/guilds": {},
    }.items():  # fmt: skip
        page.goto(console.base + path)
        for selector, shown in expected.items():
            assert texts(selector) == shown
        assert page.locator(".d-page :is(script, img)").count() == 0
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_the_pages_speak_japanese(console: Console, ledger: Ledger, guild: int) -> None:
    ticket = asked(ledger, guild, "ログインできません", priority=3)
    page = console.page(f"/guilds/{guild}", locale="ja-JP")
    expect(page.locator(".d-nav [aria-current]")).to_have_text("サーバー")
    expect(column(page, "未対応").locator("a.d-card")).to_contain_text("高")
    page.locator("a.d-card").click()
    page.wait_for_url(f"**/guilds/tickets/{ticket.id}")
    page.wait_for_selector("link-state[data-state=up]")
    page.get_by_role("button", name="緊急").click()
    expect(status(page)).to_have_text(["未対応", "緊急"])
    page.get_by_label("担当者を決める").fill("だれか")
    page.get_by_role("button", name="決定").click()
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("Discord の ID ではありません")
    page.get_by_role("button", name="完了にする").click()
    expect(status(page)).to_have_text(["完了", "緊急"])


def test_very_long_texts_do_not_hold_the_browser_up(console: Console, ledger: Ledger, guild: int) -> None:
    long = "t" * 100_000
    ticket = asked(ledger, guild, long, description="d" * 100_000)
    track = ledger.guilds.create_track(guild, long, long, f"https://{long}", 60, ASKER)
    ledger.guilds.add_to_queue(guild, track.id, ASKER)
    ledger.guilds.create_session(guild, 1, 2)
    ledger.guilds.update_session_current_track(guild, track.id)
    ledger.guilds.create_log(guild, "system_event", long)
    ledger.guilds.record_avatar_change(ASKER, "avatar_change", long, long, guild, long, long)
    features = ",".join(f"{number}{'f' * 1_000}" for number in range(102))
    ledger.guilds.create_or_update_guild_settings(guild, prefix=long, features_enabled=features)
    page = console.context().new_page()
    for path, selector in {
        f"/guilds?after={encode([guild - 1])}": "a.d-card",
        f"/guilds/{guild}": "a.d-card",
        f"/guilds/tickets/{ticket.id}": ".d-passage .d-pre",
        f"/guilds/{guild}/logs": ".d-log",
        f"/guilds/{guild}/music": ".d-queue li",
        f"/guilds/{guild}/avatars?user={ASKER}": ".d-url",
        f"/guilds/{guild}/settings": ".d-settings dd",
    }.items():
        page.goto(console.base + path)
        expect(page.locator(selector).first).to_be_visible()
        size = page.evaluate("document.querySelector('.d-page').outerHTML.length")
        assert size < 100_000 + 100 * 1_000 * ("settings" in path), path
    expect(page.get_by_text("and 2 more")).to_be_visible()
    page.goto(f"{console.base}/guilds/tickets/{ticket.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("t" * 300 + "…")
    expect(page.get_by_role("region", name="Whole title")).to_contain_text("t" * 2_000)
    more = page.get_by_role("region", name="Whole title").get_by_role("button")
    page.wait_for_selector("link-state[data-state=up]")
    more.click()
    expect(page.get_by_role("region", name="Whole title")).to_contain_text("t" * 20_000)


@pytest.mark.parametrize("title", ["", " \t\u3000", "\u200b"], ids=["empty", "spaces", "no width"])
def test_a_blank_title_is_told_as_such(console: Console, ledger: Ledger, guild: int, title: str) -> None:
    ticket = asked(ledger, guild, title)
    assert ticket_row(ticket)[-1] == "(no title)"  # as the terminal shows it
    for locale, said in (("en-US", "(no title)"), ("ja-JP", "(無題)")):
        page = console.page(f"/guilds/{guild}", locale=locale)
        expect(page.locator("a.d-card .d-subject")).to_have_text(said)
        page.goto(f"{console.base}/guilds/tickets/{ticket.id}")
        expect(page.get_by_role("heading", level=1)).to_have_text(said)
        expect(page).to_have_title(re.compile(re.escape(f"#{ticket.id} {said}")))


def test_an_address_that_names_no_place_leads_to_the_beginning(
    console: Console, ledger: Ledger, guild: int
) -> None:
    asked(ledger, guild, priority=4)
    ledger.guilds.create_log(guild, "system_event", "Started")
    long = "W" * 300
    for path, query, kept, shown in (
        ("/guilds", "", "", "a.d-card"),
        (f"/guilds/{guild}", "priority=4&", "?priority=4", "a.d-card"),
        (f"/guilds/{guild}/logs", "type=system_event&", "?type=system_event", ".d-log"),
    ):
        for garbage in ("garbage", long):
            after = "open_after" if path == f"/guilds/{guild}" else "after"
            page = console.page(f"{path}?{query}{after}={garbage}", viewport={"width": 375, "height": 800})
            expect(page.get_by_role("status").filter(has_text=garbage[:40])).to_contain_text("not a cursor")
            expect(page.locator(".d-page > .d-banner")).to_be_hidden()
            assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
            page.get_by_role("link", name="From the beginning").click()
            page.wait_for_url(console.base + path + kept)
            expect(page.locator(shown).first).to_be_visible()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?priority=9", "Priority: '9' cannot be"),
        ("?category=zzz", "Category: 'zzz' cannot be"),
        ("/logs?type=zzz", "Type: 'zzz' cannot be"),
        ("/logs?from=2026-99-99", "From: '2026-99-99' cannot be"),
        ("/logs?to=soon", "To: 'soon' cannot be"),
        ("/avatars?type=zzz", "Type: 'zzz' cannot be"),
    ],
)
def test_an_address_that_filters_by_what_cannot_be_is_told(
    console: Console, ledger: Ledger, guild: int, query: str, said: str
) -> None:
    asked(ledger, guild)
    page = console.page(f"/guilds/{guild}{query}")
    expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()
    expect(page.locator("a.d-card, .d-log")).to_have_count(0)
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(f"{console.base}/guilds/{guild}{query.partition('?')[0]}")
    expect(page.get_by_role("status").filter(has_text=said)).to_have_count(0)


def test_the_last_day_of_all_can_be_chosen(console: Console, ledger: Ledger, guild: int) -> None:
    ledger.guilds.create_log(guild, "system_event", "Started")
    page = console.page(f"/guilds/{guild}/logs?from=1000-01-01&to=9999-12-31")
    expect(page.locator(".d-log b")).to_have_text("Started")


def test_a_phone_is_wide_enough(console: Console, ledger: Ledger, guild: int) -> None:
    long = "x" * 300
    ticket = asked(ledger, guild, long, description=long, assigned_to=MODERATOR, priority=4)
    ledger.guilds.add_ticket_message(ticket.id, ASKER, 0, long)
    ledger.guilds.add_ticket_message(ticket.id, ASKER, 0, long, is_system_message=True)
    ledger.guilds.create_log(guild, "member_timeout", long, ASKER, MODERATOR, CHANNEL, {long: long})
    track = ledger.guilds.create_track(guild, long, long, f"https://{long}", 10**6, ASKER)
    ledger.guilds.add_to_queue(guild, track.id, MODERATOR)
    ledger.guilds.create_session(guild, CHANNEL, CHANNEL)
    ledger.guilds.update_session_current_track(guild, track.id)
    ledger.guilds.create_or_update_guild_settings(guild, prefix=long, features_enabled=f"{long},b")
    ledger.guilds.record_avatar_change(
        guild + 1, "server_avatar_change", long, f"https://{long}", guild, long, long, 10**9
    )
    page = console.page(f"/guilds/{guild}/logs", viewport={"width": 375, "height": 800}, color_scheme="dark")
    page.locator(".d-log summary").click()
    expect(page.locator(".d-log .d-pre").last).to_be_visible()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    for path, shown in {
        "/guilds": ".d-card",
        f"/guilds/{guild}": ".d-ticket",
        f"/guilds/tickets/{ticket.id}": ".d-line",
        f"/guilds/{guild}/music": ".d-queue li",
        f"/guilds/{guild}/avatars": ".d-url",
        f"/guilds/avatars?user={guild + 1}": ".d-tile",
        f"/guilds/{guild}/settings": ".d-settings dd",
    }.items():
        page.goto(console.base + path)
        expect(page.locator(shown).first).to_be_visible()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), path


def test_what_is_unknown_is_said_in_words(console: Console) -> None:
    page = console.context().new_page()
    for path in ("1", "9223372036854775808", "nine", "%00/logs", "-1/music"):
        response = page.goto(f"{console.base}/guilds/{path}")
        assert response is not None
        assert response.status == 404
        expect(page.get_by_text("There is no such guild.")).to_be_visible()
    for path in ("999999999", "１", "9223372036854775808", "1e3"):
        response = page.goto(f"{console.base}/guilds/tickets/{path}")
        assert response is not None
        assert response.status == 404
        expect(page.get_by_text("There is no such ticket.")).to_be_visible()
        expect(page.get_by_role("link", name="To all guilds")).to_be_visible()
    console.complaints.clear()  # the browser notes the status


def test_a_guild_that_comes_later_is_shown(console: Console, ledger: Ledger, guild: int) -> None:
    page = console.page(f"/guilds/{guild}")
    expect(page.get_by_text("There is no such guild.")).to_be_visible()
    asked(ledger, guild)
    expect(column(page, "Open").locator("a.d-card")).to_have_count(1)
    console.complaints.clear()  # the browser notes the status


# -- the demo ----------------------------------------------------------------------------------------


@on_sqlite
def test_the_demo_fills_a_ledger_once(url: str) -> None:
    with Ledger(url) as ledger:
        now = datetime.now(UTC)
        assert demo.fill(ledger, random.Random(1), now) > 430
        assert demo.fill(ledger, random.Random(2), now) == 0
        tickets = ledger.guilds.list_tickets(limit=1000).items
        assert len(tickets) == 25
        assert {ticket.status for ticket in tickets} == {*TicketStatus}
        assert all((one.closed_at is not None) == (one.status in ENDED) for one in tickets)
        for ticket in tickets:
            said = [one.timestamp for one in ledger.guilds.get_ticket_messages(ticket.id)]
            times = [ticket.created_at, *said, ticket.closed_at or now]
            assert times == sorted(times)
            assert now - timedelta(days=demo.DAYS + 1) < times[0] <= times[-1] <= now
        logs = ledger.guilds.list_logs(limit=1000).items
        assert len(logs) == 400
        assert len({(log.guild_id, log.log_type) for log in logs}) == len(demo.GUILDS) * len(LogType)
        assert len(ledger.guilds.list_avatar_users().items) == 6


def test_the_demo_goes_on(sqlite_url: str) -> None:
    async def go_on() -> None:
        async with AsyncLedger(sqlite_url) as live:
            rng = random.Random(3)
            for _ in range(80):
                await demo.happen(live, rng)

    with Ledger(sqlite_url) as ledger:
        demo.fill(ledger, random.Random(1), datetime.now(UTC))
        before = {ticket.id for ticket in ledger.guilds.list_tickets(limit=1000)}
        with ThreadPoolExecutor(1) as pool:  # the browser has an event loop here
            pool.submit(asyncio.run, go_on()).result()
        assert len(ledger.guilds.list_logs(limit=1000).items) > 430
        later = [one for one in ledger.guilds.list_tickets(limit=1000) if one.id not in before]
        done = [one for one in later if one.status is TicketStatus.CLOSED]
        assert done
        for one in done:
            assert one.assigned_to is not None
            assert len(ledger.guilds.get_ticket_messages(one.id)) >= 2
        for guild in demo.GUILDS:
            assert len(ledger.guilds.get_guild_queue(guild.id)) >= demo.QUEUED
        assert demo.fill(ledger, random.Random(1), datetime.now(UTC)) == 0
