"""The tables ``calls`` and ``call_logs`` of seed 000, and what Daicho adds to them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from daicho.core.dialect import trigram_index
from daicho.core.model import Base
from daicho.core.types import Key, now


class Call(Base):
    """A telephone call. It is live while ``ended_at`` is None."""

    __tablename__ = "calls"
    __table_args__ = (
        Index("ix_calls_started_at_id", "started_at", "id"),
        Index("ix_calls_client_id_started_at_id", "client_id", "started_at", "id"),
        Index(
            "ix_calls_live",
            "started_at",
            "id",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[Key]
    call_id: Mapped[str] = mapped_column(String(64), unique=True)
    client_id: Mapped[str] = mapped_column(String(128))
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    current_state: Mapped[str] = mapped_column(String(64), default="init")
    is_transferred: Mapped[bool] = mapped_column(default=False)
    handover_summary: Mapped[str | None] = mapped_column(Text)
    caller_number: Mapped[str | None] = mapped_column(String(32))


class CallLog(Base):
    """One line of a call's transcript.

    Lines of one call are numbered (``id``) in the order in which they were acknowledged.
    ``message_id`` is the client's own name for a line: a second line of that name changes nothing.
    """

    __tablename__ = "call_logs"
    __table_args__ = (
        Index("ix_call_logs_call_id_id", "call_id", "id"),
        Index(
            "uq_call_logs_call_id_message_id",
            "call_id",
            "message_id",
            unique=True,
            sqlite_where=text("message_id IS NOT NULL"),
            postgresql_where=text("message_id IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    call_id: Mapped[str] = mapped_column(String(64), ForeignKey("calls.call_id", ondelete="CASCADE"))
    timestamp: Mapped[datetime] = mapped_column(default=now)
    role: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(64))
    message_id: Mapped[str | None] = mapped_column(String(64))


TEXT_INDEX = trigram_index("ix_call_logs_text_trgm", CallLog.text)
