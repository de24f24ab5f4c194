"""The chats on the console."""

from daicho.chats.needs import LiveChatLedger
from daicho.core.screen import Console


def register(console: Console[LiveChatLedger]) -> None:
    """Add this room's pages to the console."""
