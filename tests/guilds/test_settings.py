"""Guilds and their settings: each test runs on both databases, most on both faces."""

import threading

import pytest

from daicho import Invalid, Ledger
from daicho.guilds.models import MusicSession, Queue, Track
from tests.faces import Faces

GUILD = 123456789


def test_settings_are_created_and_updated_as_in_the_seed(face: Faces) -> None:
    assert face.guilds.get_guild_settings(GUILD) is None
    made = face.guilds.create_or_update_guild_settings(
        guild_id=GUILD,
        log_channel_id=111222333,
        ticket_category_id=444555666,
        features_enabled="tickets,logger,music",
    )
    assert (made.guild_id, made.log_channel_id, made.ticket_category_id) == (GUILD, 111222333, 444555666)
    assert (made.prefix, made.features_enabled, made.auto_role_id) == ("!", "tickets,logger,music", None)
    assert made.created_at == made.updated_at
    changed = face.guilds.create_or_update_guild_settings(GUILD, prefix="?", log_channel_id=None)
    assert (changed.id, changed.prefix, changed.log_channel_id) == (made.id, "?", None)
    assert (changed.ticket_category_id, changed.features_enabled) == (444555666, "tickets,logger,music")
    assert changed.created_at == made.created_at
    assert face.guilds.get_guild_settings(GUILD).values() == changed.values()


def test_the_time_of_change_moves_only_with_a_change(face: Faces) -> None:
    first = face.guilds.create_or_update_guild_settings(GUILD, prefix="?", log_channel_id=1)
    for same in ({}, {"prefix": "?"}, {"log_channel_id": 1, "auto_role_id": None}):
        assert face.guilds.create_or_update_guild_settings(GUILD, **same).values() == first.values()
    second = face.guilds.create_or_update_guild_settings(GUILD, prefix="?", auto_role_id=5)
    assert second.updated_at > first.updated_at
    third = face.guilds.create_or_update_guild_settings(GUILD, auto_role_id=None)
    assert third.updated_at > second.updated_at


def test_settings_of_a_guild_that_a_ticket_brought_are_updated(face: Faces) -> None:
    face.guilds.create_ticket(GUILD, 0, 1, "x")
    before = face.guilds.get_guild_settings(GUILD)
    after = face.guilds.create_or_update_guild_settings(GUILD, prefix="$")
    assert (after.id, after.prefix, after.features_enabled) == (before.id, "$", "tickets,logger")
    assert after.created_at == before.created_at < after.updated_at


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"prefx": "?"}, "unknown name 'prefx'; did you mean 'prefix'"),
        ({"session": 1}, "unknown name 'session'"),
        ({"prefix": None}, "prefix cannot be empty"),
        ({"features_enabled": ["tickets"]}, "features_enabled must be text"),
        ({"log_channel_id": -1}, "log_channel_id is no Discord id"),
        ({"id": 1}, "id cannot be changed"),
        ({"updated_at": None}, "updated_at cannot be"),
        ({"guild_id": 2**63}, "guild_id is no Discord id"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_settings_are_invalid_and_nothing_is_written(
    ledger: Ledger, settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(Invalid, match=reason):
        ledger.guilds.create_or_update_guild_settings(**{"guild_id": GUILD, **settings})
    assert ledger.guilds.get_guild_settings(GUILD) is None


def test_threads_that_set_one_new_guilds_settings_end_with_all_of_them(ledger: Ledger) -> None:
    names = ["log_channel_id", "ticket_category_id", "ticket_archive_category_id", "auto_role_id"]
    ready = threading.Barrier(8)

    def work(number: int) -> None:
        ready.wait()
        ledger.guilds.create_or_update_guild_settings(GUILD, **{names[number % 4]: number % 4 + 1})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settings = ledger.guilds.get_guild_settings(GUILD)
    assert settings is not None
    assert [getattr(settings, name) for name in names] == [1, 2, 3, 4]
    assert len(ledger.guilds.list_guilds()) == 1


def test_a_transaction_sees_its_own_settings_and_undoes_them(ledger: Ledger) -> None:
    ledger.guilds.create_or_update_guild_settings(GUILD, prefix="a")
    with pytest.raises(KeyError), ledger.begin() as tx:
        assert tx.guilds.get_guild_settings(GUILD).prefix == "a"
        assert tx.guilds.create_or_update_guild_settings(GUILD, prefix="b").prefix == "b"
        assert tx.guilds.get_guild_settings(GUILD).prefix == "b"
        raise KeyError
    assert ledger.guilds.get_guild_settings(GUILD).prefix == "a"


def test_guilds_are_listed_by_their_ids_in_pages(face: Faces) -> None:
    guilds = [2**63 - 1, 5, 2**53 + 1, 0, 77]
    for guild in guilds:
        face.guilds.create_or_update_guild_settings(guild)
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = face.guilds.list_guilds(limit=2, cursor=cursor)
        seen += [one.settings.guild_id for one in page]
        if (cursor := page.next) is None:
            break
    assert seen == sorted(guilds)


def test_a_guild_at_a_glance(face: Faces, url: str) -> None:
    for _ in range(5):
        face.guilds.create_ticket(GUILD, 0, 1, "x")
    tickets = face.guilds.get_open_tickets(GUILD)
    face.guilds.close_ticket(tickets[0].id)
    face.guilds.update_ticket(tickets[1].id, status="in_progress")
    face.guilds.create_log(GUILD, "system_event", "x")
    last = face.guilds.create_log(GUILD, "system_event", "y")
    face.guilds.create_ticket(1, 0, 1, "elsewhere")
    _play(url)
    guild = face.guilds.get_guild(GUILD)
    assert guild is not None
    assert (guild.open_tickets, guild.tickets_in_progress, guild.queued) == (3, 1, 2)
    assert guild.last_log_at == last.timestamp
    assert guild.settings.values() == face.guilds.get_guild_settings(GUILD).values()
    assert guild.playing is not None
    assert guild.playing.title == "Never Gonna Give You Up"
    listed = face.guilds.list_guilds().items
    assert [(one.settings.guild_id, one.open_tickets, one.queued) for one in listed] == [
        (1, 1, 0),
        (GUILD, 3, 2),
    ]
    assert (listed[0].playing, listed[0].last_log_at) == (None, None)
    assert listed[1].last_log_at == last.timestamp
    assert face.guilds.get_guild(99) is None
    with pytest.raises(Invalid, match="guild_id is no Discord id"):
        face.guilds.get_guild(-1)


def _play(url: str) -> None:
    """Let a track play in the guild, and two wait."""

    def work(session):  # type: ignore[no-untyped-def]
        track = Track(
            guild_id=GUILD, title="Never Gonna Give You Up", artist="x", url="x", duration=1, requested_by=1
        )
        session.add(track)
        session.flush()
        session.add_all(
            [Queue(guild_id=GUILD, track_id=track.id, position=n, added_by=1) for n in (1, 2)]
            + [MusicSession(guild_id=GUILD, voice_channel_id=1, text_channel_id=1, current_track_id=track.id)]
        )
        session.flush()

    with Ledger(url) as ledger:
        ledger.database.run(work)
