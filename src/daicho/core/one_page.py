"""The page of one thing: drawn once the thing is found, brought up to date from then on."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from daicho.core.cost import Cost
from daicho.core.elements import box, words
from daicho.core.screen import Screen

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Missing:
    """What a page says of a thing that is not there.

    Attributes:
        said: that there is none.
        name: what was asked for.
        back: the words of the way to those that there are.
        address: where that way leads.
    """

    said: str
    name: str
    back: str
    address: str


class OnePage(ABC, Generic[T, D]):
    """The page of one thing: what draws it is a room's, when it is drawn is alike for all.

    Args:
        screen: the page in its browser.
        missing: what it says while there is no such thing.
        classes: of the page's body.
    """

    def __init__(self, screen: Screen, missing: Missing, classes: str = "d-section d-roomy") -> None:
        self._screen, self._missing = screen, missing
        self._body = box(classes)
        self._drawn: D | None = None
        self._is_missing = False

    async def look(self) -> None:
        """Bring the page up to date."""
        found = await self._find()
        if found is None:
            await self._miss()
            return
        if self._drawn is None:
            self._is_missing = False
            self._body.clear()
            with self._body:
                self._drawn = self._draw(found)
        await self._take(self._drawn, found)

    @abstractmethod
    async def _find(self) -> T | None:
        """Read the thing; None if there is none."""

    @abstractmethod
    def _draw(self, found: T) -> D:
        """Draw the parts of the page that change."""

    @abstractmethod
    async def _take(self, drawn: D, found: T) -> None:
        """Bring these parts up to date."""

    async def _elsewhere(self) -> Sequence[tuple[str, str]]:
        """Look where else the thing may be meant to be, once it is missing: words and address of the ways."""
        return ()

    async def _miss(self) -> None:
        if self._is_missing:
            return
        missing = self._missing
        ways = [*await self._elsewhere(), (missing.back, missing.address)]
        self._drawn, self._is_missing = None, True
        self._screen.client.status_code = 404
        self._body.clear()
        with self._body, box("d-sheet d-empty"):
            words(missing.said, tag="b")
            words(missing.name, "d-mono d-title")
            for said, address in ways:
                words(said, "d-link", "a", href=address)


class HasCost(Protocol):
    """Parts of a page, what the thing has cost among them."""

    @property
    def cost(self) -> Cost: ...


C = TypeVar("C", bound=HasCost)


class OnePageWithCost(OnePage[T, C]):
    """The page of one thing that usage may be recorded for."""

    async def look_at_cost(self) -> None:
        """Bring what the thing has cost up to date."""
        if self._drawn is not None:
            await self._drawn.cost.look()
