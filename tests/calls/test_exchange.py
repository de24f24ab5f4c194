"""Files of calls: what comes in, what goes out, and that the one is the other."""

import csv
import io
import json
import random
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daicho import Invalid, Ledger
from daicho.calls.exchange import import_file, read_call
from daicho.calls.export import CsvWriter, ordered, write_json
from daicho.calls.schemas import Imported
from daicho.core.errors import DaichoError
from daicho.core.lines import LINE_MAX
from tests.cli.terminal import COMMAND, Here, daicho, one_line, surroundings, written

pytestmark = pytest.mark.in_turns

MOMENT = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
FORMATS = Path(__file__).parents[2] / "docs" / "formats.md"
DIALOGUE = '{"conversation_id": "dlg-%d", "scenario": "s", "utterances": [{"speaker": "user", "text": "%s"}, {"speaker": "assistant", "text": "Yes"}]}'


def load(ledger: Ledger, content: str | bytes) -> tuple[Imported, dict[int, str]]:
    """Import a file's content; return what it did and the bad lines' reasons."""
    bad: dict[int, str] = {}

    def bad_line(number: int, error: DaichoError) -> None:
        bad[number] = str(error)

    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    done = import_file(ledger.calls, file, client_id="import", bad_line=bad_line, advance=lambda _: None)
    return done, bad


def dump(ledger: Ledger) -> str:
    to = io.StringIO()
    for call in ordered(ledger.calls, {}):
        write_json(ledger.calls, call, to)
    return to.getvalue()


def blocks(language: str) -> list[str]:
    """The document's blocks of a language, but for those of chat messages."""
    written = re.sub(
        r"### Chat messages.*?(?=\n### )", "", FORMATS.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    return re.findall(rf"```{language}\n(.*?)```", written, re.DOTALL)


def test_dialogues_are_imported_once(ledger: Ledger) -> None:
    content = "".join(DIALOGUE % (n, "A mocha") + "\n" for n in range(450))
    begun = datetime.now(UTC)
    assert load(ledger, content) == (Imported(450, 0, 900), {})
    assert load(ledger, content) == (Imported(0, 450, 0), {})
    call = ledger.calls.get("dlg-7")
    assert (call.client_id, call.current_state) == ("import", "completed")
    assert begun < call.started_at < datetime.now(UTC)
    said = ledger.calls.transcript("dlg-7").items
    assert [(line.role, line.text) for line in said] == [("user", "A mocha"), ("ai", "Yes")]
    assert {line.timestamp for line in said} == {call.started_at} == {call.ended_at}
    # In the file's order, the last one on top.
    assert [call.call_id for call in ledger.calls.list(limit=3)] == ["dlg-449", "dlg-448", "dlg-447"]


def test_a_byte_order_mark_crlf_and_blank_lines_are_no_hindrance(ledger: Ledger) -> None:
    content = "\ufeff" + DIALOGUE % (1, "a") + "\r\n\r\n   \n" + DIALOGUE % (2, "b")
    assert load(ledger, content) == (Imported(2, 0, 4), {})


BAD = {
    "not json": "Invalid JSON",
    '{"call_id": "x", "logs": [}': "Invalid JSON: expected value at column 27",
    "[]": "should be",
    '"text"': "should be",
    '{"conversation_id": "x"}': "utterances: Field required",
    '{"conversation_id": 5, "utterances": []}': "conversation_id: ",
    '{"conversation_id": "", "utterances": []}': "call_id is empty",
    DIALOGUE.replace("assistant", "robot") % (1, "a"): "role must be 'user' or 'ai', not 'robot'",
    DIALOGUE % (1, "\\u0000"): "text has a NUL byte at character 1",
    DIALOGUE % (1, "\\ud800"): "Invalid JSON",
    '{"client_id": "c"}': "call_id: Field required",
    '{"call_id": "%s"}' % ("x" * 65): "call_id is 65 characters long; at most 64 fit",
    '{"call_id": "x", "client": "c"}': "client: Extra inputs are not permitted",
    '{"call_id": "x", "started_at": "2026-11-21T08:00:00"}': "has no time zone",
    '{"call_id": "x", "started_at": "0001-01-01T00:00:00+09:00"}': "is outside the years 1 to 9999 in UTC",
    '{"call_id": "x", "started_at": 1763700000}': "started_at: ",
    '{"call_id": "x", "is_transferred": "yes"}': "is_transferred: ",
    '{"call_id": "x", "logs": [{"role": "user"}]}': "logs.0.text: Field required",
    '{"call_id": "x", "logs": [{"role": "user", "text": "a", "message_id": "m"}, {"role": "ai", "text": "b", "message_id": "m"}]}': "message_id 'm' stands twice",
}


@pytest.mark.parametrize("line", BAD, ids=list(BAD.values()))
def test_a_bad_line_says_why(line: str) -> None:
    with pytest.raises(Invalid, match=re.escape(BAD[line])):
        read_call(line.encode(), "import", MOMENT)


def test_bad_lines_are_told_by_number_and_the_others_imported(ledger: Ledger) -> None:
    content = "\n".join([DIALOGUE % (1, "a"), "nonsense", "", *BAD, DIALOGUE % (2, "b")])
    done, bad = load(ledger, content)
    assert done == Imported(2, 0, 4)
    assert list(bad) == [2, *range(4, 4 + len(BAD))]


def test_a_line_that_is_not_utf8_is_bad_and_a_utf16_file_is_refused(ledger: Ledger) -> None:
    done, bad = load(ledger, b'{"call_id": "\x82\xb1"}\n' + (DIALOGUE % (1, "a")).encode())
    assert (done.added, bad) == (1, {1: "not UTF-8 text"})
    with pytest.raises(Invalid, match="UTF-16"):
        load(ledger, (DIALOGUE % (1, "a")).encode("utf-16"))


def test_a_line_of_any_length_does_not_fill_the_memory(ledger: Ledger) -> None:
    assert load(ledger, b"x" * (LINE_MAX + 1) + b"\n" + (DIALOGUE % (1, "a")).encode())[1] == {
        1: "longer than 268,435,456 bytes"
    }


def test_the_second_of_one_name_is_already_there(ledger: Ledger) -> None:
    content = "\n".join(DIALOGUE % (1, text) for text in ("first", "second"))
    assert load(ledger, content)[0] == Imported(1, 1, 2)
    assert ledger.calls.transcript("dlg-1").items[0].text == "first"


def test_what_a_call_leaves_out_is_filled_in(ledger: Ledger) -> None:
    load(
        ledger,
        '{"call_id": "a", "caller_number": "-", "logs": [{"role": "AI", "text": "x", "state": "greeting", "timestamp": "2026-11-21T17:18:22+09:00"}]}\n'
        '{"call_id": "b", "ended_at": "2026-11-21T08:18:22Z"}\n{"call_id": "c"}',
    )
    a, b, c = (ledger.calls.get(name) for name in "abc")
    assert (a.started_at, a.current_state, a.ended_at, a.caller_number) == (MOMENT, "greeting", None, None)
    assert ledger.calls.transcript("a").items[0].role == "ai"
    assert (b.current_state, c.current_state) == ("completed", "init")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
TIME = st.integers(-(2**31), 2**32).map(lambda seconds: (MOMENT + timedelta(seconds=seconds)).isoformat())
NAME = TEXT.filter(bool)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "call_id": NAME,
            "client_id": TEXT,
            "started_at": st.sampled_from(["2026-11-21T08:18:22Z"]) | TIME,
            "ended_at": st.none() | TIME,
            "state": TEXT,
            "is_transferred": st.booleans(),
            "handover_summary": st.none() | TEXT,
            "logs": st.lists(
                st.fixed_dictionaries(
                    {"timestamp": TIME, "role": st.sampled_from(["user", "ai"]), "text": TEXT, "state": TEXT}
                ),
                max_size=5,
            ),
        }
    ),
    max_size=10,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS, st.randoms())
