"""The members on the console: people, virtual members, their files, and the files in trouble."""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from daicho import AsyncLedger, Ledger
from daicho.members import demo, demo_texts, demo_texts_ja
from daicho.members.page_words import address
from daicho.members.schemas import Kind, SeenFile
from tests.console.conftest import Console
from tests.console.test_pages import HOSTILE
from tests.databases import on_sqlite

MODIFIED = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # already the 21st in Tokyo
PERSON = {
    "role": "Engineer",
    "skills": ["Python", "SQL"],
    "bio": "Likes tea.",
    "contact_email": "a@b.example",
    "github_username": "a-b-1",
}
VIRTUAL = {
    "role": "Reviewer",
    "llm_model": "gpt-5-mini",
    "system_prompt": "You review.\n  Twice.",
    "personality_traits": ["calm"],
    "expertise_areas": ["tests"],
}


def save(ledger: Ledger, kind: Kind, name: str, etag: str = "etag-1", **values: Any) -> str:
    """A member whose file was taken over; the file's URI."""
    row = {**(PERSON if kind is Kind.HUMAN else VIRTUAL), "name": name, **values}
    uri = f"s3://team/{kind.folder}/{quote(name)}.yml"
    ledger.members.save_file(SeenFile(kind, uri, etag, MODIFIED, row=row))
    return uri


def refuse(ledger: Ledger, uri: str, *problems: dict[str, Any], etag: str = "bad") -> None:
    """A version of a file that could not be taken over."""
    ledger.members.save_file(SeenFile(Kind.VIRTUAL, uri, etag, MODIFIED, problems=problems))


def fact(page: Page, label: str) -> Any:
    """What a member's page says under a label."""
    return page.locator(".d-fact:visible", has=page.locator("dt", has_text=label)).locator("dd")


# -- all members -------------------------------------------------------------------------------------


@on_sqlite
def test_the_list_follows_what_another_process_writes(
    url: str, serve: Callable[[str], Any], writing: Callable[..., Any]
) -> None:
    with serve(url) as console, writing(url, "members") as write:
        page = console.page("/members")
        expect(page.get_by_text("The ledger holds no members yet.")).to_be_visible()
        expect(page.get_by_text("daicho members sync s3://bucket")).to_be_visible()
        write("save_or_update_human_member", member_data={"name": "美咲", **PERSON})
        card = page.locator("a.d-card")
        expect(card).to_contain_text("美咲")
        for text in ("Engineer", "a@b.example", "@a-b-1"):
            expect(card).to_contain_text(text)
        expect(card.get_by_role("list", name="Skills").locator("li")).to_have_text(["Python", "SQL"])
        card.evaluate("card => (card.kept = true)")
        write("save_or_update_human_member", member_data={"name": "美咲", "skills": ["Rust"]})
        expect(card.locator("li")).to_have_text(["Rust"])
        assert card.evaluate("card => card.kept"), "a card is changed, not drawn anew"
        write("save_or_update_virtual_member", member_data={"name": "華扇", **VIRTUAL})
        tab = page.get_by_role("link", name="Virtual members")
        expect(tab).to_have_text("Virtual members1")
        tab.click()
        page.wait_for_url("**/members?kind=virtual")
        expect(tab).to_have_attribute("aria-current", "page")
        for text in ("華扇", "Reviewer", "gpt-5-mini", "You review.", "calm", "tests"):
            expect(card).to_contain_text(text)
        card.click()
        page.wait_for_url("**/members/virtual/" + quote("華扇"))
        expect(page.get_by_role("heading", level=1)).to_have_text("華扇")
        write("save_or_update_virtual_member", member_data={"name": "華扇", **VIRTUAL, "llm_model": "new"})
        expect(fact(page, "Model")).to_have_text("new")


def test_the_search_stands_in_the_address(console: Console, ledger: Ledger) -> None:
    save(ledger, Kind.HUMAN, "Search One", role="Night watch")
    save(ledger, Kind.HUMAN, "検索 二", role="search engineer")
    save(ledger, Kind.VIRTUAL, "Search Three")
    page = console.page("/members")
    cards = page.locator("a.d-card")
    search = page.get_by_label("Search by name or role")
    search.fill("SEARCH")
    expect(cards).to_have_count(2)
    page.wait_for_url("**/members?q=SEARCH")
    search.fill("night w")
    expect(cards).to_have_count(1)
    page.reload()
    expect(search).to_have_value("night w")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Search One")
    page.get_by_role("link", name="Virtual members").click()
    page.wait_for_url("**/members?kind=virtual&q=night+w")
    expect(page.get_by_text("No member's name or role has that.")).to_be_visible()
    search.fill("search t")
    expect(cards).to_contain_text(["Search Three"])
    page.wait_for_url("**/members?kind=virtual&q=search+t")


