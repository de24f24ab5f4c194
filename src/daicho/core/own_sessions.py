"""Sessions for ``sessionmaker``: opened by a call, committed and closed by their caller."""

from contextlib import ExitStack
from typing import Any

from sqlalchemy.orm import Session

from daicho.core.engine import Database
from daicho.core.sessions import guard


class OwnSession(Session):
    """A session of SQLAlchemy's that knows its ledger: it sets a new file up, refuses a closed ledger, and
    tells who watches of its commits.

    Args:
        database: where.
        room: what the change feed is told after a commit.
        options: as for ``Session``. With a ``bind`` it is on that one, and knows nothing of the ledger.
    """

    def __init__(self, database: Database, room: str, bind: Any = None, **options: Any) -> None:
        self._holds = ExitStack()
        if bind is None and database.in_memory:
            database.ensure_ready()
        super().__init__(database.own_engine if bind is None else bind, **options)
        if bind is None:
            guard(self, database, room, self._holds, immediate=False)

    def close(self) -> None:
        """Roll back what was not committed, and keep nobody waiting any more. It may be used again."""
        try:
            super().close()
        finally:
            self._holds.close()