def test_exported_imported_and_exported_again_is_the_same(calls: list[object], rng: random.Random) -> None:
    with Ledger("sqlite://") as first, Ledger("sqlite://") as second:
        assert load(first, "\n".join(map(json.dumps, calls)))[1] == {}
        exported = dump(first)
        lines = exported.split("\n")
        rng.shuffle(lines)
        assert load(second, "\n".join(lines))[1] == {}
        assert dump(second) == exported


def test_the_documents_examples_are_imported_and_exported_as_printed(ledger: Ledger) -> None:
    done, bad = load(ledger, "".join(blocks("json")))
    assert (done.added, bad) == (3, {})
    to = io.StringIO(newline="")
    CsvWriter(to).write(ledger.calls, ledger.calls.get("call-123"))
    assert to.getvalue() == blocks("csv")[0].replace("\n", "\r\n")
    to = io.StringIO()
    write_json(ledger.calls, ledger.calls.get("call-123"), to)
    assert to.getvalue() == blocks("json")[0].splitlines(keepends=True)[0]


def test_csv_is_read_back_by_any_reader(ledger: Ledger) -> None:
    ledger.calls.start("=cmd()", "c", caller_number="+81-3-0000-0001")
    ledger.calls.append_log("=cmd()", "user", 'He said "hi", twice\nand left', state="-1")
    ledger.calls.start("empty", "c")
    for raw, mark in ((False, "'"), (True, "")):
        to = io.StringIO(newline="")
        writer = CsvWriter(to, raw=raw)
        for call in ordered(ledger.calls, {}):
            writer.write(ledger.calls, call)
        empty, said = csv.DictReader(io.StringIO(to.getvalue(), newline=""))
        assert said["text"] == 'He said "hi", twice\nand left'
        assert said["call_id"] == mark + "=cmd()"
        assert said["caller_number"] == mark + "+81-3-0000-0001"
        assert said["line_state"] == mark + "-1"
        assert (empty["call_id"], empty["text"], empty["is_transferred"]) == ("empty", "", "false")


# -- the commands ---------------------------------------------------------------------------------


