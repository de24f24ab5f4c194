"""SQLAlchemy's sessions and engine on the ledger (seed 000, 直接SQLAlchemyを使用).

Importing this opens nothing: a new SQLite file is set up when a session first asks it something.
"""

from collections.abc import Iterator

from sqlalchemy import Engine
from sqlalchemy.orm import Session

import daicho_dropin
from daicho.core.manners import Naive
from daicho.core.model import Base

__all__ = ["Base", "SessionLocal", "engine", "get_db"]

NAIVE = Naive.UTC
"""The console has always kept UTC, with and without saying so."""


SessionLocal = daicho_dropin.sessions(NAIVE, "calls", autoflush=False)
"""Opens a session that its caller commits and closes."""
engine: Engine


def get_db() -> Iterator[Session]:
    """Yield a session, and close it afterwards (a dependency of FastAPI)."""
    with SessionLocal() as session:
        yield session


def __getattr__(name: str) -> object:
    if name == "engine":
        return daicho_dropin.engine(NAIVE)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
