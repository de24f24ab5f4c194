"""The demo's conversations."""

import random
from datetime import datetime

from daicho.chats.needs import ChatLedger, LiveChatLedger


def fill(ledger: ChatLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's conversations."""
    return 0


async def live(ledger: LiveChatLedger, rng: random.Random) -> None:
    """Keep a conversation going."""
