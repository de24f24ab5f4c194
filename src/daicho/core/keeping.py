"""What every room offers of its own: to let go of what is old, and to forget a person.

A room says what of it may leave (``aged``), and where a person appears in it (``traces_of``). Operations
stands above and walks through the rooms, of which it knows no more than this.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from daicho.core.engine import Database
from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.model import unknown_name
from daicho.core.operation import Mode, Store, apart, query
from daicho.core.person import Person, Trace, Traced
from daicho.core.sweep import Advance, Aged, Gone


def _nothing(_: int) -> None:
    pass


class Keeping(Store[Mode]):
    """The part of a room that old rows and persons leave by."""

    @property
    def aged(self) -> Sequence[Aged]:
        """The tables of this room whose rows may leave when they are old."""
        return ()

    @query
    def count_before(self, session: Session, table: str, moment: datetime) -> Gone:
        """Return how many rows of a table are older than an instant, and may go.

        Args:
            table: one of ``aged``.
            moment: an aware instant.

        Returns the number for the table, and for the table whose rows go along. Raises Invalid.
        """
        self._refuse_tenant()
        one = self._one(table)
        return one.count(session, one.since(moment))

    @apart
    def drop_before(
        self,
        database: Database,
        table: str,
        moment: datetime,
        *,
        files: bool = True,
        advance: Advance = _nothing,
    ) -> Gone:
        """Delete the rows of a table that are older than an instant, in short transactions.

        What is live is never among them: a call that goes on, a task that has not ended, an open ticket.
        May be killed at any point and called again.

        Args:
            table: one of ``aged``.
            moment: an aware instant.
            files: whether files that belong to the rows are deleted too.
            advance: told how many rows of the table more are gone.

        Returns as ``count_before``. Raises Invalid.
        """
        self._refuse_tenant()
        one = self._one(table)
        return one.drop(database, one.since(moment), files=files, advance=advance)

    @query
    def find_person(self, session: Session, person: Person) -> list[Traced]:
        """Return how many rows of each table ``forget`` would remove or change; tables without any too.

        Raises Conflict where a name means several persons.
        """
        self._refuse_tenant()
        return [one.traced(one.count(session)) for one in self.traces_of(person)]

    @query
    def out_of_reach(self, session: Session, person: Person) -> list[Text]:
        """Return what ``forget`` leaves in this room, sentence by sentence: what is live, what comes back."""
        self._refuse_tenant()
        return self.left_of(session, person)

    @apart
    def forget(self, database: Database, person: Person, *, advance: Advance = _nothing) -> list[Traced]:
        """Remove a person from this room, or make what is theirs nobody's; sums and costs stay as they are.

        In short transactions. May be killed at any point and called again: a second time there is nothing
        left to do.

        Returns as ``find_person``: what was done.
        """
        self._refuse_tenant()
        return [one.traced(one.erase(database, advance)) for one in self.traces_of(person)]

    def traces_of(self, person: Person) -> Sequence[Trace]:
        """Return where a person appears in this room, in the order in which it is cleared."""
        return ()

    def left_of(self, session: Session, person: Person) -> list[Text]:
        """As ``out_of_reach``."""
        return []

    def _refuse_tenant(self) -> None:
        if self.tenant is not None:
            raise Invalid(
                "letting rows go and forgetting persons is the operator's to do",
                "古い行の削除と個人の記録の消去は運用者のみが行えます",
            )

    def _one(self, table: str) -> Aged:
        known = {one.table: one for one in self.aged}
        if table not in known:
            raise unknown_name(table, known)
        return known[table]
