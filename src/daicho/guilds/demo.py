"""The demo's guilds: a month of tickets, logs, music and avatars in two of them, and what goes on there."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from daicho.core.page import LIMIT_MAX
from daicho.guilds import demo_texts, demo_texts_ja
from daicho.guilds.demo_texts import Script, Texts
from daicho.guilds.enums import ENDED, AvatarHistoryType, LogType, LoopMode, MusicSource, TicketStatus
from daicho.guilds.models import Ticket
from daicho.guilds.needs import GuildLedger, LiveGuildLedger

DAYS = 30
LOGS = 200
"""Logs of each guild."""
QUEUED = 5
"""Tracks that wait in a guild's queue, at least."""
PAUSE_SECONDS = (2.0, 5.0)
MARK, LIVE_MARK = "demo-", "demo-live-"
"""How the names begin by which one knows the tickets, logs and changes of a demo."""
MESSAGES_FROM = 1_300_000_000_000_000_000
"""The ids of the demo's messages lie above it."""
COLOURS = ("#2a4d8f", "#c8402a", "#15803d", "#f0c674", "#7a5d10", "#8fb0ee")


@dataclass(frozen=True, slots=True)
class Guild:
    """A guild of the demo, with ids of its own."""

    id: int
    texts: Texts
    settings: dict[str, Any]

    @property
    def users(self) -> range:
        return range(self.id + 10_001, self.id + 10_013)

    @property
    def moderators(self) -> range:
        return range(self.id + 20_001, self.id + 20_004)

    @property
    def channels(self) -> range:
        return range(self.id + 30_001, self.id + 30_008)


GUILDS = (
    Guild(
        1_203_045_678_901_234_567,
        demo_texts.TEXTS,
        {
            "log_channel_id": 1_203_045_678_901_264_570,
            "ticket_category_id": 1_203_045_678_901_264_571,
            "features_enabled": "tickets,logger,music,avatars",
        },
    ),
    Guild(
        1_187_654_321_098_765_433,
        demo_texts_ja.TEXTS,
        {
            "log_channel_id": 1_187_654_321_098_795_436,
            "ticket_category_id": 1_187_654_321_098_795_437,
            "ticket_archive_category_id": 1_187_654_321_098_795_438,
            "auto_role_id": 1_187_654_321_098_805_400,
            "prefix": "?",
            "features_enabled": "tickets,logger,music",
        },
    ),
)


