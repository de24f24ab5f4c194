"""The members on the console: people, virtual members, and the files that could not be taken over.

Parts of this page stand in ``page_lists``, ``page_files`` and ``page_words``; one member's own page in
``page_member``.
"""

from daicho.core.elements import Words, box, set_attribute, show, words
from daicho.core.filters import Filters
from daicho.core.language import Text, say
from daicho.core.screen import Console, Screen
from daicho.members import page_member
from daicho.members.needs import LiveMemberLedger
from daicho.members.page_files import TroubledFiles
from daicho.members.page_lists import cards
from daicho.members.page_words import KINDS, chosen, overview
from daicho.members.schemas import Kind

LOOK_SECONDS = 0.5
"""The least time between two looks: this page reads more at once than that of one member."""


def register(console: Console[LiveMemberLedger]) -> None:
    """Add this room's pages to the console."""
    console.room("members", Text("Members", "メンバー"), "/members")

    @console.page("/members", "members")
    async def all_members(screen: Screen) -> None:
        await Overview(console.ledger, screen).open()

    page_member.register(console)


class Overview:
    """The page of all members. What the reader looks for is in ``filters``, and in the address."""

    def __init__(self, ledger: LiveMemberLedger, screen: Screen) -> None:
        self._members, self.screen = ledger.members, screen
        self.kind = Kind.VIRTUAL if screen.query.get("kind") == Kind.VIRTUAL else Kind.HUMAN
        self.filters = Filters(screen, self._choose)
        screen.name(say("Members", "メンバー"))
        with box("d-row"):
            words(say("Members", "メンバー"), "d-grow", "h1")
            self._search_field()
        self.troubled = TroubledFiles(ledger.members, screen, self.look)
        self._tabs()
        self.cards = cards(self.kind, ledger.members, screen, self._turn_page)
        self._empty_states()

    async def open(self) -> None:
        """Show what there is, and keep it up to date."""
        await self.screen.follow("members", self.look, LOOK_SECONDS)

    async def look(self) -> None:
        """Bring the page up to date."""
        text = self.filters.chosen["q"]
        counts = await self._members.counts()
        for kind, (way, count) in self.ways.items():
            set_attribute(way, "href", overview(kind, text))
            count.set_text(f"{counts[kind]:,}")
        await self.troubled.look(counts["troubled"])
        found = await self.cards.look(text)
        some = found > 0 or self.cards.pager.cursor is not None
        any_one = any(counts[kind] for kind in Kind)
        show(self.cards.root, some)
        show(self.welcome, not some and not any_one)
        show(self.no_match, not some and any_one and bool(text))
        show(self.none_yet, not some and any_one and not text)

    async def _choose(self) -> None:
        self.cards.pager.restart()
        await self._turn_page()

    async def _turn_page(self) -> None:
        query = chosen(self.kind, self.filters.chosen["q"])
        self.screen.remember({**query, "after": self.cards.pager.cursor or ""})
        await self.look()

    # -- what the reader chooses with ----------------------------------------------------------------

    def _search_field(self) -> None:
        hint = say("Search by name or role", "名前・役割で検索")
        field = box("d-search", "input", type="search", placeholder=hint, aria_label=hint, maxlength=200)
        self.filters.typed("q", field)

    def _tabs(self) -> None:
        self.ways: dict[Kind, tuple[Words, Words]] = {}
        with box("d-tabs", "nav", aria_label=say("Kinds of members", "メンバーの種類")):
            for kind, title in KINDS.items():
                here = "page" if kind is self.kind else None
                with words(title, tag="a", href=overview(kind), aria_current=here) as way:
                    self.ways[kind] = way, words("", "d-count")

    # -- what is said when there is nothing to show -----------------------------------------------------

    def _empty_states(self) -> None:
        with box("d-sheet d-empty", hidden=True) as self.welcome:
            words(say("The ledger holds no members yet.", "台帳にまだメンバーがいません。"), tag="b")
            with box():
                words(say("Take over their files: ", "ファイルから取り込むには: "))
                words("daicho members sync s3://bucket", tag="code")
            with box():
                words(say("Or fill it with an example: ", "見本を入れるには: "))
                words("daicho demo", tag="code")
        with box("d-sheet d-empty", hidden=True) as self.no_match:
            words(say("No member's name or role has that.", "該当するメンバーはいません。"), tag="b")
            words(say("Try fewer or other characters.", "短くするか、別の文字で試してください。"))
        with box("d-sheet d-empty d-slim", hidden=True) as self.none_yet:
            words(
                say("There are no people yet.", "人間メンバーはまだいません。")
                if self.kind is Kind.HUMAN
                else say("There are no virtual members yet.", "仮想メンバーはまだいません。")
            )
