"""Who gets a name that a sync's files ask for: decided of all of them together, by names alone.

A name belongs to who has it, unless that one's own file gives it up in this very sync. Whoever does not
get the name that it wants keeps the one that it has, which may decide about others: so until nothing
moves any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daicho.core.language import Text


def has_file(uri: str | None) -> bool:
    """Whether a member's ``file_uri`` is that of a file.

    What vecr-garage wrote is a path without its bucket: as good as none, until a file takes the member
    over.
    """
    return uri is not None and "://" in uri


@dataclass(frozen=True, slots=True)
class Wish:
    """The name that a file asks for, and the one that its member has; None where it has no member."""

    uri: str
    name: str
    had: str | None

    @property
    def keeps(self) -> bool:
        """Whether the file asks for the very name that its member has."""
        return self.had == self.name

    @property
    def moves(self) -> bool:
        """Whether the file gives a name up for another."""
        return self.had is not None and self.had != self.name


@dataclass(frozen=True, slots=True)
class Names:
    """What is known of names before a sync: enough to decide who gets which.

    Attributes:
        holders: the file of the member that has a name, None where it has none; a name that nobody has
            is not in it.
        gone: the files that are no more.
        prune: whether the members of those files are removed first.
    """

    holders: Mapping[str, str | None]
    gone: frozenset[str]
    prune: bool = False

    def decide(self, wishes: Iterable[Wish]) -> tuple[dict[str, Text], frozenset[str]]:
        """Decide about a kind's files.

        Returns:
            The files that do not get their name, with the reason; and those that give one up.
        """
        ordered = sorted(wishes, key=lambda wish: (not wish.keeps, wish.uri))
        leaving = {wish.uri for wish in ordered if wish.moves}
        while True:
            refused = self._refused(ordered, leaving)
            if not leaving & refused.keys():
                return refused, frozenset(leaving)
            leaving -= refused.keys()

    def _refused(self, wishes: Iterable[Wish], leaving: set[str]) -> dict[str, Text]:
        refused: dict[str, Text] = {}
        taken: dict[str, str] = {}
        for wish in wishes:
            if wish.name in taken or not self._is_free(wish, leaving):
                refused[wish.uri] = belongs_to(wish.name, taken.get(wish.name) or self.holders[wish.name])
            else:
                taken[wish.name] = wish.uri
        return refused

    def _is_free(self, wish: Wish, leaving: set[str]) -> bool:
        if wish.name not in self.holders:
            return True
        holder = self.holders[wish.name]
        if holder == wish.uri or holder in leaving:
            return True
        if not has_file(holder):
            return wish.had is None
        return holder in self.gone and (self.prune or wish.had is None)


def belongs_to(name: str, holder: str | None) -> Text:
    """The reason why a file does not get a name."""
    who = holder or "?"
    return Text(
        f"the name {name!r} belongs to {who}; give one of them another",
        f"名前 {name!r} は {who} のものです。どちらかの名前を変えてください",
    )
