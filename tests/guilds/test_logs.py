"""Logs: each test runs on both databases, most on both faces."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from daicho import AsyncLedger, Invalid, Ledger
from daicho.guilds.enums import LogType
from daicho.guilds.models import Log
from tests.faces import Faces

BEGUN = datetime(2026, 11, 21, 8, 18, 22, tzinfo=UTC)
GUILD, CHANNEL, USER = 123456789, 987654321, 555666777
DETAILS = '{"content": "Hello World", "attachments": []}'
ONE = {"guild_id": GUILD, "log_type": "message_delete", "action": "Message Deleted"}


def nested(levels: int) -> dict[str, object]:
    """A mapping within lists and mappings, so many levels in all."""
    held: object = {}
    for _ in range((levels - 1) // 2):
        held = {"a": [held]}
    return held if levels % 2 else {"b": held}


def actions(logs: Any) -> str:
    return " ".join(log.action for log in logs)


def test_a_log_is_created_as_in_the_seed(face: Faces) -> None:
    log = face.guilds.create_log(
        guild_id=GUILD,
        log_type=LogType.MESSAGE_DELETE,
        action="Message Deleted",
        user_id=USER,
        channel_id=CHANNEL,
        details=DETAILS,
    )
    kept = face.guilds.get_logs(guild_id=GUILD, log_type=LogType.MESSAGE_DELETE, limit=50)
    assert [one.values() for one in kept] == [log.values()]
    assert (log.guild_id, log.log_type, log.user_id, log.moderator_id) == (
        GUILD,
        "message_delete",
        USER,
        None,
    )
    assert log.details == DETAILS
    assert abs(log.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    settings = face.guilds.get_guild_settings(GUILD)
    assert settings is not None
    assert settings.features_enabled == "tickets,logger"


def test_a_guild_goes_with_the_log_that_brought_it(ledger: Ledger) -> None:
    with pytest.raises(KeyError), ledger.begin() as tx:
        tx.guilds.create_log(**ONE)
        tx.guilds.create_multiple_logs([{**ONE, "guild_id": 8}])
        raise KeyError
    assert len(ledger.guilds.list_guilds()) == 0
    insert = text(
        "INSERT INTO logs (guild_id, log_type, action, timestamp) VALUES (9, 'member_ban', 'x', '2026-11-21')"
    )
    with pytest.raises(KeyError), ledger.database.engine.begin() as connection:
        connection.execute(insert)
        raise KeyError
    assert ledger.guilds.get_guild(9) is None
    with ledger.database.engine.begin() as connection:
        connection.execute(insert)
    assert ledger.guilds.get_guild(9) is not None


# -- details ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        (DETAILS, DETAILS),
        ({"content": "こんにちは"}, '{"content": "こんにちは"}'),
        ([1, "a"], '[1, "a"]'),
        ('  {"a":1}  ', '{"a": 1}'),
        ("removed by hand", "removed by hand"),
        ('{"a": ', '{"a": '),
        ("", ""),
        ("NaN", "NaN"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("12", "12"),
        ("true", "true"),
        ('"quoted"', "quoted"),
        ("null", "null"),
        ("1234567890123456789", "1234567890123456789"),
        ("1e2", "1e2"),
        (r'{"path": "C:\\u0000"}', r'{"path": "C:\\u0000"}'),
        ('{"a": 1, "a": [1e2]}', '{"a": [100.0]}'),
        (MappingProxyType({"a": MappingProxyType({"b": (1, None)})}), '{"a": {"b": [1, null]}}'),
        ({1: True, None: 2.5}, '{"1": true, "null": 2.5}'),
        ("[" * 100 + "]" * 100, "[" * 100 + "]" * 100),
        ("[" * 5000, "[" * 5000),
        ("[" + "(" * 5000, "[" + "(" * 5000),
        ('["' + "[" * 5000 + '"]', '["' + "[" * 5000 + '"]'),
        ("see: " + "[" * 5000 + "]" * 5000, "see: " + "[" * 5000 + "]" * 5000),
    ],
    ids=lambda value: str(value)[:40],
)
def test_details_are_read_as_the_text_that_was_given(ledger: Ledger, given: object, read: str | None) -> None:
    log = ledger.guilds.create_log(**ONE, details=given)
    assert log.details == read
    assert ledger.guilds.get_logs(GUILD)[0].details == read


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"a": "x\x00"}, "details has a NUL byte"),
        ({"x\x00": 1}, "details has a NUL byte"),
        (r'{"a": "\u0000"}', "details has a NUL byte"),
        ("x\x00", "details has a NUL byte"),
        ({"a": [float("nan")]}, "details cannot be written as JSON"),
        ({"a": float("inf")}, "details cannot be written as JSON"),
        ({"at": BEGUN}, "details cannot be written as JSON"),
        (r'["\ud800"]', "details has half a character"),
        ({(1, 2): 1}, "details cannot be written as JSON: keys must be"),
        ({float("nan"): 1}, "details cannot be written as JSON"),
        ({1: "a", "1": "b"}, "details has names that are the same as text"),
        ({"a": [{True: "a", "true": "b"}]}, "details has names that are the same as text"),
        ("[" * 101 + "]" * 101, "details is nested too deep; at most 100 levels"),
        ('{"a":' * 960 + "1" + "}" * 960, "details is nested too deep; at most 100 levels"),
        (nested(101), "details is nested too deep; at most 100 levels"),
        (nested(200_000), "details is nested too deep; at most 100 levels"),
    ],
    ids=[
        "nul-in-value",
        "nul-in-name",
        "nul-escaped",
        "nul-in-text",
        "nan",
        "infinity",
        "a-time",
        "surrogate",
        "name-no-text",
        "name-nan",
        "same-names",
        "same-names-within",
        "deep-text",
        "deeper-text",
        "deep",
        "very-deep",
    ],
)
def test_details_that_no_database_could_keep_are_invalid(ledger: Ledger, wrong: object, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.create_log(**ONE, details=wrong)
    assert ledger.guilds.get_logs(GUILD) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc語", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(held=st.dictionaries(st.text("abc語", max_size=3), JSON, max_size=4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mapping_as_details_is_the_same_when_read_back(ledger: Ledger, held: dict[str, object]) -> None:
    log = ledger.guilds.create_log(**ONE, details=held)
    assert json.loads(log.details or "") == held
    assert json.loads(ledger.guilds.get_logs(GUILD, limit=1)[0].details or "") == held


def test_details_as_deep_as_they_may_be_are_read_however_deep_the_reader_is(ledger: Ledger) -> None:
    ledger.guilds.create_log(**ONE, details=nested(100))
    loop: list[object] = []
    loop.append(loop)
    wide: object = []
    for _ in range(100):
        wide = [wide, wide]
    for wrong in (loop, wide):
        with pytest.raises(Invalid, match="nested too deep"):
            ledger.guilds.create_log(**ONE, details=wrong)

    def read(depth: int) -> str | None:
        return read(depth - 1) if depth else ledger.guilds.get_logs(GUILD)[0].details

    assert json.loads(read(600) or "") == nested(100)


def test_details_read_on_postgresql_may_look_another_way_and_say_the_same(ledger: Ledger) -> None:
    given = '{"bb": 1e20, "a": 1e-7, "bb": 2e20}'
    assert ledger.guilds.create_log(**ONE, details=given).details == '{"bb": 2e+20, "a": 1e-07}'
    read = ledger.guilds.get_logs(GUILD)[0].details
    assert json.loads(read or "") == {"bb": 2e20, "a": 1e-7}
    assert (read == '{"bb": 2e+20, "a": 1e-07}') is ledger.database.in_threads


def test_details_that_a_program_writes_itself_are_no_deeper(ledger: Ledger) -> None:
    def write(details: object) -> None:
        with ledger.guilds.transaction() as session:
            session.add(Log(**ONE, details=details))

    write(MappingProxyType({1: (2,)}))
    assert ledger.guilds.get_logs(GUILD)[0].details == '{"1": [2]}'
    for wrong in (nested(101), json.dumps(nested(101)), {1: 1, "1": 1}):
        with pytest.raises((Invalid, StatementError), match="nested too deep|same as text"):
            write(wrong)
    assert len(ledger.guilds.get_logs(GUILD)) == 1


def test_details_are_queried_by_the_databases_own_json(ledger: Ledger) -> None:
    ledger.guilds.create_log(**ONE, details=DETAILS)
    ledger.guilds.create_log(**ONE, details={"content": "さようなら"})
    ledger.guilds.create_log(**ONE, details="no JSON")
    ledger.guilds.create_log(**ONE)
    with ledger.database.engine.connect() as connection:
        contents = (
            connection.execute(text("SELECT details ->> 'content' FROM logs ORDER BY id")).scalars().all()
        )
        wanted = "SELECT count(*) FROM logs WHERE details ->> 'content' = 'Hello World'"
        assert connection.execute(text(wanted)).scalar_one() == 1
    assert contents == ["Hello World", "さようなら", None, None]


# -- what cannot be, what is sent twice ------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"log_type": "message_deleted"}, "log_type cannot be 'message_deleted'; one of: message_delete"),
        ({"log_type": None}, "log_type cannot be empty"),
        ({"guild_id": -5}, "guild_id is no Discord id: '-5'"),
        ({"moderator_id": 2**63}, "moderator_id is no Discord id"),
        ({"action": None}, "action cannot be empty"),
        ({"timestamp": datetime(2026, 11, 21)}, "timestamp: .* has no time zone"),  # noqa: DTZ001
        ({"timestamp": 0}, "timestamp must be a datetime, not int"),
        ({"timestamp": ""}, "timestamp must be a datetime, not str"),
        ({"request_id": ""}, "request_id is empty"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_log_is_invalid_and_nothing_is_written(
    ledger: Ledger, wrong: dict[str, object], reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.create_log(**{**ONE, **wrong})
    with pytest.raises(Invalid, match=f"log 2: .*{reason}"):
        ledger.guilds.create_multiple_logs([ONE, {**ONE, **wrong}, ONE])
    assert len(ledger.guilds.list_logs()) == 0
    assert len(ledger.guilds.list_guilds()) == 0


def test_a_log_sent_twice_is_one_log(face: Faces) -> None:
    first = face.guilds.create_log(**ONE, details={"b": [1], "a": None}, request_id="r")
    again = face.guilds.create_log(**{**ONE, "action": "other"}, request_id="r")
    assert (again.id, again.action) == (first.id, first.action)
    assert json.loads(again.details or "") == json.loads(first.details or "") == {"b": [1], "a": None}
    many = face.guilds.create_multiple_logs([{**ONE, "request_id": name} for name in "rsrs"])
    assert [one.id == first.id for one in many] == [True, False, True, False]
    assert many[1].id == many[3].id
    assert len(face.guilds.list_logs()) == 2


def test_logs_sent_twice_at_once_are_there_once(url: str) -> None:
    async def all_at_once() -> None:
        async with AsyncLedger(url) as ledger, AsyncLedger(url) as other:
            asked = [
                (ledger, other)[n % 2].guilds.create_log(
                    n // 4 % 3, "member_join", str(n), request_id=f"r-{n // 4}"
                )
                for n in range(200)
            ]
            answers = await asyncio.gather(*asked)
            assert len(await ledger.guilds.list_logs(limit=1000)) == 50
            assert all(len({one.id for one in answers[at : at + 4]}) == 1 for at in range(0, 200, 4))

    asyncio.run(all_at_once())


def test_many_logs_are_created_together_and_come_back_in_order(face: Faces) -> None:
    many = [
        {**ONE, "guild_id": n % 3, "action": str(n), "user_id": n, "details": {"n": n}} for n in range(2500)
    ]
    logs = face.guilds.create_multiple_logs(one for one in many)
    assert [(log.action, log.guild_id, log.details) for log in logs] == [
        (str(n), n % 3, json.dumps({"n": n})) for n in range(2500)
    ]
    assert len({log.id for log in logs}) == 2500
    assert actions(face.guilds.get_logs(2, limit=3)) == "2498 2495 2492"
    assert face.guilds.create_multiple_logs([]) == []
    with pytest.raises(Invalid, match="log 1: .*unexpected keyword argument 'acton'"):
        face.guilds.create_multiple_logs([{**ONE, "acton": "x"}])
    with pytest.raises(Invalid, match="log 2: .*must be a mapping"):
        face.guilds.create_multiple_logs([ONE, 7])
    with pytest.raises(Invalid, match="^log 1: must be a mapping, not str$"):
        face.guilds.create_multiple_logs(["x"])
    with pytest.raises(Invalid, match="^log 2: keywords must be strings$"):
        face.guilds.create_multiple_logs([ONE, {**ONE, 1: 2}])
    for wrong in (None, 7):
        with pytest.raises(Invalid, match="^log_data_list must be a list of mappings, not ") as raised:
            face.guilds.create_multiple_logs(wrong)
        assert raised.value.message.ja.startswith("log_data_list は")


# -- lists -----------------------------------------------------------------------------------------


def test_logs_are_newest_first(face: Faces) -> None:
    for n in (1, 3, 0, 2):
        face.guilds.create_log(
            GUILD, "member_join" if n % 2 else "member_leave", str(n), timestamp=BEGUN + timedelta(hours=n)
        )
    face.guilds.create_log(1, "member_join", "elsewhere")
    assert actions(face.guilds.get_logs(GUILD)) == "3 2 1 0"
    assert actions(face.guilds.get_logs(GUILD, limit=2)) == "3 2"
    assert actions(face.guilds.get_logs(GUILD, "member_join")) == "3 1"
    assert actions(face.guilds.get_logs(GUILD, LogType.MEMBER_LEAVE, 1)) == "2"
    assert face.guilds.get_logs(99) == []
    for wrong in ((GUILD, "x"), (GUILD, None, 0), (-1,)):
        with pytest.raises(Invalid):
            face.guilds.get_logs(*wrong)


def test_recent_logs_are_those_of_the_last_hours(face: Faces) -> None:
    for hours in (0.2, 5, 23, 25, 100):
        face.guilds.create_log(
            GUILD, "system_event", str(hours), timestamp=datetime.now(UTC) - timedelta(hours=hours)
        )
    assert actions(face.guilds.get_recent_logs(GUILD)) == "0.2 5 23"
    assert actions(face.guilds.get_recent_logs(GUILD, 0.5)) == "0.2"
    assert actions(face.guilds.get_recent_logs(GUILD, hours=200, limit=4)) == "0.2 5 23 25"
    for wrong in (-1, float("nan"), float("inf"), 10**9, "x"):
        with pytest.raises(Invalid, match="hours cannot be"):
            face.guilds.get_recent_logs(GUILD, wrong)


def test_every_page_of_logs_holds_its_own_and_the_total(face: Faces) -> None:
    at = [BEGUN + timedelta(minutes=n // 4) for n in range(23)]  # several at the same instant
    face.guilds.create_multiple_logs([{**ONE, "action": str(n), "timestamp": at[n]} for n in range(23)])
    face.guilds.create_log(1, "member_join", "elsewhere")
    everything = [str(n) for n in reversed(range(23))]
    for size in (1, 4, 5, 23, 50):
        for page in range(1, 23 // size + 3):
            logs, total = face.guilds.get_logs_paginated(GUILD, page, size)
            assert total == 23
            assert [log.action for log in logs] == everything[(page - 1) * size : page * size]
    assert len(face.guilds.get_logs_paginated(GUILD)[0]) == 23
    assert face.guilds.get_logs_paginated(GUILD, 10**30, 1000) == ([], 23)
    assert face.guilds.get_logs_paginated(99) == ([], 0)
    for wrong in ({"page": 0}, {"page": -1}, {"per_page": 0}, {"per_page": 1001}, {"page": 1.5}):
        with pytest.raises(Invalid, match=next(iter(wrong))):
            face.guilds.get_logs_paginated(GUILD, **wrong)


def test_logs_are_listed_by_what_is_asked(face: Faces) -> None:
    for n in range(6):
        face.guilds.create_log(
            n % 2,
            ("member_ban", "member_kick", "role_add")[n % 3],
            str(n),
            user_id=n // 2,
            moderator_id=7 if n > 3 else None,
            channel_id=8 if n < 2 else None,
            timestamp=BEGUN + timedelta(hours=n),
        )
    listed = face.guilds.list_logs
    assert actions(listed()) == "5 4 3 2 1 0"
    assert actions(listed(1)) == "5 3 1"
    assert actions(listed(log_type="member_kick")) == "4 1"
    assert actions(listed(0, log_type=[LogType.MEMBER_BAN, "role_add"])) == "2 0"
    assert actions(listed(user_id=2)) == actions(listed(moderator_id=7)) == "5 4"
    assert actions(listed(0, channel_id=8)) == "0"
    assert actions(listed(since=BEGUN + timedelta(hours=1), until=BEGUN + timedelta(hours=3))) == "2 1"
    for wrong in ({"log_type": ["x"]}, {"user_id": -1}, {"limit": 0}, {"cursor": "W10"}):
        with pytest.raises(Invalid):
            listed(**wrong)


def test_pages_of_logs_neither_repeat_nor_leave_out_while_others_write(face: Faces) -> None:
    face.guilds.create_multiple_logs(
        [{**ONE, "action": str(n), "timestamp": BEGUN + timedelta(hours=n // 3)} for n in range(20)]
    )
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = face.guilds.list_logs(GUILD, limit=3, cursor=cursor)
        seen += [log.action for log in page]
        face.guilds.create_log(**ONE)
        if (cursor := page.next) is None:
            break
    assert seen == [str(n) for n in range(19, -1, -1)]


# -- cleaning up -----------------------------------------------------------------------------------


def test_old_logs_are_deleted_at_once_or_in_steps(face: Faces) -> None:
    for days in (1, 29, 31, 40, 50, 60):
        for guild in (1, 2):
            face.guilds.create_log(
                guild, "system_event", str(days), timestamp=datetime.now(UTC) - timedelta(days=days)
            )
    assert face.guilds.cleanup_old_logs(guild_id=1, limit=1) == 1
    assert actions(face.guilds.get_logs(1)) == "1 29 31 40 50"
    assert face.guilds.cleanup_old_logs(45, limit=100) == 3
    assert actions(face.guilds.get_logs(2)) == "1 29 31 40"
    assert face.guilds.cleanup_old_logs() == 4
    assert face.guilds.cleanup_old_logs() == 0
    assert actions(face.guilds.list_logs()) == "1 1 29 29"
    assert face.guilds.cleanup_old_logs(0, guild_id=2) == 2
    for wrong in ({"days": -1}, {"days": 10**9}, {"limit": 0}, {"guild_id": -1}):
        with pytest.raises(Invalid, match=next(iter(wrong))):
            face.guilds.cleanup_old_logs(**wrong)
    assert actions(face.guilds.list_logs()) == "1 29"
