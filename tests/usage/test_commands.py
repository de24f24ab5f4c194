"""``daicho usage``: records, reports, prices and old records, as people meet them in the terminal."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import typer
from sqlalchemy import text

from daicho import Ledger
from daicho.usage.options import machine_zone, moment, stretch
from tests.cli.terminal import Here, daicho, one_line

pytestmark = pytest.mark.in_turns

TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
"""Nine in the morning in Tokyo."""


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def filled(url: str) -> Iterator[Ledger]:
    """Two tenants around the turn of a year, with a model that has no price."""
    with Ledger(url) as ledger:
        acme = ledger.usage.create_tenant("Acme").id
        hanabi = ledger.usage.create_tenant("花火").id
        records = [
            (acme, "gpt-4o", 1_000, 100, 0.5, timedelta(hours=-10)),
            (acme, "gpt-4o", 2_000, 200, 0.25, timedelta(hours=-9)),
            (hanabi, "gpt-4o", 3_000, 300, 1.5, timedelta(minutes=-1)),
            (hanabi, "house-7b", 4_000, 400, None, timedelta(hours=1)),
            (hanabi, "gpt-4o", 5_000, 500, 0.000004, timedelta(days=32)),
        ]
        ledger.usage.record_many(
            {
                "tenant_id": tenant,
                "operation": "chat",
                "model": model,
                "input_tokens": read,
                "output_tokens": written,
                "cost_usd": cost,
                "source": "call:call-1" if tenant == acme else None,
                "created_at": NEW_YEAR + ago,
            }
            for tenant, model, read, written, cost, ago in records
        )
        yield ledger


JANUARY = ("usage", "report", "--month", "2026-01", "--tz", "Asia/Tokyo")


def table(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_the_seeds_monthly_query_is_a_command(here: Here, filled: Ledger) -> None:
    rows = list(csv.DictReader(here(*JANUARY, "--by", "tenant", "--csv").splitlines()))
    seed = ["api_calls", "total_input_tokens", "total_output_tokens", "total_tokens", "total_cost_usd"]
    assert list(rows[0])[:7] == ["tenant_id", "tenant", *seed]
    assert [[row["tenant"], *(row[name] for name in seed)] for row in rows] == [
        ["花火", "2", "7000", "700", "7700", "1.5"],
        ["Acme", "1", "2000", "200", "2200", "0.25"],
    ]
    assert rows[1]["tenant_id"] == filled.usage.find_tenant("Acme").id
    assert here.said.startswith("2026-01-01 00:00 to 2026-02-01 00:00, Asia/Tokyo\n")


def test_json_says_the_same_as_csv(here: Here, filled: Ledger) -> None:
    by = ("--by", "day,model", "--csv")
    rows = list(csv.DictReader(here(*JANUARY, *by).splitlines()))
    lines = [json.loads(line) for line in here(*JANUARY, *by[:2], "--json").splitlines()]
    assert [{name: str(value or "") for name, value in line.items()} for line in lines] == [
        {name: "" if value == "0" else value for name, value in row.items()} for row in rows
    ]
    assert [(line["day"], line["model"], line["total_cost_usd"]) for line in lines] == [
        ("2026-01-01", "gpt-4o", 1.75),
        ("2026-01-01", "house-7b", None),
    ]


def test_a_table_names_tenants_ends_with_the_total_and_tells_what_has_no_price(
    here: Here, filled: Ledger
) -> None:
    out = here(*JANUARY, "--by", "tenant,model")
    assert table(out) == [
        ["TENANT", "MODEL", "CALLS", "INPUT", "OUTPUT", "TOKENS", "COST", "(USD)"],
        ["花火", "gpt-4o", "1", "3,000", "300", "3,300", "1.5000"],
        ["Acme", "gpt-4o", "1", "2,000", "200", "2,200", "0.2500"],
        ["花火", "house-7b", "1", "4,000", "400", "4,400", "—"],
        ["total", "3", "9,000", "900", "9,900", "1.7500"],
    ]
    assert "1 call has no price, of: house-7b; set one: daicho usage prices set" in here.said
    assert "<0.0001" in here("usage", "report", "--month", "2026-02")


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ("--month 2026-01", 1),
        ("--since 2025-12-01 --until 2026-03-01", 5),
        ("--since 2026-01-01 --until 2026-01-01T12:00 --tz Asia/Tokyo", 3),
        ("--since 2025-12-01 --tenant Acme", 2),
        ("--since 2025-12-01 --tenant 花火 --model house-7b", 1),
        ("--since 2025-12-01 --source call", 2),
        ("--since 2025-12-01 --operation other", 0),
        ("--since 2025-12-01 --user 00000000-0000-4000-8000-000000000001", 0),
    ],
)
def test_a_report_is_of_what_was_asked(here: Here, filled: Ledger, options: str, calls: int) -> None:
    lines = here("usage", "report", "--by", "month", *options.split(), "--json").splitlines()
    assert sum(json.loads(line)["api_calls"] for line in lines) == calls


def test_lines_past_the_limit_are_told(here: Here, filled: Ledger) -> None:
    assert here(*JANUARY, "--limit", "1", "--json").count("\n") == 1
    assert "only the first 1; --limit for more" in here.said


def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(here: Here, filled: Ledger) -> None:
    tenant = filled.usage.find_tenant("Acme").id
    filled.usage.record(tenant_id=tenant, operation="x", model='=HYPERLINK("http://x")', created_at=NEW_YEAR)
    asked = (*JANUARY, "--by", "model", "--csv")
    models = {row["model"] for row in csv.DictReader(here(*asked).splitlines())}
    assert '\'=HYPERLINK("http://x")' in models
    models = {row["model"] for row in csv.DictReader(here(*asked, "--raw").splitlines())}
    assert '=HYPERLINK("http://x")' in models


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("--by colour", 1, "a report cannot tell 'colour' apart; known: tenant"),
        ("--by day,month", 1, "one length of time"),
        ("--tz Mars/Olympus", 1, "unknown time zone 'Mars/Olympus'"),
        ("--month 2026-13", 1, "'2026-13' is no month; write it as 2026-11"),
        ("--tenant nobody", 1, "no such tenant: nobody"),
        ("--month 2026-01 --since 7d", 2, "not both"),
        ("--until 2026-01-01", 2, "--until needs --since"),
        ("--csv --json", 2, "not both"),
        ("--since noon", 2, "'noon' is not a time"),
        (
            "--since 2026-01-01T00:07 --until 2026-02-01 --tz Asia/Tokyo",
            1,
            "must lie on a quarter of an hour, not 2026-01-01T00:07:00+09:00",
        ),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    here: Here, filled: Ledger, options: str, code: int, said: str
) -> None:
    here("usage", "report", *options.split(), code=code)
    assert said in " ".join(here.said.replace("│", " ").split())


def test_times_are_read_by_the_clocks_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moment("2026-11-01", TOKYO) == datetime(2026, 10, 31, 15, tzinfo=UTC)
    assert moment("2026-11-01T00:00Z", TOKYO) == datetime(2026, 11, 1, tzinfo=UTC)
    ago = moment("7d", TOKYO)
    assert (ago.minute % 15, ago.second, ago.microsecond) == (0, 0, 0)
    assert timedelta(days=7) <= datetime.now(UTC) - ago < timedelta(days=7, minutes=15)
    begins, ends = stretch(None, "1d", None, TOKYO)
    assert begins < datetime.now(UTC) < ends
    assert ends - datetime.now(UTC) <= timedelta(minutes=15)
    with pytest.raises(typer.BadParameter):
        stretch(None, None, "1d", TOKYO)
    for name, known in (("Asia/Tokyo", "Asia/Tokyo"), (":Asia/Kolkata", "Asia/Kolkata"), ("JST-9", "UTC")):
        monkeypatch.setenv("TZ", name)
        assert machine_zone().key == known


def test_it_is_said_in_japanese_too(here: Here, filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAICHO_LANG", "ja")
    out = daicho("usage", "report", "--month", "2026-01", url=here.url, DAICHO_LANG="ja")
    assert out.stdout.split()[:3] == ["テナント", "呼び出し", "入力"]
    assert "価格不明の呼び出しが 1 件あります: house-7b" in out.stderr


# -- records -----------------------------------------------------------------------------------------


def test_a_record_is_made_listed_and_shown(here: Here, filled: Ledger) -> None:
    options = "--operation code --model gpt-4o --input-tokens 1000000 --output-tokens 0 --source task:7"
    key = "0B9C0A52-94D3-4C0B-8E83-6A3D7C0F0001"
    made = ("usage", "record", "--tenant", "Acme", *options.split(), "--id", key, "--at", "2026-11-01")
    shown = dict(line.split(maxsplit=1) for line in here(*made).splitlines())
    assert (shown["id"], shown["cost_usd"], shown["source"]) == (key.lower(), "2.5000", "task:7")
    assert shown["tenant_id"].endswith(" (Acme)")
    assert here(*made) == here("usage", "show", key), "twice changes nothing"
    stored = json.loads(here("usage", "show", key, "--tenant", "Acme", "--json"))
    assert stored["created_at"] == "2026-11-01T00:00:00Z"
    assert stored["priced_by"].startswith("genai-prices")
    here("usage", "show", key, "--tenant", "花火", code=1)
    assert one_line(here.said) == f"no such usage record: {key}"
    heading, newest, *_ = table(here("usage", "list"))
    assert heading[:3] == ["TIME", "TENANT", "MODEL"]
    assert newest[2:] == [
        *["Acme", "gpt-4o", "code", "1,000,000", "0", "2.5000", "success", "task:7"],
        key.lower(),
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", 5),
        ("--tenant Acme", 2),
        ("--model house-7b", 1),
        ("--operation other", 0),
        ("--source call:call-1", 2),
        ("--unpriced", 1),
        ("--priced", 4),
        ("--since 2026-01-01", 2),
        ("--until 2026-01-01", 3),
        ("--limit 2", 2),
        ("--limit 2 --all", 5),
    ],
)
def test_a_list_is_of_what_was_asked(here: Here, filled: Ledger, options: str, found: int) -> None:
    assert here("usage", "list", *options.split(), "--json").count("\n") == found


def test_a_list_goes_on_where_it_ended(here: Here, filled: Ledger) -> None:
    first = here("usage", "list", "--limit", "3", "--json").splitlines()
    cursor = here.said.split("--cursor ")[1].strip()
    rest = here("usage", "list", "--cursor", cursor, "--json").splitlines()
    assert first + rest == here("usage", "list", "--json").splitlines()


def test_the_cost_of_one_thing_is_told(here: Here, filled: Ledger) -> None:
    facts = here("usage", "cost", "call:call-1")
    assert "calls          2\n" in facts
    assert "cost (USD)     0.75\n" in facts
    told = json.loads(here("usage", "cost", "call:call-1", "--json"))
    assert (told["api_calls"], told["total_tokens"], told["total_cost_usd"]) == (2, 3_300, 0.75)
    assert "—" in here("usage", "cost", "call:other")
    assert "no call is recorded for call:other" in here.said


# -- sums, old records, prices -----------------------------------------------------------------------


def test_sums_that_differ_from_the_records_are_found(here: Here, filled: Ledger) -> None:
    assert [line[2] for line in table(here("usage", "verify"))[1:]] == ["0", "0", "0"]
    with filled.database.begin() as session:
        session.execute(text("UPDATE usage_totals SET input_tokens = input_tokens + 1 WHERE grain = 'day'"))
    answers = [json.loads(line) for line in here("usage", "verify", "--json", code=1).splitlines()]
    assert {one["table"]: one["differ"] > 0 for one in answers} == {
        "usage_totals": True,
        "usage_details": False,
        "usage_sources": False,
    }
    assert "sums and records differ" in here.said


def test_old_records_are_dropped_and_their_sums_stay(here: Here, filled: Ledger) -> None:
    whole = ("usage", "report", "--since", "2025-01-01", "--by", "month,model", "--json")
    before = here(*whole)
    asked = daicho("usage", "prune", "--before", "2026-01-01", url=here.url, stdin=b"n\n", TZ="UTC")
    assert asked.returncode == 1
    assert "Drop 3 records from before 2026-01-01 (UTC)?" in asked.stderr
    assert here("usage", "list", "--json").count("\n") == 5
    out = here("usage", "prune", "--before", "2026-01-01", "--yes")
    assert out == "dropped 3 records; their sums stay\n"
    assert here("usage", "list", "--json").count("\n") == 2
    assert here(*whole) == before
    here("usage", "verify")
    assert "records are kept from 2026-01-01 (UTC) on" in here.said
    late = "--tenant Acme --operation x --model m --at 2025-12-31"
    here("usage", "record", *late.split(), code=1)
    assert "is before 2026-01-01 00:00" in one_line(here.said)
    assert here("usage", "prune", "--before", "2026-01-01", "--yes").startswith("dropped 0 records")


def test_a_run_that_was_stopped_asks_about_the_records_it_has_left(
    here: Here, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daicho.usage.reports.PRUNED_AT_ONCE", 1)
    assert filled.usage.prune(datetime(2026, 1, 1, tzinfo=UTC)) == 1
    asked = daicho("usage", "prune", "--before", "2026-01-01", url=here.url, stdin=b"n\n", TZ="UTC")
    assert "Drop 2 records from before 2026-01-01 (UTC)?" in asked.stderr
    assert here("usage", "prune", "--before", "2026-01-01", "--yes") == "dropped 2 records; their sums stay\n"


@pytest.mark.parametrize(("day", "code"), [("yesterday", 2), ("2026-1-1T00:00", 2), ("2999-01-01", 1)])
def test_what_is_no_past_day_drops_nothing(here: Here, filled: Ledger, day: str, code: int) -> None:
    here("usage", "prune", "--before", day, "--yes", code=code)
    assert here("usage", "list", "--json").count("\n") == 5


def test_a_price_is_set_used_and_removed(here: Here, filled: Ledger) -> None:
    price = here(
        *[
            "usage",
            "prices",
            "set",
            "--model",
            "house-7b",
            "--input",
            "1",
            "--output",
            "2",
            "--from",
            "2026-01-01",
        ]
    ).strip()
    stretch_ = ("usage", "reprice", "--from", "2026-01-01", "--to", "2026-03-01")
    asked = daicho(*stretch_, url=here.url, stdin=b"n\n", TZ="UTC")
    assert asked.returncode == 1
    assert table(asked.stdout)[2] == [
        "house-7b",
        *["1", "1", "0", "1", "→", "0", "—", "→", "0.0048", "+0.0048"],
    ]
    assert "Write the new cost of 1 call?" in asked.stderr
    assert here(*stretch_, "--yes").endswith("\nrepriced 1 call\n")
    assert here(*stretch_, "--yes").count("\n") == 3
    assert here.said == "nothing would change\n"
    stored = json.loads(here("usage", "list", "--model", "house-7b", "--json"))
    assert (stored["cost_usd"], stored["priced_by"]) == (pytest.approx(0.0048), f"price {price}")
    listed = table(here("usage", "prices", "list"))[1]
    assert listed == [price, "all", "house-7b", "1", "2", "-", "-", "-", "2026-01-01", "00:00:00"]
    assert json.loads(here("usage", "prices", "list", "--json"))["input_price"] == 1.0
    here("usage", "prices", "remove", price)
    assert here("usage", "prices", "list") == ""
    here("usage", "prices", "remove", price, code=1)
    assert one_line(here.said) == f"no such price: {price}"


def test_a_discount_is_a_tenants(here: Here, filled: Ledger) -> None:
    here("usage", "prices", "set", "--tenant", "Acme", "--discount", "0.1", "--from", "2025-01-01")
    listed = table(here("usage", "prices", "list", "--tenant", "Acme"))[1]
    assert listed[1:8] == ["Acme", "all", "-", "-", "-", "-", "0.1"]
    assert here("usage", "prices", "list", "--tenant", "花火") == ""
    # What whoever recorded it said stays, unless asked.
    here("usage", "reprice", "--from", "2025-01-01", "--to", "2026-03-01", "--tenant", "Acme")
    assert here.said == "nothing would change\n"
    out = here("usage", "reprice", "--from", "2025-01-01", "--to", "2026-03-01", "--given", "--yes")
    assert out.endswith("\nrepriced 4 calls\n")
    here("usage", "prices", "set", code=1)
    assert "nothing is set" in one_line(here.said)