def test_import_reports_and_counts(here: Here, tmp_path: Path) -> None:
    name = written(tmp_path / "a.jsonl", DIALOGUE % (1, "a"), "nonsense", DIALOGUE % (2, "b"))
    out = here("calls", "import", name, "--client", "cafe", code=1)
    assert out == "imported 2 calls (4 lines), 0 already there, 1 bad line\n"
    assert here.said.startswith("line 2: Invalid JSON")
    assert here.said.count("\n") == 1
    other = written(tmp_path / "b.jsonl", DIALOGUE % (3, "c"))
    out = here("calls", "import", other, name, code=1)
    assert out == "imported 1 call (2 lines), 2 already there, 1 bad line\n"
    assert here.said.startswith(f"{name}: line 2: ")
    assert here("calls", "import", other) == "imported 0 calls (0 lines), 1 already there, 0 bad lines\n"
    assert (
        json.loads(here("calls", "list", "--client", "cafe", "--limit", "1", "--json"))["call_id"] == "dlg-2"
    )


def test_import_shows_some_bad_lines_and_writes_all(here: Here, tmp_path: Path) -> None:
    name = written(tmp_path / "a.jsonl", *["nonsense"] * 30)
    here("calls", "import", name, "--errors", "bad.txt", code=1)
    assert here.said.splitlines()[-1] == "and 10 more"
    assert len(here.said.splitlines()) == 21
    assert len((tmp_path / "bad.txt").read_text().splitlines()) == 30


def test_a_missing_file_among_several_is_told_before_anything_is_imported(here: Here, tmp_path: Path) -> None:
    name = written(tmp_path / "a.jsonl", DIALOGUE % (1, "a"))
    here("calls", "import", name, "missing.jsonl", code=1)
    assert one_line(here.said) == "missing.jsonl: No such file or directory"
    assert here("calls", "list") == ""


def test_export_goes_through_a_pipe_into_import(url: str, sqlite_url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    daicho(
        "calls",
        "import",
        "-",
        url=url,
        stdin="".join(DIALOGUE % (n, "予約") + "\n" for n in range(5)).encode(),
    )
    exported = daicho("calls", "export", url=url).stdout
    assert len(exported.splitlines()) == 5
    assert daicho("calls", "import", "-", url=other, stdin=exported.encode()).returncode == 0
    assert daicho("calls", "export", url=other).stdout == exported
    assert daicho("calls", "show", "dlg-1", "--json", url=url).stdout in exported


def test_export_writes_files_that_appear_when_complete(here: Here, tmp_path: Path) -> None:
    here("calls", "start", "call-1", "予約")
    target = tmp_path / "calls.csv"
    assert here("calls", "export", "--output", str(target), "--bom") == "exported 1 call (0 lines)\n"
    assert target.read_bytes().startswith(b"\xef\xbb\xbfcall_id,client_id")
    target.write_text("before")
    here("calls", "export", "-o", str(target), "--format", "jsonl", "--client", "nobody")
    assert target.read_text() == ""
    assert here("calls", "export", "-o", "/dev/null") == "exported 1 call (0 lines)\n"
    assert sorted(path.name for path in tmp_path.iterdir() if ".db" not in path.name) == ["calls.csv"]


def test_an_export_that_fails_leaves_the_file_as_it_was(here: Here, tmp_path: Path) -> None:
    target = tmp_path / "calls.jsonl"
    target.write_text("before")
    here("db", "downgrade", "base")
    here("calls", "export", "-o", str(target), code=1)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.glob(".*.part")] == []


def test_an_export_that_is_stopped_leaves_nothing_behind(sqlite_url: str, tmp_path: Path) -> None:
    name = written(tmp_path / "a.jsonl", *[DIALOGUE % (n, "a") for n in range(5_000)])
    daicho("calls", "import", name, url=sqlite_url)
    process = subprocess.Popen([*COMMAND, "calls", "export", "-o", "b.jsonl"], env=surroundings(sqlite_url))
    while not list(tmp_path.glob(".b.jsonl.*.part")):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert [path.name for path in tmp_path.iterdir() if "b.jsonl" in path.name] == []


def test_an_import_that_was_killed_is_finished_by_running_it_again(url: str, tmp_path: Path) -> None:
    name = written(tmp_path / "a.jsonl", *[DIALOGUE % (n, "a" * 500) for n in range(20_000)])
    process = subprocess.Popen(
        [*COMMAND, "calls", "import", name], env=surroundings(url), stdout=subprocess.PIPE
    )
    with Ledger(url) as ledger:
        while not ledger.calls.list(limit=1).items:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = sum(1 for _ in ordered(ledger.calls, {}))
        assert 0 < kept < 20_000
        assert kept % 200 == 0
        done = daicho("calls", "import", name, url=url)
        assert done.stdout == (
            f"imported {20_000 - kept:,} calls ({(20_000 - kept) * 2:,} lines), {kept:,} already there, 0 bad lines\n"
        )
        assert sum(1 for _ in ordered(ledger.calls, {})) == 20_000