def fill(ledger: GuildLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's guilds; return how many tickets, logs, tracks and changes were not there yet.

    They are the same two guilds for every seed: what is there already is left alone, whatever has become
    of it since.
    """
    return sum(
        add(ledger, guild, rng, now)
        for guild in GUILDS
        for add in (_add_settings, _add_tickets, _add_logs, _add_music, _add_avatars)
    )


async def live(ledger: LiveGuildLedger, rng: random.Random) -> None:
    """Let something happen in one of the guilds every 2 to 5 seconds, until cancelled."""
    while True:
        await asyncio.sleep(rng.uniform(*PAUSE_SECONDS))
        await happen(ledger, rng)


async def happen(ledger: LiveGuildLedger, rng: random.Random) -> None:
    """Let one thing happen: mostly a log; else a ticket, a message, a move, or the next track."""
    guild = rng.choice(GUILDS)
    act = rng.choices((_log, _go_on_with_a_ticket, _play_next), (6, 3, 1))[0]
    await act(ledger, guild, rng)


# -- what is there at first --------------------------------------------------------------------------


def _add_settings(ledger: GuildLedger, guild: Guild, rng: random.Random, now: datetime) -> int:
    if ledger.guilds.get_guild(guild.id) is None:
        ledger.guilds.create_or_update_guild_settings(guild.id, **guild.settings)
    return 0


def _add_tickets(ledger: GuildLedger, guild: Guild, rng: random.Random, now: datetime) -> int:
    there = {ticket.request_id for ticket in _tickets(ledger, guild)}
    added = 0
    for number, script in enumerate(guild.texts.tickets):
        request_id = f"{MARK}{number}"
        if request_id not in there:
            _add_ticket(ledger, guild, number, script, rng, now)
            added += 1
    return added


def _add_ticket(
    ledger: GuildLedger, guild: Guild, number: int, script: Script, rng: random.Random, now: datetime
) -> None:
    ended = script.status in ENDED
    begun = now - (timedelta(days=rng.uniform(3, DAYS)) if ended else timedelta(hours=rng.uniform(1, 60)))
    user, moderator = rng.choice(guild.users), rng.choice(guild.moderators)
    ticket = ledger.guilds.create_ticket(
        guild.id,
        guild.channels[-1] + number + 1,
        user,
        script.title,
        script.description,
        script.category,
        script.priority,
        assigned_to=moderator if any(who == "m" for who, _ in script.messages) else None,
        created_at=begun,
        request_id=f"{MARK}{number}",
    )
    at = begun
    for place, (who, text) in enumerate(script.messages):
        at += timedelta(seconds=rng.uniform(20, 500))
        ledger.guilds.add_ticket_message(
            ticket.id,
            {"u": user, "m": moderator}.get(who, guild.id),
            _message_id(guild, number, place),
            text,
            is_system_message=who == "s",
            timestamp=at,
        )
    if script.status is not TicketStatus.OPEN:
        closed_at = {"closed_at": at + timedelta(seconds=5)} if ended else {}
        ledger.guilds.update_ticket(ticket.id, status=script.status, **closed_at)


def _add_logs(ledger: GuildLedger, guild: Guild, rng: random.Random, now: datetime) -> int:
    if ledger.guilds.list_logs(guild.id, limit=1).items:
        return 0
    rows = []
    for number in range(LOGS):
        # More of them lately, and of every type some.
        at = now - timedelta(days=DAYS * rng.random() ** 1.6)
        kind = [*LogType][number % len(LogType)] if number < 2 * len(LogType) else _kind(rng)
        rows.append(_log_row(guild, kind, rng) | {"timestamp": at, "request_id": f"{MARK}{number}"})
    return len(ledger.guilds.create_multiple_logs(rows))


def _add_music(ledger: GuildLedger, guild: Guild, rng: random.Random, now: datetime) -> int:
    if ledger.guilds.get_music_session(guild.id) is not None:
        return 0
    # The session comes last: without one, the demo was interrupted, or has ended it.
    ledger.guilds.clear_guild_tracks(guild.id)
    tracks = [
        ledger.guilds.create_track(
            guild.id,
            song.title,
            song.artist,
            f"https://music.example/{guild.id}/{number}",
            song.seconds,
            rng.choice(guild.users),
            source=rng.choice([*MusicSource]),
        )
        for number, song in enumerate(guild.texts.songs)
    ]
    for track in tracks[1:]:
        ledger.guilds.add_to_queue(guild.id, track.id, rng.choice(guild.users))
    ledger.guilds.create_session(guild.id, guild.channels[0], guild.channels[1])
    ledger.guilds.set_loop_mode(guild.id, LoopMode.QUEUE)
    ledger.guilds.update_session_current_track(guild.id, tracks[0].id)
    return len(tracks)


def _add_avatars(ledger: GuildLedger, guild: Guild, rng: random.Random, now: datetime) -> int:
    return sum(_add_changes(ledger, guild, user, rng, now) for user in guild.users[:3])


def _add_changes(ledger: GuildLedger, guild: Guild, user: int, rng: random.Random, now: datetime) -> int:
    if ledger.guilds.get_user_avatar_stats(user) is not None:
        return 0
    pictures = [f"https://cdn.example/avatars/{user}/{number}" for number in range(rng.randint(3, 8))]
    times = sorted(now - timedelta(days=rng.uniform(1, 6 * DAYS)) for _ in pictures)
    for number, (picture, at) in enumerate(zip(pictures, times, strict=True)):
        kind = rng.choices([*AvatarHistoryType], (6, 1, 2))[0]
        image_format = rng.choice(("png", "png", "webp", "gif"))
        ledger.guilds.record_avatar_change(
            user,
            kind,
            f"{pictures[number - 1]}.png" if number else None,
            f"{picture}.{image_format}",
            guild.id if kind is AvatarHistoryType.SERVER_AVATAR_CHANGE else None,
            rng.choice(COLOURS),
            image_format,
            rng.randint(8_000, 900_000),
            timestamp=at,
            request_id=f"{MARK}{number}",
        )
    return len(pictures)


# -- what goes on ------------------------------------------------------------------------------------


async def _log(ledger: LiveGuildLedger, guild: Guild, rng: random.Random) -> None:
    await ledger.guilds.create_log(**_log_row(guild, _kind(rng), rng))


async def _go_on_with_a_ticket(ledger: LiveGuildLedger, guild: Guild, rng: random.Random) -> None:
    """Write the next message of a ticket of the live demo, close it after the last, or open another."""
    page = await ledger.guilds.list_tickets(
        guild.id, status=[TicketStatus.OPEN, TicketStatus.IN_PROGRESS], limit=LIMIT_MAX
    )
    for ticket in page.items:
        if (ticket.request_id or "").startswith(LIVE_MARK):
            await _go_on(ledger, guild, ticket, rng)
            return
    script = rng.choice(guild.texts.live)
    await ledger.guilds.create_ticket(
        guild.id,
        rng.choice(guild.channels),
        rng.choice(guild.users),
        script.title,
        script.description,
        script.category,
        script.priority,
        request_id=f"{LIVE_MARK}{guild.texts.live.index(script)}-{rng.getrandbits(48):x}",
    )


async def _go_on(ledger: LiveGuildLedger, guild: Guild, ticket: Ticket, rng: random.Random) -> None:
    number = int((ticket.request_id or "").removeprefix(LIVE_MARK).partition("-")[0])
    messages = guild.texts.live[number].messages
    written = len(await ledger.guilds.get_ticket_messages(ticket.id))
    if written >= len(messages):
        await ledger.guilds.close_ticket(ticket.id)
        return
    who, text = messages[written]
    moderator = ticket.assigned_to or rng.choice(guild.moderators)
    if who == "m" and ticket.assigned_to is None:
        await ledger.guilds.update_ticket(ticket.id, assigned_to=moderator, status=TicketStatus.IN_PROGRESS)
    writer = moderator if who == "m" else ticket.user_id
    await ledger.guilds.add_ticket_message(ticket.id, writer, 0, text)


async def _play_next(ledger: LiveGuildLedger, guild: Guild, rng: random.Random) -> None:
    """Take the next track, and have somebody add one where few wait."""
    tracks = (await ledger.guilds.list_tracks(guild.id, limit=LIMIT_MAX)).items
    if tracks and len(await ledger.guilds.get_guild_queue(guild.id)) <= QUEUED:
        await ledger.guilds.add_to_queue(guild.id, rng.choice(tracks).id, rng.choice(guild.users))
    await ledger.guilds.take_next(guild.id)


# -- rows --------------------------------------------------------------------------------------------


def _kind(rng: random.Random) -> LogType:
    """A type of log, the ordinary ones more often."""
    often = (LogType.MESSAGE_EDIT, LogType.MESSAGE_DELETE, LogType.MEMBER_JOIN, LogType.ROLE_ADD)
    kinds: tuple[LogType, ...] = (*often, *often, *LogType)
    return rng.choice(kinds)


def _log_row(guild: Guild, kind: LogType, rng: random.Random) -> dict[str, Any]:
    action, details = rng.choice(guild.texts.logs[kind])
    of_channel = kind.value.startswith(("message", "channel"))
    moderated = kind.value.startswith(("member_ban", "member_unban", "member_kick", "member_timeout", "role"))
    return {
        "guild_id": guild.id,
        "log_type": kind,
        "action": action,
        "user_id": None if kind.value.startswith(("channel", "system")) else rng.choice(guild.users),
        "moderator_id": rng.choice(guild.moderators) if moderated else None,
        "channel_id": rng.choice(guild.channels) if of_channel else None,
        "details": details,
    }


def _message_id(guild: Guild, ticket: int, place: int) -> int:
    return MESSAGES_FROM + guild.id % 1_000_000 * 1_000_000 + ticket * 1_000 + place


def _tickets(ledger: GuildLedger, guild: Guild) -> Iterator[Ticket]:
    cursor: str | None = None
    while True:
        page = ledger.guilds.list_tickets(guild.id, limit=LIMIT_MAX, cursor=cursor)
        yield from page.items
        if (cursor := page.next) is None:
            return
