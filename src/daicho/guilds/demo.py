"""The demo's guilds."""

import random
from datetime import datetime

from daicho.guilds.needs import GuildLedger, LiveGuildLedger


def fill(ledger: GuildLedger, rng: random.Random, now: datetime) -> int:
    return 0


async def live(ledger: LiveGuildLedger, rng: random.Random) -> None:
    return None
