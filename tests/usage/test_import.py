"""``daicho usage import``: files of other systems, as they are found, once."""

import csv
import gzip
import io
import json
import random
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from daicho import Ledger
from daicho.core.errors import Invalid
from daicho.usage.importing_lines import RECORD_LINES, UsageFile
from daicho.usage.importing_values import Clock, number, rounded, whole
from tests.cli.terminal import COMMAND, Here, one_line, surroundings, written

pytestmark = pytest.mark.in_turns

HEADING = "TIMESTAMP,ContextTokens,GeneratedTokens"
LINES = (
    "2023-11-16 18:17:03.9799600,4808,10",
    "2023-11-16 18:17:04.0319600,3180,8",
    "2023-11-16 18:17:04.0781540,110,27",
)
GIVEN = ("--model", "gpt-4o", "--tenant", "Acme", "--operation", "code")
MAP = ("--map", "TIMESTAMP=created_at,ContextTokens=input_tokens,GeneratedTokens=output_tokens")
ALL = (*MAP, *GIVEN)


@pytest.fixture
def here(url: str, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command line on a ledger with a tenant, Acme."""
    with Ledger(url) as ledger:
        ledger.usage.create_tenant("Acme")
    return Here(url, capsys)


def stored(here: Here) -> list[dict[str, object]]:
    """Every record, earliest first."""
    return [json.loads(line) for line in here("usage", "list", "--all", "--json").splitlines()][::-1]


def test_a_trace_is_imported_once(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("\n".join([HEADING, *LINES]))  # the last line has no end
    added = here("usage", "import", str(file), *ALL)
    assert added == "imported 3 records, 0 already there, 0 bad lines\n"
    assert here.said == "3 times without a zone were read as UTC (--tz for another)\n"
    first = stored(here)[0]
    assert (first["created_at"], first["input_tokens"], first["output_tokens"], first["total_tokens"]) == (
        *("2023-11-16T18:17:03.979960Z", 4_808, 10, 4_818),
    )
    assert (first["model"], first["operation"], first["success"]) == ("gpt-4o", "code", "success")
    assert first["cost_usd"] == pytest.approx((4_808 * 2.5 + 10 * 10) / 1e6)
    again = here("usage", "import", str(file), *ALL)
    assert again == "imported 0 records, 3 already there, 0 bad lines\n"
    file.write_text("\n".join([HEADING, *LINES, "2023-11-16 18:17:05.0000000,1,1"]))
    longer = here("usage", "import", str(file), *ALL)
    assert longer == "imported 1 record, 3 already there, 0 bad lines\n"
    assert here("usage", "verify").splitlines()[1].split()[2] == "0"


def test_equal_lines_are_as_many_calls(here: Here, tmp_path: Path) -> None:
    file = written(tmp_path / "trace.csv", HEADING, LINES[0], LINES[0], LINES[1])
    assert here("usage", "import", file, *ALL).startswith("imported 3 records")
    file = written(tmp_path / "trace.csv", HEADING, LINES[1], LINES[0], LINES[0], LINES[0])
    assert here("usage", "import", file, *ALL).startswith("imported 1 record, 3 already there")
    # Something else is said of all its lines: other calls.
    other = ("--model", "gpt-4o-mini", *GIVEN[2:])
    assert here("usage", "import", file, *MAP, *other).startswith("imported 4 records, 0 already there")


def rewritten(lines: list[str], **how: object) -> bytes:
    to = io.StringIO()
    writer = csv.writer(to, **how)  # type: ignore[arg-type]
    writer.writerows(csv.reader(lines))
    return to.getvalue().encode()


WAYS: dict[str, Callable[[list[str]], bytes]] = {
    "crlf": lambda lines: "\r\n".join(lines).encode(),
    "bom": lambda lines: b"\xef\xbb\xbf" + "\n".join(lines).encode(),
    "semicolons": lambda lines: rewritten(lines, delimiter=";"),
    "tabs": lambda lines: rewritten(lines, delimiter="\t"),
    "quotes": lambda lines: rewritten(lines, quoting=csv.QUOTE_ALL),
    "spaces": lambda lines: "\n".join(line.replace(",", " , ") for line in lines).encode(),
    "blank lines": lambda lines: ("\n\n" + "\n,,\n\n".join(lines)).encode(),
    "columns the other way round": lambda lines: "\n".join(
        ",".join(line.split(",")[::-1]) for line in lines
    ).encode(),
    "lines the other way round": lambda lines: "\n".join([lines[0], *lines[:0:-1]]).encode(),
    "an empty column more": lambda lines: "\n".join(
        [f"{lines[0]},note", *[f"{line}," for line in lines[1:]]]
    ).encode(),
}


@pytest.mark.parametrize("way", sorted(WAYS))
def test_how_a_file_is_written_makes_no_difference(
    sqlite_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, way: str
) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.usage.create_tenant("Acme")
    here, file = Here(sqlite_url, capsys), tmp_path / "trace.csv"
    file.write_bytes("\n".join([HEADING, *LINES]).encode())
    here("usage", "import", str(file), *ALL)
    file.write_bytes(WAYS[way]([HEADING, *LINES]))
    assert here("usage", "import", str(file), *ALL) == "imported 0 records, 3 already there, 0 bad lines\n"


def test_bad_lines_are_told_by_number_and_reason(here: Here, tmp_path: Path) -> None:
    file = written(
        tmp_path / "trace.csv",
        f"{HEADING},cost_usd,success,tenant_id",
        f"{LINES[0]},,,",
        "yesterday,1,1,,,",
        "2023-11-16 18:17:05,1.5,1,,,",
        '2023-11-16 18:17:05,"1,200",1,,,',
        "2023-11-16 18:17:05,1",
        ",1,1,,,",
        "2023-11-16 18:17:05,99999999999,1,,,",
        "2023-11-16 18:17:05,1,1,-1,,",
        "2023-11-16 18:17:05,1,1,,perhaps,",
        "2023-11-16 18:17:05,1,1,,,Nobody",
        b"2023-11-16 18:17:05,1,1,,\x82\xa0,",
        "2023-11-16 18:17:06,12.0,1,0.5,TRUE,Acme",
    )
    rejects = tmp_path / "rejects.txt"
    out = here("usage", "import", file, *ALL, "--rejects", str(rejects), code=1)
    assert out == "imported 2 records, 0 already there, 10 bad lines\n"
    told = sorted(rejects.read_text().splitlines(), key=lambda line: int(line.split()[1][:-1]))
    for line, (at, reason) in zip(
        told,
        [
            (3, "created_at: 'yesterday' is not a time; write it as"),
            (4, "input_tokens: '1.5' is not a whole number"),
            (5, "input_tokens: '1,200' is not a whole number; write it without separators"),
            (6, "2 values, where the heading has 6 columns"),
            (7, "created_at is missing"),
            (8, "input_tokens is 99,999,999,999; at most 2,147,483,647 fits"),
            (9, "cost_usd: '-1' is not a number"),
            (10, "success must be success or failure, not 'perhaps'"),
            (11, "no such tenant: Nobody"),
            (12, "not UTF-8 text; save the file as UTF-8"),
        ],
        strict=True,
    ):
        assert line.startswith(f"line {at}: {reason}"), line
    assert sorted(line for line in here.said.splitlines() if line.startswith("line ")) == sorted(told)
    last = stored(here)[-1]
    assert (last["input_tokens"], last["cost_usd"], last["success"]) == (12, 0.5, "success")


def test_a_quote_that_is_never_closed_costs_its_own_line_only(here: Here, tmp_path: Path) -> None:
    lines = [f"2023-11-16 18:17:05,{number},1,note" for number in range(3 * RECORD_LINES)]
    lines[5] = '2023-11-16 18:17:05,5,1,"note'
    lines[9] = '2023-11-16 18:17:05,9,1,"two\nlines"'
    file = written(tmp_path / "trace.csv", f"{HEADING},note", *lines)
    out = here("usage", "import", file, *ALL, code=1)
    assert out == f"imported {len(lines) - 1} records, 0 already there, 1 bad line\n"
    assert "line 7: a quote is never closed\n" in here.said
    assert "columns not imported: note\n" in here.said


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (HEADING, ("--map", "Timestamp=created_at"), "no column 'Timestamp'; did you mean 'TIMESTAMP'?"),
        (HEADING, ("--map", "x=created_at"), "no column 'x'; it has: TIMESTAMP, ContextTokens, Gen"),
        (HEADING, ("--map", "TIMESTAMP=createdat"), "unknown name 'createdat'; did you mean 'created_at'?"),
        (HEADING, (*MAP, "--map", "x=created_at"), "created_at cannot be two columns: TIMESTAMP, x"),
        (
            HEADING,
            (),
            "no column is created_at, input_tokens; say which: --map COLUMN=created_at, --map COLUMN=input_tokens."
            " The file has: TIMESTAMP",
        ),
        (HEADING, ("--map", "TIMESTAMP=created_at"), "no column is input_tokens"),
        ("a,b,a", MAP, "line 1: column 'a' stands twice; rename one"),
        ("", MAP, "trace.csv: no lines"),
        (HEADING.encode("utf-16"), MAP, "the file is UTF-16; save it as UTF-8"),
        (HEADING.encode("utf-16-le"), MAP, "the file is UTF-16; save it as UTF-8"),
        ("時刻,入力".encode("cp932"), MAP, "line 1: not UTF-8 text"),
        ('[{"model": "m"}]', MAP, "trace.csv: a JSON array; write one record a line"),
        (
            gzip.compress(HEADING.encode(), mtime=0),
            MAP,
            "the file is compressed; unpack it: gunzip -c FILE |",
        ),
    ],
    ids=str,
)
def test_a_file_that_does_not_fit_adds_nothing_and_says_why(
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: str | bytes,
    options: tuple[str, ...],
    said: str,
) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.usage.create_tenant("Acme")
    here, file = Here(sqlite_url, capsys), tmp_path / "trace.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert here("usage", "import", str(file), *options, *GIVEN, code=1) == ""
    assert said in here.said.splitlines()[-1]
    assert stored(here) == []


@pytest.mark.parametrize("pair", ["TIMESTAMP", "=created_at", "TIMESTAMP="])
def test_a_mapping_that_cannot_be_read_is_misuse(here: Here, pair: str) -> None:
    here("usage", "import", "x.csv", "--map", pair, code=2)
    assert "write COLUMN=FIELD" in here.said.replace("\n", " ")


def test_what_every_record_needs_is_asked_for(here: Here, tmp_path: Path) -> None:
    file = written(tmp_path / "trace.csv", HEADING, *LINES)
    for option in ("--model", "--tenant", "--operation"):
        at = GIVEN.index(option)
        here("usage", "import", file, *MAP, *GIVEN[:at], *GIVEN[at + 2 :], code=1)
        assert one_line(here.said).endswith(f"or {option}. The file has: {HEADING.replace(',', ', ')}")
    here("usage", "import", file, *MAP, code=1)
    assert (
        "no column is tenant_id, model, operation; say which: --map COLUMN=tenant_id or --tenant, "
        in one_line(here.said)
    )
    here("usage", "import", file, *MAP, *GIVEN[:2], "--tenant", "nobody", *GIVEN[4:], code=1)
    assert one_line(here.said) == "no such tenant: nobody"


def test_a_call_of_which_nothing_was_counted_is_told_unless_it_failed(here: Here, tmp_path: Path) -> None:
    file = written(
        tmp_path / "usage.csv",
        "created_at,input_tokens,output_tokens,cost_usd,success",
        "2026-11-01T09:00+09:00,,,,",
        "2026-11-01T09:01+09:00,,,,failure",
        "2026-11-01T09:02+09:00,,,0.5,",
        "2026-11-01T09:03+09:00,0,,,true",
    )
    out = here("usage", "import", file, "--model", "gpt-4o", "--tenant", "Acme", "--operation", "o", code=1)
    assert out == "imported 3 records, 0 already there, 1 bad line\n"
    assert "line 2: neither tokens nor a cost stand here\n" in here.said


def test_an_import_that_a_full_disk_stops_says_how_far_it_came_and_goes_on(
    sqlite_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.usage.importing.CHUNK", 100)
    with Ledger(sqlite_url) as ledger:
        ledger.usage.create_tenant("Acme")
    here, begun = Here(sqlite_url, capsys), datetime(2026, 11, 1, tzinfo=UTC)
    lines = [f"{begun + timedelta(minutes=n)},{n}" for n in range(3_000)]
    file = written(tmp_path / "usage.csv", "created_at,input_tokens", *lines)
    whose = ("--model", "gpt-4o", "--tenant", "Acme", "--operation", "o")

    def small(connection: sqlite3.Connection, _: object) -> None:
        """The file may grow a little, and no more: the same error as a full disk."""
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 60}")

    event.listen(Engine, "connect", small)
    try:
        here("usage", "import", file, *whose, code=1)
    finally:
        event.remove(Engine, "connect", small)
    said = re.search(r"the disk is full; .*; ([\d,]+) records of the file are there", one_line(here.said))
    assert said, here.said
    there = int(said[1].replace(",", ""))
    assert 0 < there < 3_000
    assert len(stored(here)) == there
    out = here("usage", "import", file, *whose)
    assert out == f"imported {3_000 - there:,} records, {there:,} already there, 0 bad lines\n"
    here("usage", "verify")


def test_columns_that_are_spelled_like_fields_need_no_map(here: Here, tmp_path: Path) -> None:
    file = written(
        tmp_path / "usage.csv",
        "created_at,tenant_id,model,operation,input_tokens,output_tokens,cache_read_tokens,duration_ms,source,id",
        "2026-11-01T09:00+09:00,Acme,claude-sonnet-4-5,chat,10,5,4,812.6,call:call-1,req_011CSHoEeqs5C35K2UUqR7Fy",
        "2026-11-01T09:01+09:00,Acme,,chat,10,5,,,,req_011CSHoEeqs5C35K2UUqR7Fy",
        "2026-11-01T09:02+09:00,Acme,,chat,10,5,,,,",
    )
    out = here("usage", "import", file, "--model", "gpt-4o")
    assert out == "imported 2 records, 1 already there, 0 bad lines\n", (
        "the id's second line is the first one's call"
    )
    first, second = stored(here)
    assert (first["created_at"], first["duration_ms"], first["cache_read_tokens"], first["source"]) == (
        *("2026-11-01T00:00:00Z", 813, 4, "call:call-1"),
    )
    assert (first["model"], second["model"]) == ("claude-sonnet-4-5", "gpt-4o")


def test_json_lines_are_read_as_they_are_listed(here: Here, tmp_path: Path, sqlite_url: str) -> None:
    here("usage", "import", written(tmp_path / "trace.csv", HEADING, *LINES), *ALL)
    listed = here("usage", "list", "--json")
    file = tmp_path / "usage.jsonl"
    file.write_text(listed)
    assert here("usage", "import", str(file)) == "imported 0 records, 3 already there, 0 bad lines\n"
    assert "columns not imported: priced_by\n" in here.said
    file.write_text('{"usage":{"in":5},"at":1700000000123}\n{"torn\n[1]\n{"usage":{"in":NaN},"at":1}\n')
    out = here("usage", "import", str(file), "--map", "usage.in=input_tokens,at=created_at", *GIVEN, code=1)
    assert out == "imported 1 record, 0 already there, 3 bad lines\n"
    assert "line 2: not JSON" in here.said
    assert "line 3: a JSON object is needed, not list" in here.said
    assert "line 4: not JSON: NaN is no number" in here.said
    assert stored(here)[0]["created_at"] == "2023-11-14T22:13:20.123000Z"


@pytest.mark.parametrize(
    ("written_as", "instant"),
    [
        ("2023-11-16 18:17:03.9799600", "2023-11-16T09:17:03.979960"),
        ("2023-11-16T18:17:03Z", "2023-11-16T18:17:03"),
        ("2023-11-16T18:17:03.5-05:00", "2023-11-16T23:17:03.500000"),
        ("2023-11-16 18:17:03 UTC", "2023-11-16T18:17:03"),
        ("2023/11/6 8:17", "2023-11-05T23:17:00"),
        ("2023-11-16", "2023-11-15T15:00:00"),
        (1700000000, "2023-11-14T22:13:20"),
        ("1700000000.5", "2023-11-14T22:13:20.500000"),
        (1.7e9, "2023-11-14T22:13:20"),
        ("1700000000123", "2023-11-14T22:13:20.123000"),
        ("1700000000123456", "2023-11-14T22:13:20.123456"),
        ("1700000000123456789", "2023-11-14T22:13:20.123456"),
        ("20231116", "2023-11-15T15:00:00"),
    ],
    ids=str,
)
def test_times_are_read_as_they_are_found(written_as: str | float, instant: str) -> None:
    clock = Clock(ZoneInfo("Asia/Tokyo"))
    assert clock.read("created_at", written_as) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "noon", "2023-02-30", "12", "0001-01-01", "2023-13-01", "1e400", "nan"])
def test_what_is_no_time_is_not_guessed(text: str) -> None:
    with pytest.raises(Invalid, match="created_at"):
        Clock(ZoneInfo("Asia/Tokyo")).read("created_at", text)


@pytest.mark.parametrize("value", ["", "1_000", "-1", "0x10", "１２", True, 1.5, "1e3", [], "nan", "inf"])
def test_what_is_no_number_is_not_guessed(value: object) -> None:
    with pytest.raises(Invalid, match="tokens"):
        whole("tokens", value)
    if str(value) not in {"1.5", "1e3"}:
        with pytest.raises(Invalid, match="cost"):
            number("cost", value)
    assert (whole("x", "12.000"), number("x", "1e-3"), rounded("x", "2.6")) == (12, 0.001, 3)


@given(st.binary(max_size=400))
def test_any_bytes_are_lines_or_an_error(content: bytes) -> None:
    told: list[int] = []
    try:
        read = UsageFile(io.BytesIO(content), "x", ["a"], lambda number, _: told.append(number))
        numbers = [number for number, _ in read]
    except Invalid:
        return
    assert not set(numbers) & set(told), "a line is taken or told, never both"
    assert read.size == len(content)


def lines_of(count: int) -> list[str]:
    rng = random.Random(1)
    times = [f"2023-11-{rng.randint(10, 20)} {rng.randint(10, 23)}:00:00" for _ in range(count)]
    # Some of them are equal.
    return [f"{at},{rng.randint(1, 30)},{rng.randint(1, 9)}" for at in times]


def test_an_import_that_is_killed_is_finished_by_the_next(here: Here, url: str, tmp_path: Path) -> None:
    lines = lines_of(12_000)
    process = subprocess.Popen(
        [*COMMAND, "usage", "import", "-", *ALL], env=surroundings(url), stdin=subprocess.PIPE
    )
    assert process.stdin
    try:
        # It has a lot and some lines more, and waits for the rest of them.
        process.stdin.write("\n".join([HEADING, *lines[:3_000]]).encode())
        process.stdin.flush()
        deadline = time.monotonic() + 30
        with Ledger(url) as ledger:
            since, until = datetime(2023, 11, 1, tzinfo=UTC), datetime(2023, 12, 1, tzinfo=UTC)
            while not (there := ledger.usage.report(since=since, until=until, by=[]).total.api_calls):
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    assert there == 2_000, "what was added before the end of the file was read"
    file = written(tmp_path / "trace.csv", HEADING, *lines)
    assert (
        here("usage", "import", file, *ALL) == "imported 10,000 records, 2,000 already there, 0 bad lines\n"
    )
    with Ledger(url) as ledger:
        total = ledger.usage.report(since=since, until=until, by=[]).total
        assert not any(one.differ for one in ledger.usage.verify())
    assert total.api_calls == len(lines)
    assert total.total_input_tokens == sum(int(line.split(",")[1]) for line in lines)
