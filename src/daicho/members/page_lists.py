"""The lists of the members page: cards of people, cards of virtual members, a page at a time."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from daicho.core.elements import Row, Rows, Words, box, show, words
from daicho.core.language import say
from daicho.core.operation import Async
from daicho.core.page import Page
from daicho.core.screen import PlainPager, Screen
from daicho.members.models import HumanMember, VirtualMember
from daicho.members.page_words import Chips, address, monogram
from daicho.members.schemas import Kind
from daicho.members.store import MemberStore

AT_ONCE = 24
CHIPS = 6
"""Labels on a card; the others are on the member's own page."""
PREVIEW = 400
"""Characters of a prompt that a card holds; its lines show fewer."""

M = TypeVar("M", bound=HumanMember | VirtualMember)


class Cards(Generic[M]):
    """Members of one kind by name, a page at a time.

    Args:
        ask: reads a page of them: ``members.list_humans`` or ``members.list_virtual``.
        make: draws a member's card.
        screen: the page.
        turn: shows the page that ``pager`` has come to.
    """

    def __init__(
        self,
        ask: Callable[..., Awaitable[Page[M]]],
        make: Callable[[M], Row[M]],
        screen: Screen,
        turn: Callable[[], Awaitable[None]],
    ) -> None:
        self._ask = ask
        with box("d-section") as self.root:
            self._cards = Rows(box("d-cards d-members"), lambda member: member.name, make)
            self.pager = PlainPager(screen, turn, screen.query.get("after"))

    async def look(self, text: str) -> int:
        """Bring the cards up to date; return how many there are."""
        page = await self._ask(text=text or None, limit=AT_ONCE, cursor=self.pager.cursor)
        self._cards.show(page.items)
        self.pager.show(page.next)
        return len(page)


def cards(
    kind: Kind, members: MemberStore[Async], screen: Screen, turn: Callable[[], Awaitable[None]]
) -> Cards[HumanMember] | Cards[VirtualMember]:
    """Add the list of a kind's members."""
    if kind is Kind.HUMAN:
        return Cards(members.list_humans, _person, screen, turn)
    return Cards(members.list_virtual, _virtual, screen, turn)


def _person(person: HumanMember) -> Row[HumanMember]:
    with box("d-sheet d-card", "a", href=address(Kind.HUMAN, person.name)) as root:
        role = _head(Kind.HUMAN, person.name)
        skills = Chips(say("Skills", "スキル"), CHIPS)
        with box("d-card-foot") as foot:
            mail, github = words("", "d-cut"), words("", "d-mono")

    def take(person: HumanMember) -> None:
        _show(role, person.role)
        skills.take(person.skills)
        _show(mail, person.contact_email)
        _show(github, person.github_username and f"@{person.github_username}")
        show(foot, bool(person.contact_email or person.github_username))

    take(person)
    return Row(root, take)


def _virtual(member: VirtualMember) -> Row[VirtualMember]:
    with box("d-sheet d-card", "a", href=address(Kind.VIRTUAL, member.name)) as root:
        role = _head(Kind.VIRTUAL, member.name)
        prompt = words("", "d-preview", "div", dir="auto")
        traits = Chips(say("Personality", "性格"), CHIPS)
        expertise = Chips(say("Expertise", "専門分野"), CHIPS, "d-expertise")
        with box("d-card-foot"):
            model = words("", "d-mono")

    def take(member: VirtualMember) -> None:
        _show(role, member.role)
        _show(prompt, (member.system_prompt or "")[:PREVIEW].strip())
        traits.take(member.personality_traits)
        expertise.take(member.expertise_areas)
        model.set_text(member.llm_model)

    take(member)
    return Row(root, take)


def _head(kind: Kind, name: str) -> Words:
    """The name, which stays, and the role, which is returned."""
    with box("d-card-head"):
        monogram(kind, name)
        with box("d-two"):
            words(name, tag="b", title=name, dir="auto")
            return words("", "d-quiet d-small", dir="auto")


def _show(shown: Words, text: str | None) -> None:
    shown.set_text(text or "")
    show(shown, bool(text))
