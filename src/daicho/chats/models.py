"""The tables of chat logs (seed 002, future work): what was said, and the sessions in which it was."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from daicho.core.model import Base
from daicho.core.types import JsonText

SESSION_MAX = 250
"""The longest name of a session, in characters: usage names it as its source, ``chat:<session>``."""


class ChatLog(Base):
    """One message of a session. Its key is that of the seed's DynamoDB table.

    No two messages of a session have the same ``timestamp``: of two in the same microsecond the later one
    gets the next that is free. ``message_id`` is the sender's own name for a message, or one made for it:
    a second message of that name changes nothing. ``details`` is whatever else there is to it, as JSON.
    """

    __tablename__ = "chat_logs"
    __table_args__ = (UniqueConstraint("session_id", "message_id"),)

    session_id: Mapped[str] = mapped_column(String(SESSION_MAX), primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(String(32))
    content: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(255))
    message_id: Mapped[str] = mapped_column(String(64))
    details: Mapped[str | None] = mapped_column(JsonText)


class ChatSession(Base):
    """A session: the sum of its messages, which the database itself keeps, by trigger, whoever writes.

    ``messages`` is None where nobody has counted them: DynamoDB counts by reading them all.
    """

    __tablename__ = "chat_sessions"
    __table_args__ = (
        Index("ix_chat_sessions_last_at_session_id", "last_at", "session_id"),
        Index("ix_chat_sessions_first_at", "first_at"),
    )

    session_id: Mapped[str] = mapped_column(String(SESSION_MAX), primary_key=True)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    messages: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), nullable=False)