def test_members_come_a_page_at_a_time(console: Console, ledger: Ledger) -> None:
    for number in range(30):
        ledger.members.save_or_update_human_member({"name": f"paged {number:02}"})
    page = console.page("/members?q=paged")
    names = page.locator("a.d-card b")
    expect(names).to_have_count(24)
    page.get_by_role("button", name="Next").click()
    expect(names).to_have_count(6)
    expect(names.first).to_have_text("paged 24")
    page.reload()
    expect(names.first).to_have_text("paged 24")
    page.get_by_role("button", name="Previous").click()
    expect(names.first).to_have_text("paged 00")


def test_many_labels_are_counted_on_the_card_and_all_on_the_page(console: Console, ledger: Ledger) -> None:
    skills = [f"skill {number}" for number in range(9)]
    save(ledger, Kind.HUMAN, "Skilled", skills=skills)
    page = console.page("/members?q=Skilled")
    expect(page.locator("a.d-card li")).to_have_text([*skills[:6], "+3 more"])
    page.locator("a.d-card").click()
    expect(page.get_by_role("list", name="Skills").locator("li")).to_have_text(skills)


def test_files_in_trouble_are_in_sight_until_they_are_mended(
    sqlite_url: str, serve: Callable[[str], Any]
) -> None:
    with serve(sqlite_url) as console, Ledger(sqlite_url) as ledger:
        save(ledger, Kind.VIRTUAL, "Iris")
        page = console.page("/members")
        warning = page.get_by_role("region", name="Files that could not be taken over")
        expect(page.locator("a.d-card, .d-empty:visible")).to_have_count(1)
        expect(warning).to_be_hidden()
        uri = "s3://team/virtual_members/scout.yml"
        missing = {"line": None, "key": "llm_model", "reason": "is missing"}
        refuse(ledger, uri, {"line": 3, "key": "llm_modell", "reason": HOSTILE[0]}, missing)
        expect(warning).to_be_in_viewport()
        expect(warning).to_contain_text(uri)
        expect(warning).to_contain_text("Not valid")
        lines = warning.locator(".d-problems li")
        expect(lines).to_have_text([f"line 3llm_modell{HOSTILE[0]}", "llm_modelis missing"])
        taken = {**VIRTUAL, "name": "Iris"}
        other = "s3://team/virtual_members/iris-2.yml"
        ledger.members.save_file(SeenFile(Kind.VIRTUAL, other, "1", None, row=taken))
        expect(warning).to_contain_text("Name taken")
        expect(warning).to_contain_text("the name 'Iris' belongs to s3://team/virtual_members/Iris.yml")
        for number in range(5):
            refuse(ledger, f"s3://team/virtual_members/z{number}.yml", *[missing] * 25)
        expect(warning.locator(".d-count")).to_have_text("7")
        warning.get_by_role("button", name="Show more").click()
        expect(warning.locator(".d-trouble-file")).to_have_count(7)
        expect(warning.locator(".d-trouble-file").last).to_contain_text("and 5 more")
        ledger.members.save_file(SeenFile(Kind.VIRTUAL, uri, "2", None, row={**VIRTUAL, "name": "Scout"}))
        expect(warning.locator(".d-count")).to_have_text("6")
        expect(warning).not_to_contain_text(uri)


def test_the_demo_fills_the_pages_once_and_goes_on(sqlite_url: str, serve: Callable[[str], Any]) -> None:
    with serve(sqlite_url) as console, Ledger(sqlite_url) as ledger:
        now = datetime.now(UTC)
        assert demo.fill(ledger, random.Random(1), now) == 20
        before = ledger.members.known_files("")
        assert demo.fill(ledger, random.Random(2), now) == 0
        assert ledger.members.known_files("") == before
        assert ledger.members.counts() == {"human": 12, "virtual": 8, "troubled": 2}
        page = console.page("/members")
        expect(page.locator("a.d-card")).to_have_count(12)
        expect(page.locator(".d-trouble-file")).to_have_count(2)

        async def changes(count: int) -> list[str | None]:
            async with AsyncLedger(sqlite_url) as live:
                rng = random.Random(3)
                return [await demo.change_one(live, rng) for _ in range(count)]

        with ThreadPoolExecutor(1) as pool:  # the browser has an event loop here
            changed = pool.submit(asyncio.run, changes(12)).result()
        after = ledger.members.known_files("")
        differing = {uri for uri in after if after[uri] != before[uri]}
        assert differing <= set(changed)
        assert differing
        assert {file.status for file in after.values()} == {"ok", "invalid", "conflict"}
        for member in ledger.members.list_virtual().items:
            remarks = (*demo_texts.REMARKS, *demo_texts_ja.REMARKS)
            assert sum((member.system_prompt or "").count(remark) for remark in remarks) <= 1
        assert demo.fill(ledger, random.Random(1), now) == 0
        assert ledger.members.known_files("") == after


