"""Guilds: tickets, logs, settings, music and avatars (seed 004)

A ticket, log, track, queue entry or music session brings its guild's row with it, a change of an avatar its
user's: triggers add them, whoever writes.

Revision ID: 20261121_09
Revises: 20261121_08
Create Date: 2026-11-21 21:00:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, JsonText, Snowflake
from daicho.migrations import taking_over

revision: str = "20261121_09"
down_revision: str | None = "20261121_08"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
TABLES = (
    "guild_settings",
    "tickets",
    "ticket_messages",
    "logs",
    "tracks",
    "queues",
    "music_sessions",
    "user_avatar_stats",
    "avatar_histories",
)
OF_GUILD = ("tickets", "logs", "tracks", "queues", "music_sessions")
LOG_TYPES = (
    "message_delete",
    "message_edit",
    "member_join",
    "member_leave",
    "member_ban",
    "member_unban",
    "member_kick",
    "member_timeout",
    "role_add",
    "role_remove",
    "channel_create",
    "channel_delete",
    "system_event",
)
GUILD_ADDED = """INSERT INTO guild_settings (guild_id, prefix, features_enabled, created_at, updated_at)
    VALUES (NEW.guild_id, '!', 'tickets,logger', {now}, {now}) ON CONFLICT (guild_id) DO NOTHING"""
USER_ADDED = """INSERT INTO user_avatar_stats
    (user_id, total_avatar_changes, total_banner_changes, first_seen)
    VALUES (NEW.user_id, 0, 0, NEW.timestamp) ON CONFLICT (user_id) DO NOTHING"""
NOW_SQLITE = "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"


def upgrade() -> None:
    taking_over.check_free(TABLES)
    op.create_table(
        "guild_settings",
        *_own("guild_settings", _id("guild_id")),
        *[
            sa.Column(name, Snowflake)
            for name in (
                "log_channel_id",
                "ticket_category_id",
                "ticket_archive_category_id",
                "auto_role_id",
            )
        ],
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("features_enabled", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
    )
    op.create_index("idx_guild_settings_guild", "guild_settings", ["guild_id"], unique=True)
    op.create_table(
        "tickets",
        *_own("tickets", _id("guild_id"), _id("channel_id"), _id("user_id")),
        sa.Column("assigned_to", Snowflake),
        sa.Column("category", sa.String(50), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("status", sa.String(50), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("closed_at", Instant),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        _one_of("tickets", "category", "technical", "moderation", "general", "other"),
        sa.CheckConstraint("priority IN (1, 2, 3, 4)", name="ck_tickets_priority"),
        _one_of("tickets", "status", "open", "in_progress", "closed", "archived"),
        _of_guild("tickets"),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_ticket_guild_status", "tickets", ["guild_id", "status"])
    op.create_index("idx_ticket_user", "tickets", ["guild_id", "user_id"])
    op.create_table(
        "ticket_messages",
        *_own("ticket_messages"),
        sa.Column("ticket_id", sa.BigInteger, nullable=False),
        _id("user_id"),
        _id("message_id"),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("timestamp", Instant, nullable=False),
        sa.Column("is_system_message", sa.Boolean, nullable=False),
        _reference("ticket_messages", "ticket_id", "tickets", "CASCADE"),
    )
    op.create_table(
        "logs",
        *_own("logs", _id("guild_id")),
        sa.Column("log_type", sa.String(50), nullable=False),
        *[sa.Column(name, Snowflake) for name in ("user_id", "moderator_id", "channel_id")],
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("details", JsonText),
        sa.Column("timestamp", Instant, nullable=False),
        _one_of("logs", "log_type", *LOG_TYPES),
        _of_guild("logs"),
    )
    op.create_index("idx_log_guild_type", "logs", ["guild_id", "log_type"])
    op.create_index("idx_log_timestamp", "logs", ["timestamp"])
    _create_music()
    _create_avatars()
    _create_triggers(op.get_context().dialect.name)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)  # its triggers go with it
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION daicho_add_guild()")
        op.execute("DROP FUNCTION daicho_add_avatar_stats()")


def _create_music() -> None:
    op.create_table(
        "tracks",
        *_own("tracks", _id("guild_id")),
        *[sa.Column(name, sa.Text, nullable=False) for name in ("title", "artist", "url")],
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("duration", sa.Integer, nullable=False),
        sa.Column("thumbnail_url", sa.Text),
        _id("requested_by"),
        sa.Column("created_at", Instant, nullable=False),
        _one_of("tracks", "source", "youtube", "spotify", "soundcloud", "url"),
        _of_guild("tracks"),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_track_guild", "tracks", ["guild_id"])
    op.create_index("idx_track_source", "tracks", ["source"])
    op.create_table(
        "queues",
        *_own("queues", _id("guild_id")),
        sa.Column("track_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        _id("added_by"),
        sa.Column("created_at", Instant, nullable=False),
        _of_guild("queues"),
        _reference("queues", "track_id", "tracks", "CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("idx_queue_guild_position", "queues", ["guild_id", "position"])
    op.create_index("idx_queue_track", "queues", ["track_id"])
    op.create_table(
        "music_sessions",
        *_own("music_sessions", _id("guild_id"), _id("voice_channel_id"), _id("text_channel_id")),
        sa.Column("current_track_id", sa.BigInteger),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("loop_mode", sa.String(50), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        _one_of("music_sessions", "loop_mode", "none", "track", "queue"),
        _of_guild("music_sessions"),
        _reference("music_sessions", "current_track_id", "tracks", "SET NULL"),
    )
    op.create_index("idx_music_session_guild", "music_sessions", ["guild_id"], unique=True)


def _create_avatars() -> None:
    op.create_table(
        "user_avatar_stats",
        *_own("user_avatar_stats", _id("user_id")),
        sa.Column("total_avatar_changes", sa.Integer, nullable=False),
        sa.Column("total_banner_changes", sa.Integer, nullable=False),
        sa.Column("first_seen", Instant, nullable=False),
        sa.Column("last_avatar_change", Instant),
        sa.Column("last_banner_change", Instant),
        sa.Column("most_used_format", sa.Text),
        sa.Column("average_change_frequency", sa.Float),
    )
    op.create_index("idx_avatar_stats_user", "user_avatar_stats", ["user_id"], unique=True)
    op.create_table(
        "avatar_histories",
        *_own("avatar_histories", _id("user_id")),
        sa.Column("guild_id", Snowflake),
        sa.Column("history_type", sa.String(50), nullable=False),
        *[
            sa.Column(name, sa.Text)
            for name in ("old_avatar_url", "new_avatar_url", "dominant_color", "image_format")
        ],
        sa.Column("image_size", sa.Integer),
        sa.Column("timestamp", Instant, nullable=False),
        _one_of("avatar_histories", "history_type", "avatar_change", "banner_change", "server_avatar_change"),
        _reference("avatar_histories", "user_id", "user_avatar_stats", to="user_id"),
    )
    for name in ("user_id", "history_type", "timestamp"):
        short = {"user_id": "user", "history_type": "type"}.get(name, name)
        op.create_index(f"idx_avatar_history_{short}", "avatar_histories", [name])


def _create_triggers(dialect: str) -> None:
    if dialect == "postgresql":
        _create_function("daicho_add_guild", "guild_settings", "guild_id", GUILD_ADDED.format(now="now()"))
        _create_function("daicho_add_avatar_stats", "user_avatar_stats", "user_id", USER_ADDED)
    for table in OF_GUILD:
        _create_trigger(dialect, table, "guild_settings", "guild_id", GUILD_ADDED.format(now=NOW_SQLITE))
    _create_trigger(dialect, "avatar_histories", "user_avatar_stats", "user_id", USER_ADDED)


def _create_function(name: str, registry: str, key: str, addition: str) -> None:
    # A look first: most often the row is there, and an INSERT that adds nothing still uses up a number.
    op.execute(
        f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM {registry} WHERE {key} = NEW.{key}) THEN
        {addition};
    END IF;
    RETURN NEW;
END $$"""
    )


