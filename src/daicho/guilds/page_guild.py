"""The pages of one guild: its tickets, its logs, its music, its avatars and its settings."""

from collections.abc import Callable, Mapping
from typing import Protocol

from daicho.core.elements import Words, box, show, words
from daicho.core.language import Text, say
from daicho.core.one_page import OnePage
from daicho.core.screen import Build, Console, Screen
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_avatars import GuildAvatars
from daicho.guilds.page_logs import Logs
from daicho.guilds.page_music import Music
from daicho.guilds.page_settings import SettingsOfGuild
from daicho.guilds.page_tickets import Board
from daicho.guilds.page_words import guild_address, missing, number_in
from daicho.guilds.schemas import GuildSummary

LOOK_SECONDS = 0.5
"""The least time between two looks: a board reads more at once than one ticket's page."""


class Part(Protocol):
    """One of a guild's pages; drawn where it is made."""

    async def look(self) -> None:
        """Bring it up to date."""


PARTS: Mapping[str, tuple[Text, Callable[[LiveGuildLedger, Screen, int], Part]]] = {
    "": (Text("Tickets", "チケット"), Board),
    "logs": (Text("Logs", "ログ"), Logs),
    "music": (Text("Music", "音楽"), Music),
    "avatars": (Text("Avatars", "アバター"), GuildAvatars),
    "settings": (Text("Settings", "設定"), SettingsOfGuild),
}
"""By the end of their address; the first is a guild's own."""


def register(console: Console[LiveGuildLedger]) -> None:
    """Add a guild's pages to the console."""

    def build(part: str) -> Build:
        async def one_guild(screen: Screen) -> None:
            page = GuildPage(console.ledger, screen, part)
            await screen.follow("guilds", page.look, LOOK_SECONDS)

        return one_guild

    for part in PARTS:
        console.page(f"/guilds/{{guild_id}}/{part}".rstrip("/"), "guilds")(build(part))


class GuildPage(OnePage[GuildSummary, tuple["Head", Part]]):
    """A part of one guild, on its page."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, part: str) -> None:
        self._ledger, self._part = ledger, part
        given = screen.route["guild_id"]
        self._guild_id = number_in(given)
        screen.name(say("Guild", "サーバー"))
        said = say("There is no such guild.", "そのサーバーはありません。")
        super().__init__(screen, missing(said, given))

    async def _find(self) -> GuildSummary | None:
        return None if self._guild_id is None else await self._ledger.guilds.get_guild(self._guild_id)

    def _draw(self, found: GuildSummary) -> tuple["Head", Part]:
        guild_id, (title, make) = found.settings.guild_id, PARTS[self._part]
        self._screen.name(f"{title} · {guild_id}")
        return Head(guild_id, self._part), make(self._ledger, self._screen, guild_id)

    async def _take(self, drawn: tuple["Head", Part], found: GuildSummary) -> None:
        head, part = drawn
        head.take(found)
        await part.look()


class Head:
    """A guild's id, and the ways to its parts."""

    def __init__(self, guild_id: int, here: str) -> None:
        words(say("‹ All guilds", "‹ サーバー一覧"), "d-link d-small", "a", href="/guilds")
        with box("d-head"):
            words(say("Guild", "サーバー"), "d-quiet", "div")
            words(guild_id, "d-mono d-title", "h1")
        self._counts: dict[str, Words] = {}
        with box("d-tabs d-scrolling", "nav", aria_label=say("The guild's parts", "サーバーの内容")):
            for part, (title, _) in PARTS.items():
                current = "page" if part == here else None
                with words(title, tag="a", href=guild_address(guild_id, part), aria_current=current):
                    self._counts[part] = words("", "d-count")

    def take(self, guild: GuildSummary) -> None:
        """Show how many tickets and tracks wait."""
        for part, count in ("", guild.open_tickets), ("music", guild.queued):
            self._counts[part].set_text(f"{count:,}")
            show(self._counts[part], count > 0)
