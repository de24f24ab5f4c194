"""The operations on calls: each test runs on both databases and both faces."""

import contextlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from daicho import Conflict, Invalid, Ledger, NotFound
from daicho.calls.models import Call, CallLog
from tests.faces import Faces

BEGUN = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)


def test_starting_a_call_records_it(face: Faces) -> None:
    call = face.calls.start("call-123", "client-001", caller_number="03-0000-0001", started_at=BEGUN)
    assert call.values() == face.calls.get("call-123").values()
    assert (call.call_id, call.client_id, call.started_at) == ("call-123", "client-001", BEGUN)
    assert (call.current_state, call.is_transferred, call.ended_at) == ("init", False, None)


def test_starting_a_known_call_moves_its_state_and_keeps_its_start(face: Faces) -> None:
    face.calls.start("call-123", "client-001", started_at=BEGUN)
    again = face.calls.start("call-123", "client-002", state="greeting")
    assert (again.started_at, again.client_id, again.current_state) == (BEGUN, "client-001", "greeting")
    assert len(face.calls.list()) == 1


def test_a_call_without_a_client_takes_the_first_one_it_hears_of(face: Faces) -> None:
    face.calls.start("call-123", "")
    assert face.calls.start("call-123", "client-001").client_id == "client-001"


@pytest.mark.parametrize("nothing", [None, "", "  ", "-", "ー", "--"])
def test_the_first_real_caller_number_stays(face: Faces, nothing: str | None) -> None:
    assert face.calls.start("call-123", "client-001", caller_number=nothing).caller_number is None
    face.calls.append_log("call-123", "user", "もしもし", caller_number="03-0000-0001")
    face.calls.append_log("call-123", "user", "もしもし", caller_number="03-0000-0002")
    assert face.calls.start("call-123", "client-001", caller_number="9").caller_number == "03-0000-0001"


def test_a_line_moves_the_calls_state(face: Faces) -> None:
    face.calls.start("call-123", "client-001")
    line = face.calls.append_log("call-123", "user", "こんにちは", state="greeting", timestamp=BEGUN)
    assert (line.text, line.role, line.state, line.timestamp) == ("こんにちは", "user", "greeting", BEGUN)
    assert face.calls.get("call-123").current_state == "greeting"


def test_a_line_without_a_state_keeps_the_calls(face: Faces) -> None:
    face.calls.start("call-123", "client-001", state="booking")
    assert face.calls.append_log("call-123", "ai", "はい").state == "booking"
    assert face.calls.get("call-123").current_state == "booking"


def test_a_line_for_an_unknown_call_is_not_found(face: Faces) -> None:
    with pytest.raises(NotFound, match="no such call: call-123"):
        face.calls.append_log("call-123", "user", "もしもし", state="greeting")
    with pytest.raises(NotFound):
        face.calls.append_log("call-123", "user", "もしもし")


def test_a_line_for_an_unknown_call_with_a_client_creates_it(face: Faces) -> None:
    face.calls.append_log("call-123", "user", "もしもし", client_id="client-001", caller_number="1")
    call = face.calls.get("call-123")
    assert (call.client_id, call.current_state, call.caller_number) == ("client-001", "init", "1")


@pytest.mark.parametrize("role", ["user", "USER", "Ai", "AI", " ai "])
def test_a_role_is_read_in_any_letter_case(face: Faces, role: str) -> None:
    face.calls.start("call-123", "client-001")
    assert face.calls.append_log("call-123", role, "x").role == role.strip().lower()


@pytest.mark.parametrize("role", ["bot", "", "assistant", "ｕｓｅｒ"])
def test_another_role_is_invalid(face: Faces, role: str) -> None:
    face.calls.start("call-123", "client-001")
    with pytest.raises(Invalid, match="role must be 'user' or 'ai'"):
        face.calls.append_log("call-123", role, "x")


