"""Members, saved by name in a session of the caller's (seed 002, UPSERT処理)."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

import daicho_dropin
from daicho.core.model import Base
from daicho.members.models import HumanMember, VirtualMember
from db.connection import NAIVE

__all__ = [
    "Base",
    "HumanMember",
    "SessionLocal",
    "VirtualMember",
    "engine",
    "save_or_update_human_member",
    "save_or_update_virtual_member",
]


SessionLocal = daicho_dropin.sessions(NAIVE, "members", autoflush=False)
"""Opens a session that its caller commits and closes."""
engine: Engine
M = TypeVar("M", HumanMember, VirtualMember)


def save_or_update_human_member(
    session: Session, member_data: HumanMember | Mapping[str, Any]
) -> HumanMember:
    """Save a person by name, a new one or new values for the one of that name, and commit.

    Args:
        session: the caller's; an error rolls it back.
        member_data: a person with the values that are set, or the values by the columns' names. An
            instance has all that was stored afterwards, with its id.

    Returns the person as stored, in the session. Raises Invalid; Conflict.
    """
    with daicho_dropin.ledger(NAIVE).within(session) as tx:
        saved = tx.members.save_or_update_human_member(member_data)
    return _told(session, saved, member_data)


def save_or_update_virtual_member(
    session: Session, member_data: VirtualMember | Mapping[str, Any]
) -> VirtualMember:
    """Save a virtual member by name; ``llm_model`` is needed too. As the one for people."""
    with daicho_dropin.ledger(NAIVE).within(session) as tx:
        saved = tx.members.save_or_update_virtual_member(member_data)
    return _told(session, saved, member_data)


def _told(session: Session, saved: M, given: M | Mapping[str, Any]) -> M:
    session.refresh(saved)
    if not isinstance(given, Mapping) and given is not saved:
        for name, value in saved.values().items():
            set_committed_value(given, name, value)
    return saved


def __getattr__(name: str) -> object:
    if name == "engine":
        return daicho_dropin.engine(NAIVE)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
