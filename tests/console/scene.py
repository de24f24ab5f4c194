"""The calls and tasks on the documents' pictures: always the same ones, on the same day."""

import random
from datetime import UTC, datetime, timedelta

from daicho import Ledger
from daicho.tasks import demo
from daicho.tasks.files import TaskFiles

NOW = datetime(2026, 10, 5, 5, 18, 22, tzinfo=UTC)
ENGLISH, JAPANESE = "tel-0405", "tel-0403"
"""Calls that have ended: their pictures do not depend on the time of day."""
Talk = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

CLINIC: Talk = (
    (
        "greeting",
        (
            ("ai", "お電話ありがとうございます。さくら歯科の予約窓口です。"),
            ("user", "すみません、予約の変更をお願いしたいのですが。"),
        ),
    ),
    (
        "identify",
        (
            ("ai", "かしこまりました。お名前と診察券の番号を教えてください。"),
            ("user", "田中美咲です。番号は 4172 です。"),
        ),
    ),
    (
        "booking",
        (
            ("ai", "田中様ですね。24日10時のご予約を、いつに変更いたしましょうか。"),
            ("user", "26日の午後、3時ごろは空いていますか。"),
            ("ai", "26日は15時30分をご案内できます。いかがでしょうか。"),
            ("user", "はい、それでお願いします。"),
        ),
    ),
    ("confirm", (("ai", "26日15時30分で承りました。確認のメッセージをお送りします。"),)),
)
INTERNET: Talk = (
    (
        "greeting",
        (
            ("ai", "Harbor Internet, good afternoon. What can I do for you?"),
            ("user", "Hi. My connection has been dropping every evening since Monday."),
        ),
    ),
    (
        "diagnose",
        (
            ("ai", "Sorry to hear that. I am running a line check, it takes twenty seconds."),
            ("user", "Sure, take your time."),
            ("ai", "The line is fine, but your router has restarted eleven times since Monday."),
            ("user", "That explains it. Can you fix it from there?"),
        ),
    ),
    (
        "update",
        (
            ("ai", "I can install the current firmware now. You would be offline for two minutes."),
            ("user", "After six, please. I am in a meeting."),
            ("ai", "Of course. It is scheduled for 18:30."),
        ),
    ),
    (
        "handover",
        (
            ("user", "Could somebody look at the cabling too?"),
            ("ai", "Certainly. A colleague will book a visit with you. One moment, please."),
        ),
    ),
)
HANDOVER = (
    "Router restarted eleven times since Monday; the line is fine. Firmware update at 18:30.\n"
    "Wants a visit to check the cabling."
)
LIVE = (
    ("tel-0412", "さくら歯科", "03-5550-0117", CLINIC, 3),
    ("tel-0411", "harbor-internet", "+44 20 7946 0958", INTERNET, 2),
    ("tel-0410", "北タクシー", "011-555-0142", (("greeting", (("user", "駅前まで一台お願いします。"),)),), 1),
    ("tel-0409", "harbor-internet", "+44 161 496 0233", INTERNET, 4),
)
CLIENTS = ("さくら歯科", "harbor-internet", "華扇旅館", "harbor-business", "北タクシー")


def fill(ledger: Ledger) -> None:
    """Write four live calls and thirty that have ended."""
    for number in range(30):
        begun = NOW - timedelta(minutes=17 * number + 21, seconds=7 * number)
        client = CLIENTS[number % 5]
        talk = CLINIC if client.isascii() is False else INTERNET
        depth = 4 if number % 5 in {0, 3} else 3
        call_id = f"tel-0{408 - number}"
        ledger.calls.start(call_id, client, caller_number=f"03-5550-{1100 + 37 * number}", started_at=begun)
        end = _speak(ledger, call_id, talk[:depth], begun)
        if talk is INTERNET and depth == 4:
            ledger.calls.mark_transfer(call_id, HANDOVER)
        state = ("completed", "completed", "voicemail")[number % 3]
        ledger.calls.complete(call_id, state=state, ended_at=end)
    for place, (call_id, client, caller, talk, depth) in enumerate(LIVE):
        begun = NOW - timedelta(seconds=74 + 38 * place)
        ledger.calls.start(call_id, client, caller_number=caller, started_at=begun)
        _speak(ledger, call_id, talk[:depth], begun)
    ledger.calls.mark_transfer("tel-0409", HANDOVER)


def tasks(ledger: Ledger) -> dict[str, str]:
    """Write the demo's tasks as of the scene's day; return one that has ended, in English and in Japanese."""
    demo.fill(ledger, random.Random(5), NOW)  # the same ones each time
    files = TaskFiles(ledger.database.settings.context_storage.base_dir)
    ended = [
        task
        for task in ledger.tasks.list(status="completed", limit=1000)
        if len(files.messages(task.uuid).items) > 8
    ]
    japanese = {not (task.user or "").isascii(): task.uuid for task in ended}
    return {"en": japanese[False], "ja": japanese[True]}


def _speak(ledger: Ledger, call_id: str, talk: Talk, begun: datetime) -> datetime:
    at = begun
    for state, lines in talk:
        for role, text in lines:
            at += timedelta(seconds=3 + len(text) % 13)
            ledger.calls.append_log(call_id, role, text, state=state, timestamp=at)
    return at + timedelta(seconds=6)
