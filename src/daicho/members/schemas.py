"""What comes into the members room and what goes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from daicho.core.errors import Invalid
from daicho.core.language import Text, say
from daicho.members.models import HumanMember, VirtualMember

MEMBER = Text("member", "メンバー")
ENDINGS = (".yml", ".yaml")


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
    """A file as a listing shows it."""

    kind: Kind
    path: str
    etag: str | None
    modified_at: datetime | None


def is_member_file(kind: Kind, path: str) -> bool:
    """Whether a path is one of the layout: directly in its kind's folder."""
    folder, _, name = path.partition("/")
    return folder == kind.folder and "/" not in name and name.endswith(ENDINGS)


class FileStatus(StrEnum):
    """How a member's file was when it was last read."""

    OK = "ok"
    INVALID = "invalid"
    CONFLICT = "conflict"


class Outcome(StrEnum):
    """What saving a file did."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A version of a file, and what it says: a checked row, or what is wrong with it.

    Attributes:
        conflict: why it cannot have the name that it wants, if that is known already.
        gone: files that are no more: their members may go on under another file.
        leaving: files whose own new content gives their member another name.
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


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving a file did; for a conflict, with whom."""

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
    created_at: datetime
    updated_at: datetime


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
    reason: str


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
