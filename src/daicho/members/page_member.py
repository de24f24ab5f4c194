"""The page of one member: a person or a virtual one, and the file that describes them."""

from daicho.core.cost import Cost, has_pages
from daicho.core.elements import box, show, words
from daicho.core.errors import Invalid, NotFound
from daicho.core.language import say
from daicho.core.money import Costs
from daicho.core.one_page import Missing, OnePageWithCost
from daicho.core.screen import Console, Screen
from daicho.members.models import HumanMember, MemberFile, VirtualMember
from daicho.members.needs import LiveMemberLedger
from daicho.members.page_facts import ChipSection, Facts, FileTrouble, Passage, Provenance
from daicho.members.page_words import KINDS, address, monogram, overview
from daicho.members.schemas import Kind

Member = HumanMember | VirtualMember
Found = tuple[Member, MemberFile | None]


def register(console: Console[LiveMemberLedger]) -> None:
    """Add the pages of one member to the console."""
    # Virtual members are those that call LLMs; from their page a person of the same name is found too.
    has_pages("member", lambda name: address(Kind.VIRTUAL, name))

    @console.page("/members/human/{name:path}", "members")
    async def one_person(screen: Screen) -> None:
        await MemberPage(console.ledger, screen, Kind.HUMAN).open()

    @console.page("/members/virtual/{name:path}", "members")
    async def one_virtual_member(screen: Screen) -> None:
        await MemberPage(console.ledger, screen, Kind.VIRTUAL).open()


class MemberPage(OnePageWithCost[Found, "Drawn"]):
    """The page of one member."""

    def __init__(self, ledger: LiveMemberLedger, screen: Screen, kind: Kind) -> None:
        self._members, self._costs, self._kind = ledger.members, ledger.usage, kind
        self._name = screen.route["name"] or screen.query.get("name", "")
        screen.name(self._name)
        said = say("There is no such member.", "そのメンバーはいません。")
        back = say("To all members", "メンバー一覧へ")
        super().__init__(screen, Missing(said, self._name, back, overview(kind)))

    async def open(self) -> None:
        """Show the member, and follow what changes."""
        await self._screen.follow("members", self.look)
        await self._screen.follow("usage", self.look_at_cost)

    async def text(self) -> str | None:
        """Read the member's long text again: what a person says of themselves, or a prompt."""
        return _text(await self._member(self._kind))

    async def _member(self, kind: Kind) -> Member | None:
        try:
            if kind is Kind.HUMAN:
                return await self._members.get_human(self._name)
            return await self._members.get_virtual(self._name)
        except (NotFound, Invalid):  # there is none, or there cannot be one of such a name
            return None

    async def _find(self) -> Found | None:
        member = await self._member(self._kind)
        if member is None:
            return None
        return member, await self._members.file(member.file_uri) if member.file_uri else None

    def _draw(self, found: Found) -> "Drawn":
        return Drawn(found[0], self._screen, self, self._costs)

    async def _take(self, drawn: "Drawn", found: Found) -> None:
        member, file = found
        drawn.take(member)
        drawn.trouble.take(file)
        drawn.provenance.take(member.file_uri, file)

    async def _elsewhere(self) -> list[tuple[str, str]]:
        other = Kind.HUMAN if self._kind is Kind.VIRTUAL else Kind.VIRTUAL
        if await self._member(other) is None:
            return []
        return [(f"{KINDS[other]}: {self._name[:100]} ›", address(other, self._name))]


class Drawn:
    """The parts of a member's page."""

    def __init__(self, member: Member, screen: Screen, page: MemberPage, costs: Costs) -> None:
        kind = Kind.HUMAN if isinstance(member, HumanMember) else Kind.VIRTUAL
        back = say(f"‹ {KINDS[kind].en}", f"‹ {KINDS[kind].ja}")
        words(back, "d-link d-small", "a", href=overview(kind))
        with box("d-row d-tight"):
            monogram(kind, member.name, "d-large")
            with box("d-head"):
                words(member.name, "d-title", "h1", dir="auto")
                self._role = words("", "d-title d-quiet", "div", dir="auto")
        self.trouble = FileTrouble()
        with box("d-call"):
            with box("d-beside"):
                self._facts = Facts()
                self.cost = Cost(costs, f"member:{member.name}")
                self.provenance = Provenance()
            with box("d-section d-roomy"):
                self._skills = ChipSection(say("Skills", "スキル"))
                self._traits = ChipSection(say("Personality", "性格"))
                self._expertise = ChipSection(say("Expertise", "専門分野"), "d-expertise")
                self._text = _passage(kind, screen, page)

    def take(self, member: Member) -> None:
        """Show the member as they are now."""
        self._role.set_text(member.role or "")
        show(self._role, bool(member.role))
        person = member if isinstance(member, HumanMember) else None
        virtual = member if isinstance(member, VirtualMember) else None
        self._skills.take(person.skills if person else None)
        self._traits.take(virtual.personality_traits if virtual else None)
        self._expertise.take(virtual.expertise_areas if virtual else None)
        self._facts.take(member)
        self._text.take(_text(member))


def _passage(kind: Kind, screen: Screen, page: MemberPage) -> Passage:
    if kind is Kind.HUMAN:
        title, nothing = say("About", "自己紹介"), say("Nothing is said.", "自己紹介はありません。")
    else:
        title, nothing = say("System prompt", "システムプロンプト"), say("There is none.", "ありません。")
    return Passage(screen, title, nothing, page.text)


def _text(member: Member | None) -> str | None:
    if member is None:
        return None
    return member.bio if isinstance(member, HumanMember) else member.system_prompt
