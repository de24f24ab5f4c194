"""The pages of one guild: its tickets, its logs, its music, its avatars and its settings."""

from collections.abc import Callable, Mapping
from typing import Protocol

from daicho.core.elements import Words, box, show, words
from daicho.core.language import Text, say
from daicho.core.screen import Build, Console, Screen
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_avatars import GuildAvatars
from daicho.guilds.page_logs import Logs
from daicho.guilds.page_music import Music
from daicho.guilds.page_settings import SettingsOfGuild
from daicho.guilds.page_tickets import Board
from daicho.guilds.page_words import guild_address, number_in
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


class GuildPage:
    """A part of a guild on the page: drawn once the guild is found, and brought up to date from then on."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, part: str) -> None:
        self._ledger, self._screen, self._part = ledger, screen, part
        self._given = screen.route["guild_id"]
        self._guild_id = number_in(self._given)
        screen.name(say("Guild", "サーバー"))
        self._body = box("d-section d-roomy")
        self._drawn: tuple[Head, Part] | None = None
        self._missing = False

    async def look(self) -> None:
        """Bring the page up to date."""
        guild = None if self._guild_id is None else await self._ledger.guilds.get_guild(self._guild_id)
        if guild is None:
            self._miss()
            return
        if self._drawn is None:
            self._missing = False
            guild_id, (title, make) = guild.settings.guild_id, PARTS[self._part]
            self._screen.name(f"{title} · {guild_id}")
            self._body.clear()
            with self._body:
                self._drawn = Head(guild_id, self._part), make(self._ledger, self._screen, guild_id)
        head, part = self._drawn
        head.take(guild)
        await part.look()

    def _miss(self) -> None:
        if self._missing:
            return
        self._drawn, self._missing = None, True
        self._screen.client.status_code = 404
        self._body.clear()
        with self._body, box("d-sheet d-empty"):
            words(say("There is no such guild.", "そのサーバーはありません。"), tag="b")
            words(self._given, "d-mono d-title")
            words(say("To all guilds", "サーバー一覧へ"), "d-link", "a", href="/guilds")


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
