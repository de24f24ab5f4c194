"""The guilds on the console."""

from daicho.core.screen import Console
from daicho.guilds.needs import LiveGuildLedger


def register(console: Console[LiveGuildLedger]) -> None:
    """Add this room's pages to the console."""
