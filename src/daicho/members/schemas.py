"""What comes into the members room and what goes out of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from daicho.core.errors import Invalid
from daicho.core.language import Text, say
from daicho.members.models import HumanMember, MemberFile, VirtualMember

MEMBER = Text("member", "メンバー")
ENDINGS = (".yml", ".yaml")
URI_MAX = 512
"""The longest URI of a file, in characters."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Kind(StrEnum):
    """Whether a member is a person or a virtual one."""

    HUMAN = "human"
    VIRTUAL = "virtual"

    @property
    def model(self) -> type[HumanMember] | type[VirtualMember]:
        """The table's model."""
        return HumanMember if self is Kind.HUMAN else VirtualMember

    @property
    def folder(self) -> str:
        """The folder of a source that holds their files; the table's name too."""
        return self.model.__tablename__

    @classmethod
    def of(cls, value: object) -> "Kind":
        """Read a kind; raise Invalid for anything else."""
        try:
            return cls(str(value))
        except ValueError:
            raise Invalid(
                f"a member is 'human' or 'virtual', not {str(value)[:40]!r}",
                f"メンバーは 'human' か 'virtual' です ({str(value)[:40]!r} でした)",
            ) from None


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as a listing shows it.

    Attributes:
        wrong: why it cannot be read, if the listing shows that already.
    """

    kind: Kind
    path: str
    etag: str | None
    modified_at: datetime | None
    wrong: Text | None = None


def is_member_file(kind: Kind, path: str) -> bool:
    """Whether a path is one of the layout: directly in its kind's folder, and not hidden."""
    folder, _, name = path.partition("/")
    hidden = name.startswith(".")
    return folder == kind.folder and "/" not in name and name.lower().endswith(ENDINGS) and not hidden


def kind_of(path: str) -> Kind | None:
    """Whose file a path is; None if it is none of the layout."""
    return next((kind for kind in Kind if is_member_file(kind, path)), None)


def wrong_uri(uri: str) -> Text | None:
    """Why a file of this URI cannot be taken over; None if it can."""
    if len(uri) > URI_MAX:
        return Text(
            f"its URI is longer than {URI_MAX} characters; give it a shorter name",
            f"URI が {URI_MAX} 文字を超えています。短い名前にしてください",
        )
    if CONTROL.search(uri):
        return Text(
            "its name has a control character; give it another",
            "ファイル名に制御文字があります。別の名前にしてください",
        )
    try:
        uri.encode()
    except UnicodeEncodeError:
        return Text(
            "its name is not UTF-8 text; give it another",
            "ファイル名が UTF-8 ではありません。別の名前にしてください",
        )
    return None


def can_be_noted(uri: str) -> bool:
    """Whether both databases can keep what is known of a file of this URI."""
    return len(uri) <= URI_MAX and "\x00" not in uri and not re.search(r"[\ud800-\udfff]", uri)


class FileStatus(StrEnum):
    """How a member's file was when it was last read."""

    OK = "ok"
    INVALID = "invalid"
    CONFLICT = "conflict"


class Outcome(StrEnum):
    """What became of a file. ``known``: nothing, since this or a later look at it is known already."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    INVALID = "invalid"
    KNOWN = "known"
    REMOVED = "removed"
    GONE = "gone"


BAD = frozenset({Outcome.INVALID, Outcome.CONFLICT})


class KnownFile(NamedTuple):
    """What is known of a file. Its ``synced_at`` tells one look at it from the next."""

    etag: str | None
    status: str
    synced_at: datetime | None

    @classmethod
    def of(cls, file: MemberFile | None) -> "KnownFile":
        """What a row says; ``NEVER`` for none."""
        return NEVER if file is None else cls(file.etag, file.status, file.synced_at)


NEVER = KnownFile(None, "", None)
"""A file that was never read."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A version of a file, and what it says: a checked row, or what is wrong with it.

    Attributes:
        conflict: why it cannot have the name that it wants, if that is known already.
        gone: files that are no more: their members may go on under another file.
        leaving: files whose own new content gives their member another name.
        known: what was known of the file before it was read: if that is no more so, somebody else has
            looked meanwhile, and nothing is saved. None: it is saved whatever is known.
    """

    kind: Kind
    file_uri: str
    etag: str | None
    modified_at: datetime | None
    row: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Mapping[str, Any], ...] = ()
    sequencer: str | None = None
    conflict: Text | None = None
    gone: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()
    known: KnownFile | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a file; for a conflict, with whom."""

    file_uri: str
    outcome: Outcome
    reason: Text | None = None


def told(problem: Mapping[str, Any]) -> str:
    """A mistake in a file as one line, in the context's language: where, and what."""
    place = "".join(f"{problem[name]}: " for name in ("line", "key") if problem.get(name) is not None)
    return place + reason_of(problem)


def reason_of(problem: Mapping[str, Any]) -> str:
    """What is wrong, in the context's language."""
    english = str(problem["reason"])
    return say(english, str(problem.get("reason_ja") or english))


class Out(BaseModel):
    """The base of what goes out: read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


class MemberOut(Out):
    """What people and virtual members have in common."""

    id: int
    name: str = Field(examples=["華扇"])
    role: str | None
    file_uri: str | None = Field(examples=["s3://members/virtual_members/kasen.yml"])
    created_at: datetime | None = Field(description="Null only where another program wrote so.")
    updated_at: datetime | None


class HumanOut(MemberOut):
    """A person."""

    skills: list[str] | None
    bio: str | None
    contact_email: str | None
    github_username: str | None


class VirtualOut(MemberOut):
    """A virtual member."""

    llm_model: str = Field(examples=["gpt-5"])
    system_prompt: str | None
    personality_traits: list[str] | None
    expertise_areas: list[str] | None


class HumanPage(Out):
    """Some people by name, and the cursor of the next ones."""

    items: list[HumanOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class VirtualPage(Out):
    """Some virtual members by name, and the cursor of the next ones."""

    items: list[VirtualOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class ProblemOut(BaseModel):
    """A mistake in a file."""

    line: int | None
    key: str | None
    reason: str = Field(description="In the language that the request prefers.")

    @model_validator(mode="before")
    @classmethod
    def _in_its_language(cls, problem: Any) -> Any:
        return {**problem, "reason": reason_of(problem)} if isinstance(problem, Mapping) else problem


class FileOut(Out):
    """A member's file as it was last read."""

    file_uri: str
    etag: str | None
    status: str = Field(examples=["ok"])
    problems: list[ProblemOut] | None
    modified_at: datetime | None
    synced_at: datetime


class FilePage(Out):
    """Some files, and the cursor of the next ones."""

    items: list[FileOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")
