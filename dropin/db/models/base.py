"""The declarative base of all models (seed 001, 2.3.1), with its naming convention, and common columns."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from daicho.core.model import Base
from daicho.core.types import now

__all__ = ["Base", "TimestampMixin"]


class TimestampMixin:
    """When a row was made, and when it last changed, for models of the caller's own."""

    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