def _create_trigger(dialect: str, table: str, registry: str, key: str, addition: str) -> None:
    name = f"{table}_add_{'guild' if key == 'guild_id' else 'avatar_stats'}"
    if dialect == "postgresql":
        function = "daicho_add_guild" if key == "guild_id" else "daicho_add_avatar_stats"
        op.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
    else:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} "
            f"WHEN NOT EXISTS (SELECT 1 FROM {registry} WHERE {key} = NEW.{key}) BEGIN {addition}; END"
        )


# -- what the tables have in common ----------------------------------------------------------------


def _own(table: str, *ids: sa.Column[int]) -> list[sa.schema.SchemaItem]:
    return [sa.Column("id", KEY, primary_key=True), *ids, sa.PrimaryKeyConstraint("id", name=f"pk_{table}")]


def _id(name: str) -> sa.Column[int]:
    return sa.Column(name, Snowflake, nullable=False)


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN {values!r}", name=f"ck_{table}_{column}")


def _reference(
    table: str, column: str, other: str, ondelete: str | None = None, to: str = "id"
) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{other}.{to}"], name=f"fk_{table}_{column}_{other}", ondelete=ondelete
    )


def _of_guild(table: str) -> sa.ForeignKeyConstraint:
    return _reference(table, "guild_id", "guild_settings", to="guild_id")
