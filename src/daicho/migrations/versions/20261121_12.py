"""Usage: sums of months by the clocks of Tokyo too

A month there is one bucket a tenant; it was the month in UTC, and eighteen buckets of hours at its ends.

Revision ID: 20261121_12
Revises: 20261121_11
Create Date: 2026-11-29 03:30:00.000000

"""

from collections.abc import Sequence
from dataclasses import replace

from alembic import op

from daicho.core.rollups import Summed, spelled
from daicho.usage.models import USAGE

revision: str = "20261121_12"
down_revision: str | None = "20261121_11"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TOTALS, *OTHERS = USAGE.rollups
FORMER = replace(USAGE, rollups=(replace(TOTALS, grains=("month", "day", "hour")), *OTHERS))
ADDED = "month+9"


def upgrade() -> None:
    _renew(USAGE)
    # Of the hours, not of the records: those may have been dropped, and their sums stay.
    op.get_bind().exec_driver_sql(spelled(op.get_context().dialect.name, USAGE).fill(TOTALS, ADDED))


def downgrade() -> None:
    _renew(FORMER)
    op.execute(f"DELETE FROM {TOTALS.table} WHERE grain = '{ADDED}'")


def _renew(of: Summed) -> None:
    run = op.get_bind().exec_driver_sql
    if op.get_context().dialect.name == "postgresql":
        # What the functions below are created with: nobody's temporary table stands in for one of ours.
        schema = run("SELECT quote_ident(current_schema())").scalar()
        run(f"SET LOCAL search_path = {schema}, pg_temp")
    for statement in spelled(op.get_context().dialect.name, of).renew():
        run(statement)