def test_lines_come_back_in_the_order_in_which_they_were_acknowledged(face: Faces) -> None:
    face.calls.start("call-123", "client-001")
    for number in range(20):
        face.calls.append_log("call-123", "user", str(number), timestamp=BEGUN - timedelta(days=number % 3))
    assert [line.text for line in face.calls.transcript("call-123")] == [str(n) for n in range(20)]


def test_a_message_sent_twice_is_one_line(face: Faces) -> None:
    face.calls.start("call-123", "client-001")
    first = face.calls.append_log("call-123", "user", "予約", state="booking", message_id="m-1")
    face.calls.append_log("call-123", "ai", "はい", state="confirm")
    again = face.calls.append_log("call-123", "user", "other", state="booking", message_id="m-1")
    assert again.values() == first.values()
    assert face.calls.get("call-123").current_state == "confirm"
    assert len(face.calls.transcript("call-123")) == 2


def test_the_same_message_id_in_another_call_is_another_line(face: Faces) -> None:
    for call_id in ("call-1", "call-2"):
        face.calls.append_log(call_id, "user", "x", client_id="c", message_id="m-1")
    assert len(face.calls.transcript("call-2")) == 1


def test_many_lines_are_appended_at_once(face: Faces) -> None:
    face.calls.start("call-1", "client-001")
    lines = [{"call_id": "call-1", "role": "user", "text": str(n), "state": f"s{n}"} for n in range(2500)]
    assert face.calls.append_logs(lines) == 2500
    page = face.calls.transcript("call-1", limit=1000)
    assert [line.text for line in page] == [str(n) for n in range(1000)]
    assert face.calls.get("call-1").current_state == "s2499"


def test_of_many_lines_with_a_bad_one_none_is_kept_and_the_bad_one_named(face: Faces) -> None:
    face.calls.start("call-1", "client-001", state="init")
    good = {"call_id": "call-1", "role": "user", "text": "x", "state": "greeting"}
    with pytest.raises(NotFound, match="line 2: no such call: nowhere"):
        face.calls.append_logs([good, {**good, "call_id": "nowhere"}])
    with pytest.raises(Invalid, match="line 3: role"):
        face.calls.append_logs([good, good, {**good, "role": "cat"}])
    with pytest.raises(Invalid, match="line 1: .*unexpected keyword argument 'txt'"):
        face.calls.append_logs([{**good, "txt": "x"}])
    assert len(face.calls.transcript("call-1")) == 0
    assert face.calls.get("call-1").current_state == "init"


def test_many_lines_may_repeat_messages_and_bring_their_calls(face: Faces) -> None:
    line = {"call_id": "c", "role": "user", "text": "x", "client_id": "me", "message_id": "1"}
    assert face.calls.append_logs([line, {**line, "text": "y"}, {**line, "message_id": "2"}]) == 3
    assert [log.text for log in face.calls.transcript("c")] == ["x", "x"]


def test_a_transfer_is_marked(face: Faces) -> None:
    face.calls.start("call-123", "client-001")
    call = face.calls.mark_transfer("call-123", "金曜の予約を変更したい")
    assert (call.is_transferred, call.handover_summary) == (True, "金曜の予約を変更したい")
    with pytest.raises(NotFound):
        face.calls.mark_transfer("call-9", "x")


def test_a_call_ends_once(face: Faces) -> None:
    face.calls.start("call-123", "client-001", started_at=BEGUN)
    ended = face.calls.complete("call-123", ended_at=BEGUN + timedelta(minutes=3))
    assert (ended.ended_at, ended.current_state) == (BEGUN + timedelta(minutes=3), "completed")
    again = face.calls.complete("call-123", state="other")
    assert again.values() == ended.values()
    with pytest.raises(NotFound):
        face.calls.complete("call-9")


def test_an_unknown_call_is_not_found(face: Faces) -> None:
    for ask in (face.calls.get, face.calls.transcript, face.calls.delete):
        with pytest.raises(NotFound, match="no such call: nowhere"):
            ask("nowhere")


