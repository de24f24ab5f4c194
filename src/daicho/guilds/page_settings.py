"""A guild's settings on its page, as the bot keeps them."""

from daicho.core.elements import Fact, FactOfTime, Row, Rows, box, fact, show, words
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.guilds.models import GuildSettings
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_words import shortened

FEATURES = 100
"""Names of features that are shown."""


class SettingsOfGuild:
    """The settings of a guild; drawn where they are made."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, guild_id: int) -> None:
        self._guilds, self._guild_id = ledger.guilds, guild_id
        with box("d-sheet d-facts d-settings", "dl"):
            self._prefix = Fact(say("Prefix", "プレフィックス"), "d-mono")
            with fact(say("Features", "有効な機能")), box("", "dd"):
                features = box("d-chips", "ul", aria_label=say("Features", "有効な機能"))
                self._features: Rows[str] = Rows(features, lambda name: name, _feature)
                self._rest = words("", "d-quiet d-small", hidden=True)
                self._none = words(say("None", "なし"), "d-quiet", hidden=True)
            self._ids = {
                "log_channel_id": Fact(say("Log channel", "ログチャンネル"), "d-mono"),
                "ticket_category_id": Fact(say("Ticket category", "チケットカテゴリ"), "d-mono"),
                "ticket_archive_category_id": Fact(say("Archive category", "保管カテゴリ"), "d-mono"),
                "auto_role_id": Fact(say("Automatic role", "自動付与ロール"), "d-mono"),
            }
            self._created = FactOfTime(say("Registered", "登録"))
            self._updated = FactOfTime(say("Changed", "変更"))
        with box("d-quiet d-small"):
            words(say("Change them with ", "変更するには: "))
            words(f"daicho guilds settings {guild_id} --set prefix=?", tag="code")

    async def look(self) -> None:
        """Bring the settings up to date."""
        settings = await self._guilds.get_guild_settings(self._guild_id)
        if settings is not None:
            self._take(settings)

    def _take(self, settings: GuildSettings) -> None:
        self._prefix.take(shortened(settings.prefix))
        named = (name.strip() for name in settings.features_enabled.split(","))
        names = list(dict.fromkeys(name for name in named if name))
        self._features.show(names[:FEATURES])
        self._rest.set_text(say(f"and {len(names) - FEATURES:,} more", f"ほか {len(names) - FEATURES:,} 件"))
        show(self._rest, len(names) > FEATURES)
        show(self._none, not names)
        for name, shown in self._ids.items():
            number = getattr(settings, name)
            shown.take(say("Not set", "未設定") if number is None else number)
        self._created.take(settings.created_at)
        self._updated.take(settings.updated_at)


def _feature(name: str) -> Row[str]:
    with box("d-chip d-expertise", "li", title=shortened(name)) as root:
        words(shortened(name), dir="auto")
    return Row(root, lambda _: None)