# -- one member --------------------------------------------------------------------------------------


def test_a_person_is_shown_with_the_file_it_comes_from(console: Console, ledger: Ledger) -> None:
    uri = save(ledger, Kind.HUMAN, "Emma of Files")
    page = console.page("/members/human/Emma%20of%20Files")
    expect(page.get_by_role("heading", level=1)).to_have_text("Emma of Files")
    expect(page.get_by_role("region", name="About")).to_contain_text("Likes tea.")
    expect(fact(page, "Mail")).to_have_text("a@b.example")
    profile = page.get_by_role("link", name="a-b-1")
    expect(profile).to_have_attribute("href", "https://github.com/a-b-1")
    expect(profile).to_have_attribute("rel", "noopener noreferrer")
    assert page.locator("a[href^=mailto]").count() == 0
    expect(fact(page, "File")).to_have_text(uri)
    expect(fact(page, "Status")).to_have_text("Taken over")
    expect(fact(page, "Version")).to_have_text("etag-1")
    expect(fact(page, "Modified")).to_have_text("Nov 21, 00:30")
    for label in ("Taken over", "Created", "Updated"):
        expect(fact(page, label).locator("local-time")).not_to_be_empty()
    expect(page.locator(".d-trouble")).to_be_hidden()

    save(ledger, Kind.HUMAN, "Emma of Files", "etag-2", bio="Likes coffee.", github_username="no/name")
    expect(page.get_by_role("region", name="About")).to_contain_text("Likes coffee.")
    expect(fact(page, "Version")).to_have_text("etag-2")
    expect(fact(page, "GitHub")).to_have_text("no/name")
    expect(page.locator("a[href*='github.com']")).to_have_count(0)

    refuse(ledger, uri, {"line": 2, "key": "skills", "reason": "must be a list of texts"}, etag="etag-3")
    expect(page.locator(".d-trouble")).to_contain_text("must be a list of texts")
    expect(page.locator(".d-trouble")).to_contain_text("What is shown here is from before.")
    expect(fact(page, "Status")).to_have_text("Not valid")
    expect(fact(page, "Last read")).to_be_visible()
    expect(page.get_by_role("region", name="About")).to_contain_text("Likes coffee.")


def test_a_prompt_is_shown_line_by_line_and_cut_until_more_is_asked_for(
    console: Console, ledger: Ledger
) -> None:
    save(ledger, Kind.VIRTUAL, "Prompted")
    page = console.page("/members/virtual/Prompted")
    prompt = page.get_by_role("region", name="System prompt").locator(".d-pre")
    assert prompt.inner_text() == "You review.\n  Twice."
    save(ledger, Kind.VIRTUAL, "Prompted", "2", system_prompt="長い指示 " * 10_000)
    page.get_by_role("button", name="Show more of 50,000 characters").click()
    page.wait_for_function("document.querySelector('.d-pre').textContent.length === 20001")
    ledger.members.save_or_update_virtual_member(
        {"name": "Prompted", "llm_model": "gpt-5", "system_prompt": None}
    )
    expect(page.get_by_role("region", name="System prompt")).to_contain_text("There is none.")


def test_a_member_without_a_file_says_so(console: Console, ledger: Ledger) -> None:
    ledger.members.save_or_update_human_member({"name": "Fileless"})
    page = console.page("/members/human/Fileless")
    expect(fact(page, "File")).to_have_text("None: a program has saved this member")
    expect(fact(page, "Version")).to_have_count(0)


def test_a_member_that_is_removed_leaves_the_page(console: Console, ledger: Ledger) -> None:
    uri = save(ledger, Kind.HUMAN, "Leaving")
    page = console.page("/members/human/Leaving")
    expect(page.get_by_role("heading", level=1)).to_have_text("Leaving")
    ledger.members.remove_files([uri])
    expect(page.get_by_text("There is no such member.")).to_be_visible()
    save(ledger, Kind.HUMAN, "Leaving")
    expect(page.get_by_role("heading", level=1)).to_have_text("Leaving")


