"""Discord guilds: tickets, logs, settings, music and avatars (seed 004)."""
