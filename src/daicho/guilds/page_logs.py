"""A guild's logs on its page: a table by type, user, channel and time; what belongs to a log unfolds."""

from collections.abc import Awaitable, Callable

from daicho.core.elements import Chip, Row, box, moment, words
from daicho.core.filters import suggest
from daicho.core.language import say
from daicho.core.page import Page, encode
from daicho.core.screen import Screen
from daicho.core.tail import LongText
from daicho.core.types import readable_json
from daicho.guilds.enums import LogType
from daicho.guilds.models import Log
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_lists import AT_ONCE, FilteredTable
from daicho.guilds.page_words import LOG_TYPES, SHORT, options, shortened, typed_id


class Logs:
    """The logs of a guild, newest first; drawn where it is made."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, guild_id: int) -> None:
        self._guilds, self._screen, self._guild_id = ledger.guilds, screen, guild_id
        self._table = FilteredTable[Log](
            screen,
            self._ask,
            say("Nothing was logged in this guild yet.", "このサーバーのログはまだありません。"),
            say("No log fits these filters.", "条件に合うログはありません。"),
        )
        self._filter_fields()
        self._table.draw(
            "d-logs",
            (
                (say("Time", "日時"), ""),
                (say("Type", "種類"), ""),
                (say("Action", "内容"), ""),
                (say("User", "対象ユーザー"), ""),
                (say("Moderator", "実行者"), ""),
                (say("Channel", "チャンネル"), ""),
            ),
            lambda log: log.id,
            self._row,
        )

    async def look(self) -> None:
        """Bring the table up to date."""
        logs = await self._table.look()
        suggest(self._users, [str(log.user_id) for log in logs if log.user_id is not None])
        suggest(self._moderators, [str(log.moderator_id) for log in logs if log.moderator_id is not None])
        suggest(self._channels, [str(log.channel_id) for log in logs if log.channel_id is not None])

    async def _ask(self, cursor: str | None) -> Page[Log]:
        filters = self._table.filters
        filters.check_days("from", "to")
        return await self._guilds.list_logs(
            self._guild_id,
            log_type=filters.choice("type", LogType),
            user_id=typed_id(filters.chosen["user"]),
            moderator_id=typed_id(filters.chosen["moderator"]),
            channel_id=typed_id(filters.chosen["channel"]),
            since=filters.day("from"),
            until=filters.day("to", 1),
            limit=AT_ONCE,
            cursor=cursor,
        )

    def _filter_fields(self) -> None:
        filters, hint = self._table.filters, say("Discord ID", "Discord の ID")
        with filters.bar():
            filters.select("type", say("Type", "種類"), options(LOG_TYPES))
            self._users = filters.text("user", say("User", "対象ユーザー"), hint, 30)
            self._moderators = filters.text("moderator", say("Moderator", "実行者"), hint, 30)
            self._channels = filters.text("channel", say("Channel", "チャンネル"), hint, 30)
            filters.date("from", say("From", "開始日"))
            filters.date("to", say("To", "終了日"))

    def _row(self, log: Log) -> Row[Log]:
        with box("d-log", "details") as root:
            with box("d-tr", "summary"):
                moment(log.timestamp)
                with box():
                    Chip(str(LOG_TYPES[log.log_type]))
                words(shortened(log.action), "", "b", dir="auto")
                for label, one in (
                    (say("User", "対象ユーザー"), log.user_id),
                    (say("Moderator", "実行者"), log.moderator_id),
                    (say("Channel", "チャンネル"), log.channel_id),
                ):
                    none = " d-none" * (one is None)
                    words("–" if one is None else one, f"d-mono d-labelled{none}", data_label=label)
            body = box("d-unfolded")
        at, log_id = log.timestamp, log.id

        async def again() -> Log | None:
            # The cursor of the place just before it: ids are whole numbers.
            before = encode([at, log_id + 1])
            page = await self._guilds.list_logs(self._guild_id, limit=1, cursor=before)
            return page.items[0] if page.items else None

        async def unfold(is_open: object) -> None:
            # What belongs to a log may be large: it is read only when somebody looks.
            body.clear()
            found = await again() if is_open else None
            if found is not None:
                with body:
                    self._unfolded(found, again)

        self._screen.on(root, "toggle", unfold, "(event) => emit(event.target.open)")
        return Row(root, lambda _: None)

    def _unfolded(self, log: Log, again: Callable[[], Awaitable[Log | None]]) -> None:
        async def action() -> str | None:
            found = await again()
            return None if found is None else found.action

        async def details() -> str | None:
            found = await again()
            return None if found is None else readable_json(found.details)

        if len(log.action) > SHORT:
            words(say("Action", "内容"), "d-label", "div")
            LongText(self._screen, log.action, action, "d-pre")
        words(say("Details", "詳細"), "d-label", "div")
        if log.details is None:
            words(say("There are none.", "ありません。"), "d-pre d-quiet", "div")
        else:
            LongText(self._screen, readable_json(log.details), details, "d-pre d-mono")
