"""The tables ``human_members`` and ``virtual_members`` of seed 002, and what is known of their files."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Integer, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from daicho.core.model import Base
from daicho.core.types import Json, StringList


class Member:
    """What people and virtual members have in common. ``file_uri`` is the file that describes them."""

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    role: Mapped[str | None] = mapped_column(String(255))
    file_uri: Mapped[str | None] = mapped_column(String(512))
    created_at: Mapped[datetime] = mapped_column(server_default=func.current_timestamp(), nullable=True)
    updated_at: Mapped[datetime] = mapped_column(server_default=func.current_timestamp(), nullable=True)


class HumanMember(Member, Base):
    """A person."""

    __tablename__ = "human_members"
    __table_args__ = (Index("uq_human_members_file_uri", "file_uri", unique=True),)

    skills: Mapped[list[str] | None] = mapped_column(StringList)
    bio: Mapped[str | None] = mapped_column(Text)
    contact_email: Mapped[str | None] = mapped_column(String(255))
    github_username: Mapped[str | None] = mapped_column(String(255))


class VirtualMember(Member, Base):
    """A virtual member: a language model with a character."""

    __tablename__ = "virtual_members"
    __table_args__ = (Index("uq_virtual_members_file_uri", "file_uri", unique=True),)

    llm_model: Mapped[str] = mapped_column(String(255))
    system_prompt: Mapped[str | None] = mapped_column(Text)
    personality_traits: Mapped[list[str] | None] = mapped_column(StringList)
    expertise_areas: Mapped[list[str] | None] = mapped_column(StringList)


class MemberFile(Base):
    """A file that describes a member, as it was last seen: its version, and what was wrong with it."""

    __tablename__ = "member_files"
    __table_args__ = (Index("ix_member_files_status", "status"),)

    file_uri: Mapped[str] = mapped_column(String(512), primary_key=True)
    etag: Mapped[str | None] = mapped_column(String(255))
    sequencer: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    problems: Mapped[list[dict[str, Any]] | None] = mapped_column(Json)
    modified_at: Mapped[datetime | None]
    synced_at: Mapped[datetime]
