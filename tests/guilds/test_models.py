"""The models: what an instance has before any database has seen it, and what one has that was read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from daicho import Ledger
from daicho.guilds import models
from daicho.guilds.enums import LogType, LoopMode, MusicSource, TicketCategory, TicketPriority, TicketStatus
from daicho.guilds.models import GuildSettings, MusicSession, Ticket, Track, UserAvatarStats

GUILD = 123456789
DEFAULTS: dict[str, dict[str, Any]] = {
    "Ticket": {
        "status": TicketStatus.OPEN,
        "priority": TicketPriority.MEDIUM,
        "category": TicketCategory.GENERAL,
        "assigned_to": None,
        "closed_at": None,
    },
    "Log": {"details": None, "user_id": None},
    "GuildSettings": {"prefix": "!", "features_enabled": "tickets,logger", "log_channel_id": None},
    "TicketMessage": {"is_system_message": False},
    "AvatarHistory": {"guild_id": None},
    "UserAvatarStats": {"total_avatar_changes": 0, "total_banner_changes": 0, "most_used_format": None},
    "Track": {"source": MusicSource.YOUTUBE, "thumbnail_url": None},
    "Queue": {"request_id": None},
    "MusicSession": {"is_paused": False, "loop_mode": LoopMode.NONE, "current_track_id": None},
}
INSTANTS = {"created_at", "updated_at", "timestamp", "first_seen"}


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_instance_has_the_seeds_defaults_as_soon_as_it_is_made(name: str) -> None:
    made = getattr(models, name)()
    assert {key: getattr(made, key) for key in DEFAULTS[name]} == DEFAULTS[name]
    instants = [getattr(made, key) for key in INSTANTS & made.values().keys()]
    assert instants
    for at in instants:
        assert timedelta() <= datetime.now(UTC) - at < timedelta(minutes=1)
    with pytest.raises(TypeError, match="'nonsense' is an invalid keyword argument"):
        getattr(models, name)(nonsense=1)


def test_what_is_said_goes_before_a_default() -> None:
    ticket = Ticket(guild_id=1, channel_id=2, user_id=1, title="x", status=TicketStatus.CLOSED, priority=4)
    assert (ticket.status, ticket.priority, ticket.category) == ("closed", 4, "general")
    assert GuildSettings(prefix="?").prefix == "?"
    assert Ticket(status=None).status is None


def test_a_batch_that_a_factory_makes_is_written_as_it_was_made(ledger: Ledger) -> None:
    made = [Ticket(guild_id=GUILD, channel_id=n, user_id=n, title=str(n)) for n in range(10)]
    assert sorted({ticket.created_at for ticket in made}) == [ticket.created_at for ticket in made]
    before = [ticket.values() for ticket in made]
    with ledger.guilds.transaction() as session:
        session.add_all(made)
        session.add(MusicSession(guild_id=GUILD, voice_channel_id=1, text_channel_id=2))
        session.add(Track(guild_id=GUILD, title="x", artist="x", url="x", duration=1, requested_by=1))
        session.add(UserAvatarStats(user_id=1))
        session.add(models.Log(guild_id=GUILD, log_type=LogType.MEMBER_JOIN, action="x"))
    kept = sorted(ledger.guilds.list_tickets(GUILD), key=lambda ticket: ticket.id)
    assert [{**ticket.values(), "id": None} for ticket in kept] == before
    assert ledger.guilds.get_music_session(GUILD).loop_mode is LoopMode.NONE
    assert ledger.guilds.get_user_avatar_stats(1).total_avatar_changes == 0


def test_what_is_read_is_what_was_kept(ledger: Ledger) -> None:
    ticket = ledger.guilds.create_ticket(GUILD, 0, 1, "x", category="other", priority=1)
    ledger.guilds.close_ticket(ticket.id)
    with ledger.guilds.transaction() as session:
        session.execute(text("UPDATE tickets SET closed_at = NULL"))
        read = session.scalars(select(Ticket)).one()
        assert (read.status, read.category, read.priority) == ("closed", "other", 1)
        assert not session.dirty
        session.expire(read)
        assert (read.status, read.created_at) == ("closed", ticket.created_at)
    assert ledger.guilds.get_ticket(ticket.id).values() == {**ticket.values(), "status": "closed"}
