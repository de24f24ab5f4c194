"""What comes into the calls room and what goes out of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from daicho.calls.models import Call, CallLog
from daicho.core.errors import Invalid
from daicho.core.language import Text

CALL = Text("call", "通話")


class Role(StrEnum):
    """Who spoke a line."""

    USER = "user"
    AI = "ai"

    @classmethod
    def of(cls, value: object) -> "Role":
        """Read a role in any letter case; raise Invalid for anything else."""
        try:
            return cls(str(value).strip().lower())
        except ValueError:
            raise Invalid(
                f"role must be 'user' or 'ai', not {str(value)[:40]!r}",
                f"role は 'user' か 'ai' です ({str(value)[:40]!r} でした)",
            ) from None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A transcript line that matches a search, and its call."""

    log: CallLog
    call: Call


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: calls added, calls that were there already, lines added."""

    added: int = 0
    existing: int = 0
    lines: int = 0

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(self.added + other.added, self.existing + other.existing, self.lines + other.lines)


class Out(BaseModel):
    """The base of what goes out: read from a row's attributes."""

    model_config = ConfigDict(from_attributes=True)


class CallOut(Out):
    """A call."""

    call_id: str = Field(examples=["call-123"])
    client_id: str = Field(examples=["client-001"])
    started_at: datetime = Field(examples=["2026-11-21T08:18:22.000000Z"])
    ended_at: datetime | None = Field(description="Null while the call is live.", examples=[None])
    current_state: str = Field(examples=["greeting"])
    is_transferred: bool
    handover_summary: str | None = Field(examples=[None])
    caller_number: str | None = Field(examples=["+81-3-1234-5678"])


class LogOut(Out):
    """One line of a transcript."""

    id: int = Field(description="Rises in the order in which lines were acknowledged.", examples=[1])
    call_id: str = Field(examples=["call-123"])
    timestamp: datetime = Field(examples=["2026-11-21T08:18:25.120000Z"])
    role: str = Field(description="`user` or `ai`; an older program may have left others.", examples=["user"])
    text: str = Field(examples=["こんにちは"])
    state: str = Field(examples=["greeting"])
    message_id: str | None = Field(examples=[None])


class HitOut(Out):
    """A line that matches a search, and its call."""

    log: LogOut
    call: CallOut


class CallPage(Out):
    """Some calls, newest first, and the cursor of the next ones."""

    items: list[CallOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class LogPage(Out):
    """Some lines in spoken order, and the cursor of the next ones."""

    items: list[LogOut]
    next: str | None = Field(description="Pass it as `cursor`; null on the last page.")


class HitPage(Out):
    """Matching lines, newest first, and the cursor of the next ones."""

    items: list[HitOut]
    next: str | None = Field(
        description="Pass it as `cursor`. A page may be short, even empty, and still have a next one."
    )


class StartIn(BaseModel):
    """A call that begins."""

    model_config = ConfigDict(extra="forbid")

    call_id: str = Field(min_length=1, max_length=64, examples=["call-123"])
    client_id: str = Field(max_length=128, examples=["client-001"])
    state: str = Field("init", max_length=64, examples=["init"])
    caller_number: str | None = Field(None, max_length=32, examples=["+81-3-1234-5678"])
    started_at: datetime | None = Field(None, description="With its time zone. Unset: now.")


class LogIn(BaseModel):
    """A line that was spoken."""

    model_config = ConfigDict(extra="forbid")

    role: Annotated[Role, BeforeValidator(lambda value: str(value).strip().lower())] = Field(
        examples=["user"]
    )
    text: str = Field(examples=["こんにちは"])
    state: str | None = Field(None, max_length=64, description="Unset: the call's.", examples=["greeting"])
    client_id: str | None = Field(
        None, max_length=128, description="Given: a call not seen before is created."
    )
    caller_number: str | None = Field(None, max_length=32)
    timestamp: datetime | None = Field(None, description="With its time zone. Unset: now.")
    message_id: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Your own name for this line; sending it again changes nothing.",
    )


class TransferIn(BaseModel):
    """A call that is handed to a person."""

    model_config = ConfigDict(extra="forbid")

    summary: str = Field(examples=["Wants to change a booking for Friday."])


class CompleteIn(BaseModel):
    """A call that ends."""

    model_config = ConfigDict(extra="forbid")

    state: str = Field("completed", max_length=64)
    ended_at: datetime | None = Field(None, description="With its time zone. Unset: now.")