def test_calls_are_listed_by_what_is_asked(face: Faces) -> None:
    for number in range(6):
        face.calls.start(
            f"call-{number}",
            f"client-{number % 2}",
            state="booking" if number < 2 else "init",
            started_at=BEGUN + timedelta(hours=number),
        )
    face.calls.mark_transfer("call-1", "x")
    face.calls.complete("call-2")

    def ids(**filters: object) -> list[str]:
        return [call.call_id.removeprefix("call-") for call in face.calls.list(**filters)]

    assert ids() == ["5", "4", "3", "2", "1", "0"]
    assert ids(client_id="client-1") == ["5", "3", "1"]
    assert ids(state="booking") == ["1", "0"]
    assert ids(transferred=True) == ["1"]
    assert ids(transferred=False, live=True) == ["5", "4", "3", "0"]
    assert ids(live=False) == ["2"]
    assert ids(since=BEGUN + timedelta(hours=2), until=BEGUN + timedelta(hours=4)) == ["3", "2"]
    assert ids(client_id="nobody") == []


def test_pages_join_without_gap_or_repetition(face: Faces) -> None:
    for number in range(10):
        face.calls.start(f"call-{number}", "c", started_at=BEGUN)  # all at the same instant
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = face.calls.list(limit=3, cursor=cursor)
        seen += [call.call_id for call in page]
        if (cursor := page.next) is None:
            break
    assert seen == [f"call-{number}" for number in reversed(range(10))]


def test_a_transcript_is_read_in_pages_from_either_end_and_from_a_line_on(face: Faces) -> None:
    face.calls.start("c", "client")
    ids = [face.calls.append_log("c", "user", str(n)).id for n in range(5)]
    page = face.calls.transcript("c", limit=2)
    assert [line.text for line in page] == ["0", "1"]
    assert [line.text for line in face.calls.transcript("c", limit=2, cursor=page.next)] == ["2", "3"]
    assert [line.text for line in face.calls.transcript("c", newest_first=True, limit=2)] == ["4", "3"]
    assert [line.text for line in face.calls.transcript("c", after=ids[2])] == ["3", "4"]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_bounds_is_invalid(face: Faces, limit: int) -> None:
    with pytest.raises(Invalid, match="limit is"):
        face.calls.list(limit=limit)


@pytest.mark.parametrize("cursor", ["x", "", "W10", "WzFd", "あ", "WyIyMDI2LTExLTIxIiwxXQ"])
def test_a_cursor_of_no_list_is_invalid(face: Faces, cursor: str) -> None:
    with pytest.raises(Invalid, match=r"not a cursor|has no time zone"):
        face.calls.list(cursor=cursor)


@pytest.mark.parametrize(
    "wanted",
    ["予約をお願い", "予約", "約", "TABLE for", "able", "100%", "a_b", 'say "hi"', "it's", "🍣", "AND"],
)
def test_a_search_finds_substrings_in_japanese_and_english(face: Faces, wanted: str) -> None:
    face.calls.start("call-1", "client-001")
    texts = [
        "金曜の夜に予約をお願いします 🍣🍣🍣",
        "A table for two AND a chair",
        "is it 100% sure, a_b?",
        'they say "hi", it\'s late',
        "何もありません axb 100",
    ]
    for text in texts:
        face.calls.append_log("call-1", "user", text)
    hits = face.calls.search(wanted).items
    assert [hit.log.text for hit in hits] == [t for t in reversed(texts) if wanted.lower() in t.lower()]
    assert all(hit.call.call_id == "call-1" for hit in hits)
    assert hits


def test_a_search_is_newest_first_in_pages_and_by_client(face: Faces) -> None:
    for number in range(6):
        call = f"call-{number % 2}"
        face.calls.append_log(call, "user", f"予約の件 {number}", client_id=call)
    page = face.calls.search("予約の", limit=4)
    assert [hit.log.text[-1] for hit in page] == ["5", "4", "3", "2"]
    rest = face.calls.search("予約の", limit=4, cursor=page.next)
    assert [hit.log.text[-1] for hit in rest] == ["1", "0"]
    assert rest.next is None
    assert [hit.log.text[-1] for hit in face.calls.search("予約の", client_id="call-1")] == ["5", "3", "1"]


