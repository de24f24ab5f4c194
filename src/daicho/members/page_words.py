"""How members look on the console: their addresses, their labels, and words for what their files are."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from daicho.core.elements import Row, Rows, box, hue, show, words
from daicho.core.language import Text, say
from daicho.members.schemas import FileStatus, Kind

KINDS: Mapping[Kind, Text] = {
    Kind.HUMAN: Text("People", "人間メンバー"),
    Kind.VIRTUAL: Text("Virtual members", "仮想メンバー"),
}
STATUSES: Mapping[str, Text] = {
    FileStatus.OK: Text("Taken over", "取り込み済み"),
    FileStatus.INVALID: Text("Not valid", "内容に誤り"),
    FileStatus.CONFLICT: Text("Name taken", "名前の重複"),
}
COLOURS: Mapping[str, str] = {
    FileStatus.OK: "d-done",
    FileStatus.INVALID: "d-failed",
    FileStatus.CONFLICT: "d-warn",
}
NO_PATH = re.compile(r"\.\.?|.*\n.*", re.DOTALL)
"""Names that no path can carry: browsers resolve dots, routes end at a line's end."""
LABEL = 500
"""Characters of a label that are shown; what should be longer is no label."""
Labels = Sequence[str] | None


def address(kind: Kind, name: str) -> str:
    """The address of a member's page; any characters may be in the name."""
    if NO_PATH.fullmatch(name):
        return f"/members/{kind}/?{urlencode({'name': name})}"
    return f"/members/{kind}/{quote(name, safe='')}"


def overview(kind: Kind, text: str = "") -> str:
    """The address of all members of a kind, or of those that a search finds."""
    query = urlencode({name: value for name, value in chosen(kind, text).items() if value})
    return f"/members?{query}" if query else "/members"


def chosen(kind: Kind, text: str) -> dict[str, str]:
    """What a reader has chosen, as it stands in the address; people are shown where nothing is said."""
    return {"kind": "" if kind is Kind.HUMAN else kind.value, "q": text}


def monogram(kind: Kind, name: str, classes: str = "") -> None:
    """Add a member's sign: the name's first character, round for people."""
    shown = words(name[:1].upper(), f"d-monogram d-{kind} {classes}", aria_hidden="true")
    shown.style(hue(name))


class Chips:
    """Short texts as a list of labels.

    Args:
        label: what they are, for those who do not see it.
        most: how many are shown; of the others only their number.
        classes: of each label.
    """

    def __init__(self, label: str, most: int | None = None, classes: str = "") -> None:
        self._most, self._classes = most, classes
        self.root = box("d-chips", "ul", aria_label=label)
        self._rows: Rows[tuple[int, str]] = Rows(self.root, lambda item: item, self._draw)

    def take(self, texts: Labels) -> None:
        """Show these labels."""
        shown = list(texts or [])
        if self._most is not None and len(shown) > self._most:
            more = len(shown) - self._most
            shown = [*shown[: self._most], say(f"+{more} more", f"ほか {more}")]
        self._rows.show(list(enumerate(shown)))
        show(self.root, bool(shown))

    def _draw(self, item: tuple[int, str]) -> Row[tuple[int, str]]:
        text = item[1][:LABEL]
        with box(f"d-chip {self._classes}", "li", title=text) as root:
            words(text, dir="auto")
        return Row(root, lambda _: None)


class StatusChip:
    """A label that says whether a file was taken over."""

    def __init__(self) -> None:
        with box("d-chip", "span") as self.root:
            self._text = words("")

    def take(self, status: str) -> None:
        """Show a status."""
        self.root.classes(replace=f"d-chip {COLOURS.get(status, '')}")
        self._text.set_text(str(STATUSES.get(status, status)))
