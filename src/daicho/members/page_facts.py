"""What is known of a member, on the member's page: facts, long texts, and the file that they come from."""

import re
from collections.abc import Awaitable, Callable

from daicho.core.elements import Fact, FactOfTime, box, fact, set_attribute, show, words
from daicho.core.language import say
from daicho.core.screen import Screen
from daicho.core.tail import LongText
from daicho.members.models import HumanMember, MemberFile, VirtualMember
from daicho.members.page_files import Problems
from daicho.members.page_words import Chips, Labels, StatusChip
from daicho.members.schemas import FileStatus

GITHUB_NAME = re.compile(r"[A-Za-z0-9-]+")
"""Only such a name becomes part of a link."""


class Facts:
    """A member's facts; drawn where they are made."""

    def __init__(self) -> None:
        with box("d-sheet d-facts", "dl"):
            self._model = Fact(say("Model", "モデル"), "d-mono")
            self._mail = Fact(say("Mail", "メール"))
            with fact(say("GitHub", "GitHub")) as self._github, box("d-title", "dd"):
                self._profile = words("", "", "a", target="_blank", rel="noopener noreferrer")
            self._created = FactOfTime(say("Created", "作成"))
            self._updated = FactOfTime(say("Updated", "更新"))

    def take(self, member: HumanMember | VirtualMember) -> None:
        """Show the member's facts as they are now."""
        person = member if isinstance(member, HumanMember) else None
        self._model.take(member.llm_model if isinstance(member, VirtualMember) else None)
        self._mail.take(person.contact_email if person else None)
        self._take_github(person.github_username if person else None)
        self._created.take(member.created_at)
        self._updated.take(member.updated_at)

    def _take_github(self, name: str | None) -> None:
        show(self._github, bool(name))
        self._profile.set_text(name or "")
        linked = GITHUB_NAME.fullmatch(name or "")
        set_attribute(self._profile, "href", linked and f"https://github.com/{name}")
        self._profile.classes(**{"add" if linked else "remove": "d-link"})


class Provenance:
    """Where a member comes from: the file, its version, and whether it was taken over."""

    def __init__(self) -> None:
        with box("d-sheet d-facts d-source", "dl", aria_label=say("Where it comes from", "出所")):
            self._uri = Fact(say("File", "ファイル"), "d-mono")
            with fact(say("Status", "状態")) as self._status_row, box("", "dd"):
                self._status = StatusChip()
            self._version = Fact(say("Version", "版"), "d-mono")
            self._modified = FactOfTime(say("Modified", "変更"))
            self._taken = FactOfTime(say("Taken over", "取り込み"))
            self._read = FactOfTime(say("Last read", "読み取り"))

    def take(self, uri: str | None, file: MemberFile | None) -> None:
        """Show what is known of a file; None for what is not."""
        self._uri.take(uri or say("None: a program has saved this member", "なし (プログラムが登録)"))
        show(self._status_row, file is not None)
        if file is not None:
            self._status.take(file.status)
        ok = file is not None and file.status == FileStatus.OK
        self._version.take(file.etag if file else None)
        self._modified.take(file.modified_at if file else None)
        self._taken.take(file.synced_at if file and ok else None)
        self._read.take(file.synced_at if file and not ok else None)


class FileTrouble:
    """A warning, shown while the member's file could not be taken over in its newest version."""

    def __init__(self) -> None:
        title = say(
            "The newest version of the file could not be taken over", "最新の版は取り込めませんでした"
        )
        with box("d-sheet d-trouble", "section", aria_label=title, hidden=True) as self._root:
            words(title, tag="h2")
            words(
                say("What is shown here is from before.", "ここに表示しているのは以前の内容です。"), tag="div"
            )
            self._problems = Problems()

    def take(self, file: MemberFile | None) -> None:
        """Show what is wrong with a file, if anything is."""
        wrong = file is not None and file.status != FileStatus.OK
        show(self._root, wrong)
        self._problems.take(file.problems if file and wrong else None)


class Passage:
    """A text that may be very long and may change, under its title.

    Args:
        screen: the page.
        title: what the text is.
        nothing: what is said where there is none.
        again: reads the text again, when more of it is wanted.
    """

    def __init__(
        self, screen: Screen, title: str, nothing: str, again: Callable[[], Awaitable[str | None]]
    ) -> None:
        self._screen, self._nothing, self._again = screen, nothing, again
        self._shown: int | None = None
        with box("d-sheet d-passage", "section", aria_label=title):
            words(title, tag="h2")
            self._place = box()

    def take(self, text: str | None) -> None:
        """Show a text, drawn anew only if it is another than before."""
        mark = hash(text)  # the text itself is not kept: it may be long, and readers many
        if mark == self._shown:
            return
        self._shown = mark
        self._place.clear()
        with self._place:
            if text:
                LongText(self._screen, text, self._again, "d-pre")
            else:
                words(self._nothing, "d-quiet")


class ChipSection:
    """Labels under their title; hidden while there are none."""

    def __init__(self, title: str, classes: str = "") -> None:
        with box("d-sheet d-passage", "section", aria_label=title) as self._root:
            words(title, tag="h2")
            self._chips = Chips(title, classes=f"d-whole {classes}")

    def take(self, texts: Labels) -> None:
        """Show these labels."""
        self._chips.take(texts)
        show(self._root, bool(texts))
