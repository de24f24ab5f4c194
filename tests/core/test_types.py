"""Column types behave alike on both databases."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, select
from sqlalchemy.exc import StatementError

from daicho import Invalid, Ledger
from daicho.calls.models import Call
from daicho.core.model import check_text
from daicho.core.types import (
    SNOWFLAKE_MAX,
    Instant,
    JsonText,
    Snowflake,
    StringList,
    check_instant,
    json_value,
    one_of,
    utc,
)

TABLE = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("at", Instant),
    Column("flake", Snowflake),
    Column("names", StringList),
    Column("details", JsonText),
)
TOKYO = timezone(timedelta(hours=9))


def there_and_back(ledger: Ledger, **values: object) -> object:
    with ledger.database.engine.begin() as connection:
        TABLE.create(connection, checkfirst=True)
        connection.execute(TABLE.insert().values(**values))
        (name,) = values
        return connection.execute(select(TABLE.c[name]).order_by(TABLE.c.id.desc())).scalar()


def test_an_instant_comes_back_in_utc(ledger: Ledger) -> None:
    at = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=TOKYO)
    back = there_and_back(ledger, at=at)
    assert back == at
    assert isinstance(back, datetime)
    assert back.tzinfo is UTC
    assert there_and_back(ledger, at=None) is None


def test_an_instant_without_a_zone_is_invalid(ledger: Ledger) -> None:
    with pytest.raises((Invalid, StatementError), match="has no time zone"):
        there_and_back(ledger, at=datetime(2026, 11, 21))  # noqa: DTZ001


OUTSIDE = [
    datetime(1, 1, 1, tzinfo=TOKYO),
    datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-9))),
]


@pytest.mark.parametrize("at", OUTSIDE, ids=str)
def test_an_instant_outside_the_years_of_utc_is_invalid(ledger: Ledger, at: datetime) -> None:
    message = f"{at.isoformat()} is outside the years 1 to 9999".replace("+", r"\+")
    with pytest.raises(Invalid, match=message):
        utc(at)
    with pytest.raises((Invalid, StatementError), match=message):
        there_and_back(ledger, at=at)
    with pytest.raises(Invalid, match=message):
        ledger.calls.start("call-1", "c", started_at=at)
    assert len(ledger.calls.list()) == 0


@pytest.mark.parametrize("value", [5, None, b"text", ["text"], ValueError()], ids=repr)
def test_what_is_no_text_is_invalid(value: object) -> None:
    with pytest.raises(Invalid, match=f"^note must be text, not {type(value).__name__}$"):
        check_text("note", value)


def test_a_column_of_text_takes_none_but_no_number() -> None:
    assert Call.row(handover_summary=None) == {"handover_summary": None}
    with pytest.raises(Invalid, match="^handover_summary must be text, not int$"):
        Call.row(handover_summary=5)


def test_sqlite_keeps_the_text_that_older_programs_wrote(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        there_and_back(ledger, at=datetime(2026, 11, 21, 8, tzinfo=TOKYO))
        with ledger.database.engine.begin() as connection:
            stored = connection.exec_driver_sql("SELECT at FROM things").scalar()
            assert stored == "2026-11-20 23:00:00.000000"
            connection.exec_driver_sql("INSERT INTO things (at) VALUES ('2026-11-20 23:00:00')")
            newest = connection.execute(select(TABLE.c.at).order_by(TABLE.c.id.desc())).scalar()
        assert newest == datetime(2026, 11, 20, 23, tzinfo=UTC)


@pytest.mark.parametrize("flake", [0, 2**32, 1_234_567_890_123_456_789, SNOWFLAKE_MAX])
def test_a_snowflake_keeps_its_64_bits(ledger: Ledger, flake: int) -> None:
    assert there_and_back(ledger, flake=flake) == flake


@pytest.mark.parametrize("flake", [-1, SNOWFLAKE_MAX + 1])
def test_what_is_no_snowflake_is_invalid(ledger: Ledger, flake: int) -> None:
    with pytest.raises((Invalid, StatementError), match="no Discord id"):
        there_and_back(ledger, flake=flake)


@pytest.mark.parametrize("names", [[], ["華扇"], ["a,b", '"', "{}", "\\", "NULL", " "]])
def test_a_list_of_strings_comes_back(ledger: Ledger, names: list[str]) -> None:
    assert there_and_back(ledger, names=names) == names


NO_JSON = [
    "[" * 100_000,
    "[" * 101 + "}" * 100,
    "NaN",
    "1e999",
    '{"size": -1e999}',
    '{"size": Infinity}',
    "{",
    "hello",
]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: text[:12])
def test_a_text_that_is_no_json_counts_as_a_text(ledger: Ledger, text: str) -> None:
    assert json_value(text) == text
    assert there_and_back(ledger, details=text) == text


def test_a_number_comes_back_from_json(ledger: Ledger) -> None:
    assert json_value('{"size": 1.5e300}') == {"size": 1.5e300}
    back = there_and_back(ledger, details='{"size":1.5e3}')
    assert json_value(back) == {"size": 1500}


@pytest.mark.parametrize("spaces", ["", " \n"], ids=["close", "wide"])
def test_json_is_nested_a_hundred_levels_at_most(ledger: Ledger, spaces: str) -> None:
    def levels(number: int) -> str:
        return spaces + f"[{spaces}" * number + '"]]]]\\"{{{{"' + "]" * number

    assert json_value(json_value(there_and_back(ledger, details=levels(100)))) == json_value(levels(100))
    assert isinstance(json_value(levels(100)), list)
    assert json_value(levels(101)) == levels(101)
    for wrong in (levels(101), json.loads(levels(101)), {"a": json_value(levels(100))}):
        with pytest.raises((Invalid, StatementError), match="value is nested too deep; at most 100 levels"):
            there_and_back(ledger, details=wrong)


class Size(IntEnum):
    SMALL = 1
    GREAT = 2


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value", [True, False, 1.0, 2.0, Decimal(2), "2", 3, None, [], float("nan")], ids=repr
)
def test_only_a_value_of_its_own_kind_is_a_member(value: object) -> None:
    with pytest.raises(Invalid, match="size cannot be '.*'; one of: 1, 2"):
        one_of("size", value, Size)
    assert one_of("size", 2, Size) is one_of("size", Size.GREAT, Size) is Size.GREAT
    assert one_of("colour", "red", Colour) is one_of("colour", Colour.RED, Colour) is Colour.RED


@pytest.mark.parametrize("wrong", [0, "", "2026-11-21", False, date(2026, 11, 21)], ids=repr)
def test_what_is_no_instant_is_named(wrong: object) -> None:
    with pytest.raises(Invalid, match=f"^since must be a datetime, not {type(wrong).__name__}$"):
        check_instant("since", wrong)


def test_an_instant_that_cannot_be_is_named_in_both_languages() -> None:
    with pytest.raises(Invalid, match="^since: 2026-11-21T00:00:00 has no time zone") as raised:
        check_instant("since", datetime(2026, 11, 21))  # noqa: DTZ001
    assert raised.value.message.ja.startswith("since: 2026-11-21T00:00:00 に時間帯がありません")
    at = datetime(2026, 11, 21, 9, tzinfo=TOKYO)
    assert (check_instant("since", at), check_instant("since", at).tzinfo) == (at, UTC)
