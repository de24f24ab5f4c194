"""The chats on the console: all sessions, those with the newest messages first.

The table stands in ``page_lists``; one session's page in ``page_session``, what was said in ``page_talk``.
"""

from daicho.chats import page_session
from daicho.chats.following import patience
from daicho.chats.models import SESSION_MAX
from daicho.chats.needs import LiveChatLedger
from daicho.chats.page_lists import Sessions
from daicho.core.elements import box, show, words
from daicho.core.errors import Invalid
from daicho.core.filters import Filters, suggest
from daicho.core.language import Text, say
from daicho.core.screen import Console, Screen

LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than that of one session."""


def register(console: Console[LiveChatLedger]) -> None:
    """Add this room's pages to the console."""
    console.room("chats", Text("Chats", "チャット"), "/chats")

    @console.page("/chats", "chats")
    async def overview(screen: Screen) -> None:
        ledger = console.ledger
        page = Overview(ledger, screen)
        await screen.follow("chats", page.look, LOOK_SECONDS, lambda: patience(ledger.chats))
        if ledger.chats.tells:  # else each of those looks is at the costs, too
            await screen.follow("usage", page.sessions.look_at_costs, LOOK_SECONDS)

    page_session.register(console)


class Overview:
    """The page of all sessions. What the reader chose is in ``filters``, and in the address."""

    def __init__(self, ledger: LiveChatLedger, screen: Screen) -> None:
        self._screen = screen
        self._filters = Filters(screen, self._choose)
        screen.name(say("Chats", "チャット"))
        in_table = ledger.chats.backend == "dynamodb"
        with box("d-row"):
            words(say("Chats", "チャット"), "d-grow", "h1")
            words(
                say("Kept in DynamoDB", "保存先: DynamoDB")
                if in_table
                else say("Kept in the database", "保存先: データベース"),
                "d-quiet d-small",
            )
        with self._filters.bar():
            hint = say("Any", "すべて")
            self._names = self._filters.text(
                "prefix", say("Session begins with", "セッション名の先頭"), hint, SESSION_MAX
            )
            self._filters.date("from", say("Active since", "この日以降のメッセージ"))
        self.sessions = Sessions(ledger, screen, self._turn_page, screen.query.get("after"))
        self._empty_states(in_table)

    async def look(self) -> None:
        """Bring the page up to date."""
        chosen, wrong = self._filters.chosen, ""
        self._filters.offer_to_clear()
        try:
            found = await self.sessions.look(chosen["prefix"] or None, self._filters.day("from"))
        except Invalid as error:  # an address may say anything
            found, wrong = False, str(error)
            self.sessions.clear()
        self._why.set_text(wrong)
        show(self._wrong, bool(wrong))
        show(self._welcome, not (found or wrong or self._filters.any))
        show(self._no_match, self._filters.any and not (found or wrong))
        suggest(self._names, [_kind(session_id) for session_id in self.sessions.names])

    async def _choose(self) -> None:
        self.sessions.pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        self._screen.remember({**self._filters.chosen, "after": self.sessions.pager.cursor or ""})
        await self.look()

    def _empty_states(self, in_table: bool) -> None:
        with box("d-sheet d-empty", hidden=True) as self._welcome:
            words(say("The ledger holds no chats yet.", "台帳にまだチャットがありません。"), tag="b")
            if in_table:
                with box():
                    words(say("Create DynamoDB's tables first: ", "先に DynamoDB のテーブルを作る: "))
                    words("daicho chats init", tag="code")
            with box():
                words(say("Fill it with an example: ", "見本を入れるには: "))
                words("daicho demo", tag="code")
            with box():
                words(say("Or record your own: ", "自分の会話を記録するには: "))
                hello = say("Hello", "こんにちは")
                words(f'ledger.chats.append("session-1", "user", "{hello}")', tag="code")
        with box("d-sheet d-empty", hidden=True) as self._no_match:
            words(say("No session fits these filters.", "条件に合うセッションはありません。"), tag="b")
            words(say("Change one, or clear them all.", "条件を変えるか、解除してください。"))
        with box("d-sheet d-empty d-slim", role="status", hidden=True) as self._wrong:
            self._why = words("")
            words(say("From the beginning ›", "最初から表示 ›"), "d-link", "a", href=self._screen.path)


def _kind(session_id: str) -> str | None:
    """What a session's name begins with, for those that begin alike: ``discord:``."""
    kind, colon, _ = session_id.partition(":")
    return kind + colon if colon else None
