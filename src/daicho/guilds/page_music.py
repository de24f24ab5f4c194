"""A guild's music on its page: what plays, and the queue in its order."""

from daicho.core.elements import Chip, Fact, Moment, Row, Rows, box, show, words
from daicho.core.language import say
from daicho.core.page import LIMIT_MAX
from daicho.core.screen import Screen
from daicho.guilds.models import MusicSession, Queue, Track
from daicho.guilds.needs import LiveGuildLedger
from daicho.guilds.page_words import LOOPS, SOURCES, Address, clock, shortened

AT_ONCE = 50
"""Entries of the queue that are shown at first, and with each wish for more."""


class Music:
    """What a guild listens to; drawn where it is made."""

    def __init__(self, ledger: LiveGuildLedger, screen: Screen, guild_id: int) -> None:
        self._guilds, self._guild_id = ledger.guilds, guild_id
        self._limit = AT_ONCE
        self._playing = Playing()
        with box("d-section"):
            with box("d-row"):
                words(say("Queue", "キュー"), tag="h2")
                self._total = words("", "d-quiet d-small d-number")
            with box("d-sheet d-table d-queue") as self._table:
                with box("d-tr d-th"):
                    words("#", "d-right")
                    words(say("Track", "曲"))
                    words(say("Added by", "追加した人"))
                    words(say("Added", "追加"))
                    words(say("Length", "長さ"), "d-right")
                self._rows: Rows[Queue] = Rows(box("", "ol"), lambda entry: entry.id, _row)
            with box("d-sheet d-empty d-slim", hidden=True) as self._nothing:
                words(say("The queue is empty.", "キューは空です。"))
            self._more = words(say("Show more", "さらに表示"), "d-plain", "button", type="button")
            screen.on(self._more, "click", self._show_more)

    async def look(self) -> None:
        """Bring the page up to date."""
        session = await self._guilds.get_music_session(self._guild_id)
        track_id = None if session is None else session.current_track_id
        track = None if track_id is None else await self._guilds.get_track_by_id(track_id)
        entries = await self._guilds.get_guild_queue(self._guild_id, limit=LIMIT_MAX)
        self._playing.take(session, track)
        self._rows.show(entries[: self._limit])
        self._total.set_text(_total(entries))
        show(self._table, bool(entries))
        show(self._nothing, not entries)
        show(self._more, len(entries) > self._limit)

    async def _show_more(self, _: object) -> None:
        self._limit += AT_ONCE
        await self.look()


class Playing:
    """The track that plays, and how the guild listens."""

    def __init__(self) -> None:
        title = say("Now playing", "再生中")
        with box("d-sheet d-playing", "section", aria_label=title):
            with box("d-row"):
                words(title, tag="h2")
                self._paused, self._loop = Chip(say("Paused", "一時停止中"), "d-rests"), Chip("", "")
            with box("d-head", hidden=True) as self._track:
                self._title = words("", "d-title d-song", "b", dir="auto")
                self._artist = words("", "d-title", dir="auto")
                with box("d-row"):
                    self._length = words("", "d-number d-quiet")
                    self._source = words("", "d-chip")
                    self._address = Address("d-small")
            self._nothing = words("", "d-quiet")
            with box("d-inline-facts", "dl", hidden=True) as self._facts:
                self._asked = Fact(say("Asked by", "リクエスト"), "d-mono")
                self._voice = Fact(say("Voice channel", "ボイスチャンネル"), "d-mono")
                self._text = Fact(say("Text channel", "テキストチャンネル"), "d-mono")

    def take(self, session: MusicSession | None, track: Track | None) -> None:
        """Show what plays, if anything does."""
        self._nothing.set_text(
            say("The bot is in no voice channel.", "ボットはボイスチャンネルにいません。")
            if session is None
            else say("Nothing plays.", "何も再生していません。")
        )
        show(self._nothing, track is None)
        show(self._track, track is not None)
        show(self._facts, session is not None)
        show(self._paused.root, session is not None and session.is_paused)
        show(self._loop.root, session is not None)
        self._asked.take(track and track.requested_by)
        if session is not None:
            self._take_session(session)
        if track is not None:
            self._title.set_text(shortened(track.title))
            self._artist.set_text(shortened(track.artist))
            self._length.set_text(_length(track))
            self._source.set_text(SOURCES[track.source])
            self._address.take(track.url)

    def _take_session(self, session: MusicSession) -> None:
        self._loop.name(str(LOOPS[session.loop_mode]))
        self._voice.take(session.voice_channel_id)
        self._text.take(session.text_channel_id)


def _row(entry: Queue) -> Row[Queue]:
    track = entry.track
    title, artist = shortened(track.title), shortened(track.artist)
    with box("d-tr", "li") as root:
        place = words("", "d-right d-number d-quiet")
        with box("d-two"):
            words(title, tag="b", title=title, dir="auto")
            words(artist, "d-quiet d-small", title=artist, dir="auto")
        words(entry.added_by, "d-mono")
        Moment().take(entry.created_at)
        words(_length(track), "d-right d-number")

    def take(entry: Queue) -> None:
        place.set_text(f"{entry.position:,}")

    take(entry)
    return Row(root, take)


def _length(track: Track) -> str:
    """How long a track plays; a stream has no end."""
    return clock(track.duration) if track.duration else "∞"


def _total(entries: list[Queue]) -> str:
    """How many tracks wait, and how long they play together."""
    if not entries:
        return ""
    count, length = len(entries), clock(sum(entry.track.duration for entry in entries))
    more = "+" if count == LIMIT_MAX else ""
    return say(f"{count:,}{more} tracks · {length}{more}", f"{count:,}{more} 曲 · 合計 {length}{more}")
