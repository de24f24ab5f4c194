"""The tasks on the console: as other processes work on them, whatever their files hold, however long."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from daicho import Ledger
from daicho.tasks.context import TaskContextManager
from daicho.tasks.files import TaskFiles
from daicho.tasks.process import hostname
from tests.console.conftest import Console
from tests.console.test_pages import HOSTILE
from tests.databases import on_sqlite

BEGUN = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # already the 21st in Tokyo


def described(owner: str, **more: Any) -> dict[str, Any]:
    """A task's values, about an issue of a test's own owner."""
    about = {"task_source": "github", "owner": owner, "repo": "ledger", "task_type": "issue", "task_id": "42"}
    return {**about, "uuid": str(uuid4()), **more}


def working(console: Console, ledger: Ledger, owner: str, **more: Any) -> TaskContextManager:
    """An agent of this process, at work."""
    config = {"context_storage": {"base_dir": str(console.contexts)}}
    task = described(owner, **more)
    return TaskContextManager(task, task["uuid"], config, "emma", ledger=ledger)


def folder_of(console: Console, ledger: Ledger, **more: Any) -> tuple[str, Path]:
    """A task on which nobody works, and its folder."""
    uuid = ledger.tasks.create(described("folders", **more)).uuid
    return uuid, TaskFiles(console.contexts).make(uuid)


def message(seq: int, content: object, role: str = "assistant") -> str:
    """A line of ``messages.jsonl``."""
    return json.dumps({"seq": seq, "role": role, "content": content}, ensure_ascii=False) + "\n"


# -- all tasks ---------------------------------------------------------------------------------------


@on_sqlite
def test_the_list_follows_what_another_process_writes(
    url: str, serve: Callable[[str], Any], writing: Callable[..., Any]
) -> None:
    with serve(url) as console, writing(url, "tasks") as write:
        page = console.page("/tasks")
        expect(page.get_by_text("The ledger holds no tasks yet.")).to_be_visible()
        task = described("harbor", user="emma", model="gpt-5-mini")
        write("create", task_data=task)
        card = page.locator("a.d-card")
        expect(card).to_contain_text("harbor/ledger")
        expect(card).to_contain_text("Issue #42")
        expect(card).to_contain_text("Running")
        write("update_statistics", uuid=task["uuid"], llm_calls=2, tool_calls=3, tokens=12_345)
        expect(card).to_contain_text("12,345 tokens · 2 LLM · 3 tools")
        card.evaluate("card => (card.kept = true)")
        write("update_status", uuid=task["uuid"], status="paused")
        expect(card).to_contain_text("Paused")
        assert card.evaluate("card => card.kept"), "a card is changed, not drawn anew"
        write("fail", uuid=task["uuid"], error_message="Tests still fail.")
        row = page.locator("a.d-tr")
        expect(row).to_contain_text(["Failed"])
        expect(row).to_contain_text(["Tests still fail."])
        expect(card).to_have_count(0)


def test_filters_stand_in_the_address(console: Console, ledger: Ledger) -> None:
    for number, (owner, user) in enumerate(
        (("filters", "emma"), ("filters", "美咲"), ("filters/sub", "美咲"))
    ):
        created = BEGUN + timedelta(days=number)
        values = {"user": user, "status": "completed", "created_at": created, "task_id": f"10{number}"}
        ledger.tasks.create(described(owner, repo=f"repo-{number}", **values))
    ledger.tasks.create(
        described("filters", repo="repo-0", user="emma", created_at=BEGUN, task_type="pull_request")
    )
    page = console.page("/tasks?repository=filters")
    rows, cards = page.locator("a.d-tr:visible"), page.locator("a.d-card:visible")
    expect(rows).to_have_count(2)
    expect(cards).to_have_count(1)
    repository = page.get_by_label("Repository")
    repository.fill("filters/repo-1")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("#101")
    expect(cards).to_have_count(0)
    repository.fill("filters/sub/repo-2")
    expect(rows).to_contain_text(["#102"])
    repository.fill("filters")
    page.get_by_label("User").fill("emma")
    page.get_by_label("Status").select_option("Completed")
    expect(cards).to_have_count(0)
    expect(rows).to_have_count(1)
    page.wait_for_url("**/tasks?repository=filters&user=emma&status=completed")
    page.reload()
    expect(rows).to_contain_text(["#100"])
    expect(page.get_by_label("User")).to_have_value("emma")
    page.get_by_label("Status").select_option("Running")
    expect(rows).to_have_count(0)
    expect(cards).to_contain_text(["Pull request #42"])
    page.get_by_label("Type").select_option("Issue")
    expect(page.get_by_text("No task fits these filters.")).to_be_visible()
    page.goto(console.base + "/tasks?repository=filters&from=2026-11-22&to=2026-11-22")  # days of Tokyo
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("#101")
    page.get_by_role("link", name="Clear").click()
    page.wait_for_url("**/tasks")
    expect(repository).to_have_value("")


def test_ended_tasks_of_every_status_come_a_page_at_a_time(console: Console, ledger: Ledger) -> None:
    for number in range(60):
        status = ("completed", "failed", "stopped", "completed", "completed")[number % 5]
        at = BEGUN - timedelta(minutes=number)
        ledger.tasks.create(described("paged", task_id=f"{number}", status=status, created_at=at))
    page = console.page("/tasks?repository=paged")
    names = page.locator("a.d-tr .d-two b")
    seen: list[str] = []
    for count in (25, 25, 10):
        expect(names).to_have_count(count)
        seen += names.all_text_contents()
        older = page.get_by_role("button", name="Older")
        if older.is_enabled():
            older.click()
            expect(names.first).to_have_text(f"Issue #{len(seen)}")
    assert seen == [f"Issue #{number}" for number in range(60)]
    page.reload()
    expect(names.first).to_have_text("Issue #50")
    page.get_by_role("button", name="Newer").click()
    expect(names.first).to_have_text("Issue #0")


def test_a_task_whose_process_is_gone_is_marked(console: Console, ledger: Ledger) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    task = ledger.tasks.create(described("gone", process_id=gone.pid, hostname=hostname()))
    with working(console, ledger, "gone", task_id="43"):
        page = console.page("/tasks?repository=gone")
        expect(page.locator("a.d-card")).to_have_count(2)
        marked = page.locator("a.d-card", has=page.locator(".d-warn:visible"))
        expect(marked).to_have_count(1)
        expect(marked).to_contain_text("Issue #42")
        one = console.page(f"/tasks/{task.uuid}")
        expect(one.get_by_text("No sign of life")).to_be_visible()


# -- one task ----------------------------------------------------------------------------------------


def test_a_task_is_followed_as_its_agent_works(console: Console, ledger: Ledger) -> None:
    with working(console, ledger, "followed") as task:
        messages, tools = task.get_message_store(), task.get_tool_store()
        page = console.page(f"/tasks/{task.uuid}")
        lines = page.locator(".d-line")
        expect(page.get_by_text("There are no messages yet.")).to_be_visible()
        messages.add_message("user", "直してください。", tokens=7)  # announces no change of the database
        expect(lines).to_have_count(1)
        expect(lines).to_contain_text("直してください。")
        lines.first.evaluate("line => (line.kept = true)")
        messages.add_message("assistant", "I read the file.")
        messages.add_message("tool", "def main(): ...", tool_name="read_file")
        expect(lines).to_have_count(3)
        assert lines.first.evaluate("line => line.kept"), "lines are appended, not drawn anew"
        expect(page.get_by_text("def main(): ...").last).to_be_hidden()
        lines.last.locator("summary").click()
        expect(page.get_by_text("def main(): ...").last).to_be_visible()

        tools.add_tool_call("read_file", {"path": "main.py"}, "def main(): ...", duration_ms=12.4)
        page.get_by_role("link", name="Tool calls").click()
        page.wait_for_url("**?tab=tools")
        call = page.locator("details.d-tool")
        expect(call).to_contain_text("read_file")
        expect(call).to_contain_text("12 ms")
        tools.add_tool_call("run", {"command": "pytest"}, error="1 failed")
        expect(call).to_have_count(2)
        call.last.locator("summary").click()
        expect(call.last).to_contain_text('"command": "pytest"')
        expect(call.last.locator(".d-bad")).to_have_text("1 failed")

        task.get_summary_store().add_summary(1, 2, "The file was read.", 2_000, 100)
        page.get_by_role("link", name="Summaries").click()
        summary = page.locator(".d-summary")
        expect(summary).to_contain_text("Messages 1–2")
        expect(summary).to_contain_text("5.0% of the length")
        expect(summary).to_contain_text("2,000 → 100 tokens")
        task.update_statistics(llm_calls=1, tool_calls=2, tokens=2_345, compressions=1)
        expect(page.locator(".d-tiles")).to_contain_text("2,345")
    expect(page.locator(".d-head ~ .d-done")).to_have_text("Completed")
    expect(page.get_by_role("button", name="Cancel task")).to_be_hidden()
    page.reload()
    expect(page.locator(".d-summary")).to_have_count(1)  # the folder has moved


def test_earlier_messages_are_loaded_on_demand(console: Console, ledger: Ledger) -> None:
    uuid, folder = folder_of(console, ledger)
    (folder / "messages.jsonl").write_text("".join(message(n, f"message {n:03}") for n in range(1, 251)))
    page = console.page(f"/tasks/{uuid}")
    lines, earlier = page.locator(".d-line"), page.get_by_role("button", name="Load earlier")
    expect(lines).to_have_count(100)
    expect(lines.first).to_contain_text("message 151")
    expect(lines.last).to_be_in_viewport()
    for count, first in ((200, "message 051"), (250, "message 001")):
        earlier.click()
        expect(lines).to_have_count(count)
        expect(lines.first).to_contain_text(first)
    expect(earlier).to_be_hidden()
    assert lines.evaluate_all("all => all.map(one => Number(one.dataset.line))") == [*range(1, 251)]


def test_a_huge_file_opens_at_once(console: Console, ledger: Ledger) -> None:
    uuid, folder = folder_of(console, ledger)
    path = folder / "messages.jsonl"
    block = message(1, "padding " * 500).encode() * 256
    try:
        with path.open("wb") as file:
            while file.tell() < 250_000_000:
                file.write(block)
            file.write(message(2, "the very last").encode())
        page = console.page(f"/tasks/{uuid}")
        expect(page.get_by_text("the very last")).to_be_in_viewport()  # which does not wait for 250 MB
        with path.open("a") as file:
            file.write(message(3, "and one more"))
        expect(page.get_by_text("and one more")).to_be_in_viewport()
    finally:
        path.unlink()
    expect(page.get_by_text("There are no messages yet.")).to_be_visible()


def test_a_very_long_message_is_cut_until_more_is_asked_for(console: Console, ledger: Ledger) -> None:
    uuid, folder = folder_of(console, ledger)
    (folder / "messages.jsonl").write_text(message(1, "長い話 " * 1_000_000))
    page = console.page(f"/tasks/{uuid}")
    assert len(page.locator(".d-bubble").text_content() or "") == 2_001
    page.get_by_role("button", name="Show more of 4,000,000 characters").click()
    page.wait_for_function("document.querySelector('.d-bubble').textContent.length === 20001")


def test_any_text_is_shown_as_text(console: Console, ledger: Ledger) -> None:
    owner, error = "<i>owner</i>{{7*7}}", HOSTILE[0] + HOSTILE[2]
    with working(console, ledger, owner) as task:
        for text in HOSTILE:
            task.get_message_store().add_message("assistant", text)
        task.get_message_store().add_message("tool", HOSTILE[1], tool_name=HOSTILE[0])
        task.get_tool_store().add_tool_call(
            HOSTILE[0], {HOSTILE[1]: HOSTILE[2]}, HOSTILE[5], error=HOSTILE[3]
        )
        task.get_summary_store().add_summary(1, 2, HOSTILE[1] + HOSTILE[2])
        task.fail(error)
    page = console.page(f"/tasks/{task.uuid}")
    bubbles = page.locator(".d-bubble")
    expect(bubbles).to_have_count(len(HOSTILE))
    assert bubbles.evaluate_all("all => all.map(one => one.textContent)") == [*HOSTILE]
    expect(page.locator("summary b")).to_have_text(HOSTILE[0])
    assert page.locator(".d-reason > div").text_content() == error
    page.get_by_role("link", name="Tool calls").click()
    page.locator("details.d-tool summary").click()
    shown = page.locator(".d-unfolded .d-pre")
    expect(shown).to_have_count(3)
    expect(shown.first).to_have_text(json.dumps({HOSTILE[1]: HOSTILE[2]}, indent=2))
    page.get_by_role("link", name="Summaries").click()
    expect(page.locator(".d-summary .d-pre")).to_have_text(HOSTILE[1] + HOSTILE[2])
    assert page.locator(".d-page :is(script, img, i)").count() == 0
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_what_cannot_be_read_is_said_and_the_rest_is_shown(console: Console, ledger: Ledger) -> None:
    uuid, folder = folder_of(console, ledger)
    parts = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "https://x.invalid/"}},
    ]
    (folder / "messages.jsonl").write_text(
        message(1, "first") + "{broken\n" + message(3, parts, "user") + '{"seq": 4'
    )
    page = console.page(f"/tasks/{uuid}")
    expect(page.locator(".d-problem")).to_contain_text("This line cannot be read.")
    expect(page.locator(".d-bubble")).to_have_text(["first", "Look:\n[image]"])
    without = ledger.tasks.create(described("folders"))
    page = console.page(f"/tasks/{without.uuid}")
    expect(page.get_by_text("This task has no folder here.")).to_be_visible()


def test_a_file_that_is_replaced_is_read_anew(console: Console, ledger: Ledger) -> None:
    uuid, folder = folder_of(console, ledger)
    path = folder / "messages.jsonl"
    path.write_text(message(1, "former") * 3)
    page = console.page(f"/tasks/{uuid}")
    expect(page.locator(".d-bubble")).to_have_count(3)
    path.write_text(message(1, "new"))
    expect(page.locator(".d-bubble")).to_have_text(["new"])


# -- cancelling --------------------------------------------------------------------------------------


def cancel(page: Page) -> None:
    page.get_by_role("button", name="Cancel task").click()
    expect(page.get_by_role("dialog", name="Cancel this task?")).to_be_visible()
    page.get_by_role("button", name="Cancel the task").click()


def test_a_task_is_cancelled_and_its_agent_is_told(console: Console, ledger: Ledger) -> None:
    task = working(console, ledger, "cancelled")
    page = console.page(f"/tasks/{task.uuid}")
    page.get_by_role("button", name="Cancel task").click()
    page.get_by_role("button", name="Keep it going").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert ledger.tasks.get_by_uuid(task.uuid).status == "running"  # type: ignore[union-attr]
    cancel(page)
    expect(page.get_by_role("status").filter(has_text="within 15 seconds")).to_be_visible()
    expect(page.locator(".d-head ~ .d-halted")).to_have_text("Stopped")
    stored = ledger.tasks.get_by_uuid(task.uuid)
    assert stored is not None
    assert (stored.status, stored.error_message) == ("stopped", "cancelled on the console")
    assert not task.heartbeat()
    task.close()


def test_a_task_that_nobody_works_on_is_cancelled_with_its_folder(console: Console, ledger: Ledger) -> None:
    uuid, folder = folder_of(console, ledger)
    (folder / "messages.jsonl").write_text(message(1, "kept"))
    page = console.page(f"/tasks/{uuid}", locale="ja-JP")
    page.get_by_role("button", name="タスクを中止").click()
    page.get_by_role("button", name="中止する").click()
    expect(page.get_by_text("処理中のプロセスはありませんでした。")).to_be_visible()
    expect(page.locator(".d-bubble")).to_have_text("kept")
    assert (console.contexts / "completed" / uuid / "messages.jsonl").exists()
    assert not folder.exists()


def test_a_task_that_has_ended_meanwhile_is_not_cancelled(console: Console, ledger: Ledger) -> None:
    task = ledger.tasks.create(described("ended-meanwhile"))
    page = console.page(f"/tasks/{task.uuid}")
    page.get_by_role("button", name="Cancel task").click()
    ledger.tasks.complete(task.uuid)
    expect(page.locator(".d-head ~ .d-done")).to_be_visible()
    page.get_by_role("button", name="Cancel the task").click()
    expect(page.locator(".d-banner")).to_contain_text("conflict")
    assert ledger.tasks.get_by_uuid(task.uuid).status == "completed"  # type: ignore[union-attr]


# -- everywhere --------------------------------------------------------------------------------------


def test_the_pages_speak_japanese(console: Console, ledger: Ledger) -> None:
    task = ledger.tasks.create(
        described("日本", task_type="merge_request", status="failed", error_message="だめでした")
    )
    page = console.page("/tasks?repository=" + "日本", locale="ja-JP")
    expect(page.get_by_role("heading", level=1)).to_have_text("タスク")
    expect(page.locator("a.d-tr")).to_contain_text(["マージリクエスト !42"])
    expect(page.locator("a.d-tr")).to_contain_text(["失敗"])
    page.locator("a.d-tr").click()
    page.wait_for_url(f"**/tasks/{task.uuid}")
    expect(page.get_by_text("失敗の理由")).to_be_visible()


@pytest.mark.parametrize("tab", ["", "?tab=tools", "?tab=summaries", None])
def test_a_phone_is_wide_enough(console: Console, ledger: Ledger, tab: str | None) -> None:
    with working(console, ledger, "narrow-" + "x" * 200, repo="y" * 200) as task:
        task.get_message_store().add_message("user", "x" * 500)
        task.get_message_store().add_message("tool", "x" * 500, tool_name="t" * 300)
        task.get_tool_store().add_tool_call("t" * 300, {"x": "y" * 500}, "z" * 500, duration_ms=100_000)
        task.get_summary_store().add_summary(1, 1, "z" * 500, 10**9, 10**8)
        path = "/tasks" if tab is None else f"/tasks/{task.uuid}{tab}"
        page = console.page(path, viewport={"width": 375, "height": 800})
        expect(page.locator("a.d-card, .d-line, .d-tool, .d-summary").first).to_be_visible()
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


@pytest.mark.parametrize("uuid", ["5f0c5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d", "no-uuid", "%00"])
def test_an_unknown_task_is_said_in_words(console: Console, uuid: str) -> None:
    page = console.context().new_page()
    response = page.goto(f"{console.base}/tasks/{uuid}")
    assert response is not None
    assert response.status == 404
    expect(page.get_by_role("link", name="To all tasks")).to_be_visible()
    console.complaints.clear()  # the browser notes the status