@pytest.mark.parametrize("nothing", ["", " ", "　"])
def test_a_search_for_nothing_is_invalid(face: Faces, nothing: str) -> None:
    with pytest.raises(Invalid, match="nothing to search for"):
        face.calls.search(nothing)


def test_a_search_too_short_for_the_index_looks_through_windows(
    face: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.calls.store.SHORT_SEARCH_WINDOW", 10)
    face.calls.start("c", "client")
    face.calls.append_logs(
        [{"call_id": "c", "role": "ai", "text": "猫" if n in {1, 2, 33} else "x"} for n in range(40)]
    )
    found: list[int] = []
    cursor: str | None = None
    pages = 0
    while pages < 20:
        page = face.calls.search("猫", limit=1, cursor=cursor)
        found += [hit.log.id for hit in page]
        pages += 1
        if (cursor := page.next) is None:
            break
    first = face.calls.transcript("c").items[0].id
    assert [number - first for number in found] == [33, 2, 1]
    assert 3 <= pages <= 8


def test_the_search_index_follows_deletions_and_changes_by_anyone(ledger: Ledger) -> None:
    ledger.calls.append_log("call-1", "user", "予約をお願いします", client_id="c")
    ledger.calls.append_log("call-2", "user", "予約をお願いします", client_id="c")
    with ledger.database.engine.begin() as connection:  # a writer that knows nothing of Daicho
        connection.exec_driver_sql("UPDATE call_logs SET text = '解約したい' WHERE call_id = 'call-2'")
        connection.exec_driver_sql(
            "INSERT INTO call_logs (call_id, timestamp, role, text, state) "
            "VALUES ('call-2', '2026-11-21 00:00:00', 'ai', '予約を承りました', 'x')"
        )
    ledger.calls.delete("call-1")
    assert [hit.log.text for hit in ledger.calls.search("予約を")] == ["予約を承りました"]
    assert [hit.log.text for hit in ledger.calls.search("解約し")] == ["解約したい"]


def test_deleting_a_call_deletes_its_lines(ledger: Ledger) -> None:
    ledger.calls.append_log("call-1", "user", "x", client_id="c")
    ledger.calls.delete("call-1")
    with ledger.database.engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM call_logs").scalar() == 0


def test_several_operations_are_one_transaction(face: Faces) -> None:
    face.calls.start("call-1", "c")
    if hasattr(face.ledger, "__aenter__"):

        async def several() -> None:
            async with face.ledger.begin() as tx:
                await tx.calls.append_log("call-1", "user", "x")
                await tx.calls.complete("call-1")
                raise KeyError

        with pytest.raises(KeyError):
            face._finish(several())
    else:
        with pytest.raises(KeyError), face.ledger.begin() as tx:
            tx.calls.append_log("call-1", "user", "x")
            tx.calls.complete("call-1")
            raise KeyError
    assert face.calls.get("call-1").ended_at is None
    assert len(face.calls.transcript("call-1")) == 0


def test_an_import_adds_whole_calls_once(face: Faces) -> None:
    call = Call.row(
        call_id="old-1",
        client_id="import",
        started_at=BEGUN,
        ended_at=BEGUN,
        current_state="imported",
        is_transferred=False,
        handover_summary=None,
        caller_number=None,
    )
    line = CallLog.row(call_id="old-1", timestamp=BEGUN, role="ai", text="x", state="s", message_id=None)
    done = face.calls.import_calls([(call, [line, {**line, "text": "y"}]), (call, [line])])
    assert (done.added, done.existing, done.lines) == (1, 1, 2)
    again = face.calls.import_calls([(call, [line])])
    assert (again.added, again.existing, again.lines) == (0, 1, 0)
    assert [log.text for log in face.calls.transcript("old-1")] == ["x", "y"]


TOO_LONG = {"call_id": "x" * 65, "client_id": "x" * 129, "state": "x" * 65, "caller_number": "1" * 33}


@pytest.mark.parametrize("name", TOO_LONG)
def test_a_text_too_long_for_its_column_is_invalid(face: Faces, name: str) -> None:
    arguments = {"call_id": "call-1", "client_id": "c", name: TOO_LONG[name]}
    with pytest.raises(Invalid, match=r"characters long; at most"):
        face.calls.start(**arguments)
    assert len(face.calls.list()) == 0


@pytest.mark.parametrize(
    ("text", "reason"), [("a\x00b", "NUL byte at character 2"), ("a\ud800", "lone surrogate")]
)
def test_a_text_that_cannot_be_stored_is_invalid(face: Faces, text: str, reason: str) -> None:
    face.calls.start("call-1", "c")
    with pytest.raises(Invalid, match=reason):
        face.calls.append_log("call-1", "user", text)
    with pytest.raises(Invalid, match=reason):
        face.calls.search(text)
    assert len(face.calls.transcript("call-1")) == 0


@pytest.mark.parametrize("name", ["a\ud800", "a\x00b", "x" * 100_000, "'; DROP TABLE calls; --"])
def test_a_name_that_nothing_can_have_is_not_found_or_invalid(face: Faces, name: str) -> None:
    for ask in (face.calls.get, face.calls.transcript, face.calls.delete, face.calls.complete):
        with pytest.raises((NotFound, Invalid)):
            ask(name)
    with pytest.raises((NotFound, Invalid)):
        face.calls.mark_transfer(name, "x")
    with contextlib.suppress(Invalid):
        assert len(face.calls.list(client_id=name, state=name)) == 0


def test_a_text_of_ten_megabytes_is_stored_whole(face: Faces) -> None:
    face.calls.start("call-1", "c")
    text = "予約をお願いします。" * 350_000
    assert len(text.encode()) > 10_000_000
    face.calls.append_log("call-1", "user", text)
    assert face.calls.transcript("call-1").items[0].text == text


def test_a_naive_time_is_invalid(face: Faces) -> None:
    with pytest.raises(Invalid, match="has no time zone"):
        face.calls.start("call-1", "c", started_at=datetime(2026, 11, 21))  # noqa: DTZ001
    with pytest.raises(Invalid, match="has no time zone"):
        face.calls.list(since=datetime(2026, 11, 21))  # noqa: DTZ001


def test_an_unknown_column_is_named_with_its_neighbour() -> None:
    with pytest.raises(Invalid, match="unknown name 'calerid'"):
        Call.row(calerid="x")
    with pytest.raises(Invalid, match="did you mean 'client_id'"):
        Call.row(clientid="x")


def test_a_broken_constraint_is_a_conflict(ledger: Ledger) -> None:
    ledger.calls.start("call-1", "c")

    def insert_again(session):  # type: ignore[no-untyped-def]
        session.execute(
            Call.__table__.insert(),
            [
                Call.row(
                    call_id="call-1", client_id="c", started_at=BEGUN, current_state="x", is_transferred=False
                )
            ],
        )

    with pytest.raises(Conflict):
        ledger.database.run(insert_again)


START = """
import sys
from daicho import Ledger
with Ledger(sys.argv[1]) as ledger:
    ledger.calls.list()
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(30):
        ledger.calls.start(f"call-{number}", "c", state=sys.argv[2])
        ledger.calls.append_log(f"call-{number}", "ai", sys.argv[2], message_id=f"m-{number}")
"""


def test_processes_that_start_the_same_calls_at_once_end_with_one_row_each(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.calls.list()
        pipe = subprocess.PIPE
        children = [
            subprocess.Popen(
                [sys.executable, "-c", START, url, name], stdin=pipe, stdout=pipe, stderr=pipe, text=True
            )
            for name in ("one", "two", "three")
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        assert [child.communicate()[1] for child in children] == [""] * 3
        assert len(ledger.calls.list(limit=1000)) == 30
        assert [len(ledger.calls.transcript(f"call-{n}")) for n in range(30)] == [1] * 30
