"""The table ``tasks`` of seed 001, and what Daicho adds to it."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from daicho.core.model import Base
from daicho.core.types import UuidText


class Task(Base):
    """A task of a coding agent: an issue or a pull request that an agent works on.

    Daicho's own: ``process_identity`` says which process of which kernel works on it, so that a process
    number that another process has got since is not mistaken for it; ``heartbeat_at`` is its last sign
    of life; ``claim`` is new each time that someone takes the task, so that a former one's word is
    not taken for the present one's.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_status", "status"),
        Index("ix_tasks_created_at", "created_at"),
        Index("ix_tasks_user", "user"),
        Index("ix_tasks_task_source_owner_repo", "task_source", "owner", "repo"),
    )

    uuid: Mapped[str] = mapped_column(UuidText, primary_key=True)
    task_source: Mapped[str] = mapped_column(String(50))
    owner: Mapped[str] = mapped_column(String(255))
    repo: Mapped[str] = mapped_column(String(255))
    task_type: Mapped[str] = mapped_column(String(50))
    task_id: Mapped[str] = mapped_column(String(50))
    status: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    process_id: Mapped[int | None]
    hostname: Mapped[str | None] = mapped_column(String(255))
    llm_provider: Mapped[str | None] = mapped_column(String(50))
    model: Mapped[str | None] = mapped_column(String(100))
    context_length: Mapped[int | None]
    llm_call_count: Mapped[int | None] = mapped_column(default=0, server_default="0")
    tool_call_count: Mapped[int | None] = mapped_column(default=0, server_default="0")
    total_tokens: Mapped[int | None] = mapped_column(default=0, server_default="0")
    compression_count: Mapped[int | None] = mapped_column(default=0, server_default="0")
    error_message: Mapped[str | None] = mapped_column(Text)
    user: Mapped[str | None] = mapped_column(String(255))
    process_identity: Mapped[str | None] = mapped_column(String(128))
    heartbeat_at: Mapped[datetime | None]
    claim: Mapped[str | None] = mapped_column(String(36))


ADDED = frozenset({"process_identity", "heartbeat_at", "claim"})
"""The columns that seed 001 does not have: Daicho fills them, callers do not."""
COUNTS = ("llm_call_count", "tool_call_count", "total_tokens", "compression_count")
"""The numbers that are only ever added to."""