def test_any_text_is_shown_as_text(console: Console, ledger: Ledger) -> None:
    for number, text in enumerate(HOSTILE):
        name, labels = f"hostile {text[:200]}".strip(), [text, *HOSTILE[:3]]
        row = {"role": text[:255], "personality_traits": labels, "expertise_areas": labels}
        values = {"name": name, "llm_model": text[:255], "system_prompt": text, **row}
        uri = f"s3://team/virtual_members/hostile{text[:200]}{number}.yml"
        ledger.members.save_file(SeenFile(Kind.VIRTUAL, uri, text[:255], MODIFIED, row=values))
    shown = console.page("/members?kind=virtual&q=hostile")
    cards = shown.locator("a.d-card")
    expect(cards).to_have_count(len(HOSTILE))
    names = {f"hostile {text[:200]}".strip() for text in HOSTILE}
    assert set(cards.locator("b").evaluate_all("all => all.map(one => one.textContent)")) == names
    assert not shown.evaluate("document.documentElement.scrollWidth > innerWidth")
    page = shown.context.new_page()
    for text in HOSTILE:
        name = f"hostile {text[:200]}".strip()
        page.goto(console.base + address(Kind.VIRTUAL, name))
        assert page.locator("h1").text_content() == name
        assert page.locator(".d-pre").text_content() == text
        labels = page.locator(".d-expertise").evaluate_all("all => all.map(one => one.textContent)")
        assert labels == [text, *HOSTILE[:3]]
        assert page.locator(".d-page :is(script, img, i)").count() == 0
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize(
    "name", ["a/b", "/x/y//z", "q?a=1&b=2", "a b#c", "100%", "a+b", "../..", "..", ".", "two\nlines"]
)
def test_a_name_may_hold_anything(console: Console, ledger: Ledger, name: str) -> None:
    ledger.members.save_or_update_human_member({"name": name, "role": f"named {name!r}"})
    page = console.page("/members?q=" + quote(f"named {name!r}"))
    page.locator("a.d-card").click()
    expect(page.locator(".d-head .d-quiet")).to_have_text(f"named {name!r}")
    assert page.locator("h1").text_content() == name


@pytest.mark.parametrize("path", ["human/nobody", "virtual/nobody", "human/%00", "virtual/", "human/no/body"])
def test_an_unknown_member_is_said_in_words(console: Console, path: str) -> None:
    page = console.context().new_page()
    response = page.goto(f"{console.base}/members/{path}")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_text("There is no such member.")).to_be_visible()
    expect(page.get_by_role("link", name="To all members")).to_be_visible()
    console.complaints.clear()  # the browser notes the status


# -- everywhere --------------------------------------------------------------------------------------


def test_the_pages_speak_japanese(console: Console, ledger: Ledger) -> None:
    save(ledger, Kind.VIRTUAL, "言葉 華扇", role="相談役")
    page = console.page("/members?kind=virtual&q=" + quote("言葉"), locale="ja-JP")
    expect(page.get_by_role("heading", level=1)).to_have_text("メンバー")
    expect(page.get_by_role("link", name="仮想メンバー")).to_have_attribute("aria-current", "page")
    page.locator("a.d-card").click()
    expect(page.get_by_role("region", name="システムプロンプト")).to_be_visible()
    expect(fact(page, "状態")).to_have_text("取り込み済み")


def test_a_card_is_reached_and_opened_by_keyboard(console: Console, ledger: Ledger) -> None:
    save(ledger, Kind.HUMAN, "Keyboard")
    page = console.page("/members?q=Keyboard")
    expect(page.locator("a.d-card")).to_have_count(1)
    page.get_by_label("Search by name or role").focus()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('a.d-card')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keyboard")


@pytest.mark.parametrize("path", ["/members?q=narrow", "/members?kind=virtual&q=narrow", "human", "virtual"])
def test_a_phone_is_wide_enough(console: Console, ledger: Ledger, path: str) -> None:
    name, long = "narrow-" + "x" * 200, "y" * 250
    save(ledger, Kind.HUMAN, name, long, role=long, skills=[long] * 3, bio=long, contact_email=long,
         github_username=long)  # fmt: skip
    uri = save(ledger, Kind.VIRTUAL, name, long, role=long, llm_model=long, system_prompt=long * 4,
               personality_traits=[long], expertise_areas=[long])  # fmt: skip
    refuse(ledger, uri, {"line": 10**9, "key": "k" * 60, "reason": long})
    page = console.page(
        path if path[0] == "/" else f"/members/{path}/{name}", viewport={"width": 375, "height": 800}
    )
    expect(page.locator("a.d-card, h1 >> text=narrow").first).to_be_visible()
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    here = page.locator(".d-nav a[aria-current]").bounding_box()
    state = page.locator("link-state").bounding_box()
    assert here is not None
    assert state is not None
    assert here["x"] + here["width"] <= state["x"], "the room's name is not cut"
