"""The guilds on the console: all of them, each at a glance.

One guild's own page stands in ``page_guild``, its parts in ``page_tickets``, ``page_logs``, ``page_music``,
``page_avatars`` and ``page_settings``; one ticket's page in ``page_ticket``.
"""

from daicho.core.elements import Chip, Moment, Row, Rows, box, show, words
from daicho.core.errors import Invalid
from daicho.core.language import Text, say
from daicho.core.page import Page
from daicho.core.screen import Console, PlainPager, Screen
from daicho.guilds import page_avatars, page_guild, page_ticket
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_lists import Notice
from daicho.guilds.page_words import guild_address, shortened
from daicho.guilds.schemas import GuildSummary

AT_ONCE = 24
LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than that of one ticket."""


def register(console: Console[LiveGuildLedger]) -> None:
    """Add this room's pages to the console."""
    console.room("guilds", Text("Guilds", "サーバー"), "/guilds")

    @console.page("/guilds", "guilds")
    async def all_guilds(screen: Screen) -> None:
        page = Overview(console.ledger, screen)
        await screen.follow("guilds", page.look, LOOK_SECONDS)

    page_ticket.register(console)
    page_avatars.register(console)
    page_guild.register(console)


class Overview:
    """The page of all guilds, in the order of their ids."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen) -> None:
        self._guilds, self._screen = ledger.guilds, screen
        screen.name(say("Guilds", "サーバー"))
        with box("d-row"):
            words(say("Guilds", "サーバー"), tag="h1")
            words(
                say("Avatars of all users ›", "全ユーザーのアバター ›"),
                "d-link d-end",
                "a",
                href="/guilds/avatars",
            )
        with box("d-section") as self._root:
            self._cards = Rows(box("d-cards d-guilds"), lambda guild: guild.settings.guild_id, _card)
            self._notice = Notice()
            self._pager = PlainPager(screen, self._turn_page, screen.query.get("after"))
        self._empty_state()

    async def look(self) -> None:
        """Bring the page up to date."""
        wrong = ""
        try:
            page = await self._guilds.list_guilds(limit=AT_ONCE, cursor=self._pager.cursor)
        except Invalid as error:
            page, wrong = Page([]), str(error)
        self._notice.take(wrong, self._screen.path)
        self._cards.show(page.items)
        self._pager.show(page.next)
        some = bool(page.items) or self._pager.cursor is not None
        show(self._root, some)
        show(self._welcome, not some)

    async def _turn_page(self) -> None:
        self._screen.remember({"after": self._pager.cursor or ""})
        await self.look()

    def _empty_state(self) -> None:
        with box("d-sheet d-empty", hidden=True) as self._welcome:
            words(say("The ledger holds no guilds yet.", "台帳にまだサーバーがありません。"), tag="b")
            with box():
                words(say("Fill it with an example: ", "見本を入れるには: "))
                words("daicho demo", tag="code")
            with box():
                words(say("Take over a bot's database: ", "ボットのデータベースを取り込むには: "))
                words("daicho guilds adopt kyrios.db", tag="code")
            with box():
                words(say("Or record your own: ", "自分のサーバーを記録するには: "))
                words("ledger.guilds.create_ticket(guild_id, channel_id, user_id, title)", tag="code")


def _card(guild: GuildSummary) -> Row[GuildSummary]:
    guild_id = guild.settings.guild_id
    with box("d-sheet d-card", "a", href=guild_address(guild_id)) as root:
        with box("d-card-head"):
            words(guild_id, "d-mono", "b", title=guild_id)
        with box("d-row d-tight"):
            waiting, going_on = Chip("", "d-waits"), Chip("", "")
        with box("d-music-line"):
            words("♪", "d-quiet", aria_hidden="true")
            playing = words("", "d-cut d-grow", dir="auto")
            queued = words("", "d-quiet d-number d-small")
        with box("d-card-foot"):
            words(say("Last log", "最新ログ"))
            last = Moment()
            none = words("–")

    def take(guild: GuildSummary) -> None:
        waiting.name(say(f"{guild.open_tickets:,} open", f"未対応 {guild.open_tickets:,}"))
        going_on.name(
            say(f"{guild.tickets_in_progress:,} in progress", f"対応中 {guild.tickets_in_progress:,}")
        )
        going_on.root.classes(**{"add" if guild.tickets_in_progress else "remove": "d-live"})
        track = guild.playing
        playing.set_text(
            shortened(f"{shortened(track.title)} · {track.artist}")
            if track
            else say("Nothing plays", "再生していません")
        )
        playing.classes(**{"remove" if track else "add": "d-quiet"})
        queued.set_text(say(f"{guild.queued:,} queued", f"待機 {guild.queued:,} 曲"))
        last.take(guild.last_log_at)
        show(none, guild.last_log_at is None)

    take(guild)
    return Row(root, take)
