"""``ledger.guilds``: the operations on guilds, in parts that each have a file of their own."""

from daicho.core.operation import Mode
from daicho.guilds.avatars import Avatars
from daicho.guilds.keeping import GuildKeeping
from daicho.guilds.logs import Logs
from daicho.guilds.music import Music
from daicho.guilds.queue import MusicQueue
from daicho.guilds.settings import Settings
from daicho.guilds.tickets import Tickets
from daicho.guilds.transactions import Transactions


class GuildStore(
    Tickets[Mode],
    Logs[Mode],
    Settings[Mode],
    Music[Mode],
    MusicQueue[Mode],
    Avatars[Mode],
    Transactions[Mode],
    GuildKeeping[Mode],
):
    """``ledger.guilds``: what a Discord bot keeps of its guilds (seed 004, ``DatabaseManager``)."""

    room = "guilds"
