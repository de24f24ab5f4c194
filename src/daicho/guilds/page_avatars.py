"""Avatars on the console: their history in one guild, and of all users. No picture is loaded."""

import re

from daicho.core.elements import Moment, Row, Tile, box, moment, show, words
from daicho.core.errors import Invalid
from daicho.core.filters import suggest
from daicho.core.language import say
from daicho.core.page import Page
from daicho.core.screen import Console, Screen
from daicho.guilds.enums import AvatarHistoryType
from daicho.guilds.models import AvatarHistory, UserAvatarStats
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_lists import AT_ONCE, FilteredTable
from daicho.guilds.page_words import AVATAR_TYPES, Address, guild_address, options, shortened, typed_id

COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
"""Only such a colour becomes part of a style."""
LOOK_SECONDS = 0.5


def register(console: Console[LiveGuildLedger]) -> None:
    """Add the page of all users' avatars to the console."""

    @console.page("/guilds/avatars", "guilds")
    async def all_avatars(screen: Screen) -> None:
        screen.name(say("Avatars", "アバター"))
        words(say("‹ All guilds", "‹ サーバー一覧"), "d-link d-small", "a", href="/guilds")
        words(say("Avatars", "アバター"), tag="h1")
        page = Avatars(console.ledger, screen, None)
        await screen.follow("guilds", page.look, LOOK_SECONDS)


class GuildAvatars:
    """The changes of avatars in one guild; drawn where it is made."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, guild_id: int) -> None:
        with box("d-row d-small d-quiet"):
            words(say("What was recorded for this guild.", "このサーバーについて記録された変更です。"))
            everything = say("Avatars of all users ›", "全ユーザーのアバター ›")
            words(everything, "d-link", "a", href="/guilds/avatars")
        self.look = Avatars(ledger, screen, guild_id).look


class Avatars:
    """Changes of avatars and banners, newest first, and the statistics of a user that is chosen.

    Args:
        guild_id: whose; None for all, and for those that belong to no guild.
    """

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, guild_id: int | None) -> None:
        self._guilds, self._guild_id = ledger.guilds, guild_id
        self._table = FilteredTable[AvatarHistory](
            screen,
            self._ask,
            say("No change was recorded yet.", "変更の記録はまだありません。"),
            say("No change fits these filters.", "条件に合う変更はありません。"),
            self.look,
        )
        with self._table.filters.bar():
            hint = say("Discord ID", "Discord の ID")
            self._users = self._table.filters.text("user", say("User", "ユーザー"), hint, 30)
            if guild_id is None:
                self._table.filters.text("guild", say("Guild", "サーバー"), hint, 30)
            self._table.filters.select("type", say("Type", "種類"), options(AVATAR_TYPES))
        self._statistics = Statistics(of_one_guild=guild_id is not None)
        titles = (
            (say("Time", "日時"), ""),
            (say("User", "ユーザー"), ""),
            (say("Type", "種類"), ""),
            (say("Before → after", "変更前 → 変更後"), ""),
            (say("Colour", "色"), ""),
            (say("Format", "形式"), ""),
            (say("Size", "サイズ"), "d-right"),
        )
        self._table.draw("d-avatars", titles, lambda change: change.id, _row)

    async def look(self) -> None:
        """Bring the page up to date."""
        changes = await self._table.look()
        suggest(self._users, [str(change.user_id) for change in changes])
        try:
            user_id = typed_id(self._table.filters.chosen["user"])
        except Invalid:  # the table says so
            user_id = None
        self._statistics.take(None if user_id is None else await self._guilds.get_user_avatar_stats(user_id))

    async def _ask(self, cursor: str | None) -> Page[AvatarHistory]:
        chosen = self._table.filters.chosen
        guild_id = typed_id(chosen.get("guild", "")) if self._guild_id is None else self._guild_id
        return await self._guilds.list_avatar_changes(
            user_id=typed_id(chosen["user"]),
            guild_id=guild_id,
            history_type=self._table.filters.choice("type", AvatarHistoryType),
            limit=AT_ONCE,
            cursor=cursor,
        )


class Statistics:
    """How often a user changes avatars, in all guilds; hidden while no user is chosen.

    Args:
        of_one_guild: whether they stand over the changes in one guild only, so that this must be said.
    """

    def __init__(self, *, of_one_guild: bool) -> None:
        title = say("The user's statistics", "ユーザーの統計")
        with box("d-section", "section", aria_label=title, hidden=True) as self._root:
            with box("d-tiles"):
                self._avatars = Tile(say("Avatar changes", "アバターの変更"))
                self._banners = Tile(say("Banner changes", "バナーの変更"))
                self._every = Tile(say("Days from one to the next", "変更の平均間隔 (日)"))
                self._format = Tile(say("Usual format", "よく使う形式"))
            if of_one_guild:
                counted = say(
                    "These figures count all guilds; the table lists the changes in this one.",
                    "この集計は全サーバーでの変更が対象です。下の表はこのサーバーの分だけです。",
                )
                words(counted, "d-small d-quiet", "div")
            with box("d-row d-small d-quiet"):
                words(say("First seen", "初回"))
                self._first = Moment()
                self._last_label = words(say("Last avatar", "最新のアバター"))
                self._last = Moment()
                self._banner_label = words(say("Last banner", "最新のバナー"))
                self._last_banner = Moment()

    def take(self, stats: UserAvatarStats | None) -> None:
        """Show a user's statistics; nothing for None."""
        show(self._root, stats is not None)
        if stats is None:
            return
        self._avatars.take(f"{stats.total_avatar_changes:,}")
        self._banners.take(f"{stats.total_banner_changes:,}")
        every = stats.average_change_frequency
        self._every.take("–" if every is None else f"{every:,.1f}")
        self._format.take(shortened(stats.most_used_format or "–"))
        self._first.take(stats.first_seen)
        self._last.take(stats.last_avatar_change)
        self._last_banner.take(stats.last_banner_change)
        show(self._last_label, stats.last_avatar_change is not None)
        show(self._banner_label, stats.last_banner_change is not None)


def _row(change: AvatarHistory) -> Row[AvatarHistory]:
    with box("d-tr") as root:
        moment(change.timestamp)
        words(change.user_id, "d-mono d-link", "a", href=f"/guilds/avatars?user={change.user_id}")
        with box("d-two"):
            words(AVATAR_TYPES[change.history_type])
            if change.guild_id is not None:
                guild = guild_address(change.guild_id)
                words(change.guild_id, "d-mono", "a", href=guild, title=say("Guild", "サーバー"))
        with box("d-two"):
            Address("d-small d-quiet").take(change.old_avatar_url)
            Address("d-small").take(change.new_avatar_url)
        _colour(change.dominant_color)
        words(shortened(change.image_format or "–"), "d-quiet")
        words(size(change.image_size), "d-right d-number")
    return Row(root, lambda _: None)


def _colour(colour: str | None) -> None:
    with box("d-row d-tight"):
        if colour is not None and COLOUR.fullmatch(colour):
            box("d-swatch", "i", aria_hidden="true").style(f"--swatch:{colour}")
        shown = shortened(colour or "–")
        words(shown, "d-mono d-cut", title=shown)


def size(count: int | None) -> str:
    """How large a picture is.

    >>> [size(count) for count in (None, 812, 45_231, 3_200_000)]
    ['–', '812 B', '45 kB', '3.2 MB']
    """
    if count is None:
        return "–"
    if count < 1000:
        return f"{count:,} B"
    return f"{count / 1000:,.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:,.1f} MB"
