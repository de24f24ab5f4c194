"""Roll-ups that the database itself keeps: sums of a table's rows, right in the same transaction.

A ``Summed`` table has ``Rollup`` tables beside it. Triggers keep them whoever writes, psql included:
one a statement, with transition tables, on PostgreSQL; one a row on SQLite, which is slow. Where we
write many rows there ourselves (``summing``), the triggers rest and the same statements that PostgreSQL
runs sum the rows as a set: 5 µs a row instead of 55.

Everything is whole numbers, so sums are exact, come out alike in any order, and can be taken back.
Money is two of them: millionths of a dollar, and the rest in units of 10⁻¹⁸, at most a whole millionth.

``STATE`` says from when on the rows are complete. Older ones may be dropped (their sums stay), and a
new row may not be older: that it was not there before could no longer be known.

One statement on SQLite goes past the triggers: a REPLACE of a row that is there (docs/decisions/012).
``summing.compared`` finds the difference, ``summing.rebuild`` mends it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

RESTS = 1_000_000_000_000
"""How many units of the rest make a millionth."""
STATE = "rollup_state"
"""The table of one row: ``raw_from``, and ``in_bulk``: from which rowid on a bulk write of this transaction
sums the rows by itself; 0: none."""
TOO_OLD = "older than the rows that are kept"
"""What the triggers say of a row from before ``raw_from``."""
PRUNED = "raw_from > '0001-01-02'"
"""The condition that older rows have been dropped."""
NO_TRUNCATE = "of the rows that were dropped only sums are left, and TRUNCATE would take them; use DELETE"
"""What the trigger says of a TRUNCATE then."""


@dataclass(frozen=True)
class Rollup:
    """One table of sums.

    Args:
        table: its name.
        keys: its key columns after grain and bucket, and what of a row ``{r}`` each is.
        grains: the lengths of time that it sums over, coarsest first; none: over all time. ``month+9``
            are months by clocks that are nine hours ahead of UTC.
        where: which rows ``{r}`` count; all, if None.
    """

    table: str
    keys: Mapping[str, str]
    grains: tuple[str, ...] = ()
    where: str | None = None

    @property
    def key(self) -> list[str]:
        """The primary key's columns."""
        return [*(["grain", "bucket"] if self.grains else []), *self.keys]


@dataclass(frozen=True, eq=False)
class Summed:
    """A table whose rows are summed.

    Args:
        table: its name.
        instant: the column that says when a row counts.
        measures: the sums' columns, and what of a row ``{r}`` each adds (a whole number). ``calls`` counts.
        money: the column of an amount in dollars; its sums are ``cost_micros`` and ``cost_rest``.
        rollups: the tables of sums.
        watched: the columns that the sums depend on: an update of others changes none.
    """

    table: str
    instant: str
    measures: Mapping[str, str]
    money: str
    rollups: tuple[Rollup, ...]
    watched: tuple[str, ...]

    @property
    def sums(self) -> list[str]:
        """The columns of every table of sums, after its key."""
        return [*self.measures, "cost_micros", "cost_rest"]


class Spelling(ABC):
    """The statements that keep the roll-ups of one table, on one kind of database."""

    def __init__(self, of: Summed) -> None:
        self.of = of

    @abstractmethod
    def bucket(self, grain: str, instant: str) -> str:
        """When the bucket that holds an instant begins."""

    @abstractmethod
    def whole(self, amount: str) -> str:
        """The whole part of an amount."""

    @abstractmethod
    def remainder(self, rests: str) -> str:
        """What is left of some rests when whole millionths are taken off: never negative."""

    def quotient(self, rests: str) -> str:
        """How many whole millionths that were."""
        return f"({rests} - {self.remainder(rests)}) / {RESTS}"

    @abstractmethod
    def create(self) -> list[str]:
        """The statements that create the triggers."""

    @abstractmethod
    def drop(self) -> list[str]:
        """The statements that drop what ``create`` made."""

    @abstractmethod
    def renew(self) -> list[str]:
        """The statements that put what ``create`` makes in the place of what an earlier version made."""

    # -- sets of rows --------------------------------------------------------------------------------

    def fill(self, rollup: Rollup, grain: str) -> str:
        """The statement that makes the buckets of a new grain, of those of the finest."""
        names = ", ".join([*rollup.key, *self.of.sums])
        return f"INSERT INTO {rollup.table} ({names}) {self._coarser(rollup, grain, self._finest(rollup))}"

    def add(self, rollup: Rollup, rows: str) -> str:
        """The statement that adds rows (a table or subquery) to a roll-up, in the order of its key."""
        names, order = ", ".join([*rollup.key, *self.of.sums]), _places(1, len(rollup.key))
        return (
            f"{self._part(rollup, rows)} INSERT INTO {rollup.table} ({names}) {self._grains(rollup)}"
            f" ORDER BY {order} {self.upsert(rollup)}"
        )

    def subtract(self, rollup: Rollup, rows: str) -> list[str]:
        """The statements that take rows out of a roll-up, and away what then sums nothing.

        Buckets are changed one by one in the order of their key, as by ``add``: whoever waits for one goes
        on with what others have made of it, and nobody waits in a circle. An UPDATE of a join does neither:
        having waited once, PostgreSQL's passes by further buckets. A tenant that goes has none any more.
        """
        names, order = ", ".join([*rollup.key, *self.of.sums]), _places(1, len(rollup.key))
        same = " AND ".join(f"{rollup.table}.{name} = gone.{name}" for name in rollup.key)
        begin = f"{self._part(rollup, rows)}, gone AS ({self._grains(rollup)})"
        return [
            f"{begin} INSERT INTO {rollup.table} ({names}) SELECT {names} FROM gone"
            f" WHERE EXISTS (SELECT 1 FROM {rollup.table} WHERE {same})"
            f" ORDER BY {order} {self.upsert(rollup, '-')}",
            f"{begin} DELETE FROM {rollup.table} WHERE calls = 0"
            f" AND EXISTS (SELECT 1 FROM gone WHERE {same})",
        ]

    def anew(self, rollup: Rollup, rows: str, whole: str) -> list[str]:
        """The statements that sum rows anew into those of a roll-up's buckets that satisfy ``whole``."""
        names = ", ".join([*rollup.key, *self.of.sums])
        return [
            f"DELETE FROM {rollup.table} WHERE {whole}",
            f"{self._part(rollup, rows)}, due AS ({self._grains(rollup)})"
            f" INSERT INTO {rollup.table} ({names}) SELECT {names} FROM due WHERE {whole}",
        ]

    def differences(self, rollup: Rollup, rows: str, whole: str) -> str:
        """A query for how many of a roll-up's buckets that satisfy ``whole`` differ from these rows' sums."""
        due = f"{self._part(rollup, rows)}, due AS ({self._grains(rollup)})"
        return f"{due} {self._compared(rollup, whole)}"

    # What sums rows that are kept no more can only be told from the sums of the finest grain.

    def unlike_finest(self, rollup: Rollup, dropped: str) -> str:
        """A query for how many coarser buckets that satisfy ``dropped`` are not what the finest add up to."""
        return f"WITH {self._due_of_finest(rollup)} {self._compared(rollup, self._coarse(rollup, dropped))}"

    def of_finest(self, rollup: Rollup, dropped: str) -> list[str]:
        """The statements that sum the finest buckets anew into the coarser ones that satisfy ``dropped``."""
        names, coarse = ", ".join([*rollup.key, *self.of.sums]), self._coarse(rollup, dropped)
        return [
            f"DELETE FROM {rollup.table} WHERE {coarse}",
            f"WITH {self._due_of_finest(rollup)}"
            f" INSERT INTO {rollup.table} ({names}) SELECT {names} FROM due WHERE {coarse}",
        ]

    def _coarse(self, rollup: Rollup, dropped: str) -> str:
        return f"{dropped} AND grain <> '{rollup.grains[-1]}'"

    def _due_of_finest(self, rollup: Rollup) -> str:
        coarser = [self._coarser(rollup, grain, self._finest(rollup)) for grain in rollup.grains[:-1]]
        return f"due AS ({' UNION ALL '.join(coarser)})"

    def _finest(self, rollup: Rollup) -> str:
        return f"{rollup.table} WHERE grain = '{rollup.grains[-1]}'"

    def _compared(self, rollup: Rollup, where: str) -> str:
        """How many buckets that satisfy ``where`` differ from those of ``due``."""
        # SQLite's triggers put a single row's cost as it is: its rest may round up to a whole millionth.
        kept = [*rollup.key, *self.of.measures, f"cost_micros + {self.quotient('cost_rest')}"]
        there = f"SELECT {', '.join([*kept, self.remainder('cost_rest')])} FROM {rollup.table} WHERE {where}"
        due = f"SELECT {', '.join([*rollup.key, *self.of.sums])} FROM due WHERE {where}"
        return (
            f"SELECT (SELECT count(*) FROM ({there} EXCEPT {due}) AS a)"
            f" + (SELECT count(*) FROM ({due} EXCEPT {there}) AS b)"
        )

    def _part(self, rollup: Rollup, rows: str) -> str:
        """``WITH part``: the rows summed at the finest grain."""
        keys = [f"{value.format(r='r')} AS {name}" for name, value in rollup.keys.items()]
        if rollup.grains:
            keys.insert(0, f"{self.bucket(rollup.grains[-1], f'r.{self.of.instant}')} AS bucket")
        where = f" WHERE {rollup.where.format(r='r')}" if rollup.where else ""
        return (
            f"WITH part AS (SELECT {', '.join([*keys, *self._summed(self.measures('r'))])}"
            f" FROM {rows} AS r{where} GROUP BY {_places(1, len(keys))})"
        )

    def _grains(self, rollup: Rollup) -> str:
        """``part`` summed again for every grain."""
        grains = rollup.grains or (None,)
        return " UNION ALL ".join(self._coarser(rollup, grain, "part WHERE true") for grain in grains)

    def _coarser(self, rollup: Rollup, grain: str | None, rows: str) -> str:
        """Sums of a finer grain, summed for this one."""
        keys = list(rollup.keys)
        if grain is not None:
            keys = [f"'{grain}' AS grain", f"{self.bucket(grain, 'bucket')} AS bucket", *keys]
        columns = ", ".join([*keys, *self._summed({name: name for name in self.of.sums})])
        return f"SELECT {columns} FROM {rows} GROUP BY {_places(1 + bool(grain), len(keys))}"

    def measures(self, row: str) -> dict[str, str]:
        """What a row adds to each sum."""
        amount = f"{row}.{self.of.money}"
        micros = self.whole(f"{amount} * 1e6")
        rest = self.whole(f"round(({amount} * 1e6 - {micros}) * 1e12)")
        added = {name: value.format(r=row) for name, value in self.of.measures.items()}
        return added | {"cost_micros": f"coalesce({micros}, 0)", "cost_rest": f"coalesce({rest}, 0)"}

    def _summed(self, values: Mapping[str, str]) -> list[str]:
        micros, rest = f"sum({values['cost_micros']})", f"sum({values['cost_rest']})"
        return [
            *[f"sum({values[name]}) AS {name}" for name in self.of.measures],
            f"{micros} + {self.quotient(rest)} AS cost_micros",
            f"{self.remainder(rest)} AS cost_rest",
        ]

    def upsert(self, rollup: Rollup, sign: str = "+") -> str:
        changes = self.combined(rollup, "excluded", sign)
        return f"ON CONFLICT ({', '.join(rollup.key)}) DO UPDATE SET {changes}"

    def combined(self, rollup: Rollup, other: str, sign: str) -> str:
        """The assignments that add another row's sums to a roll-up's, or take them off."""
        return self.assigned(rollup, {name: f"{other}.{name}" for name in self.of.sums}, sign)

    def assigned(self, rollup: Rollup, values: Mapping[str, str], sign: str) -> str:
        mine = rollup.table
        rests = f"({mine}.cost_rest {sign} {values['cost_rest']})"
        changes = [f"{name} = {mine}.{name} {sign} {values[name]}" for name in self.of.measures]
        micros = f"{mine}.cost_micros {sign} {values['cost_micros']} + {self.quotient(rests)}"
        return ", ".join([*changes, f"cost_micros = {micros}", f"cost_rest = {self.remainder(rests)}"])


def _places(first: int, last: int) -> str:
    return ", ".join(str(place) for place in range(first, last + 1))


class Postgres(Spelling):
    """Statement-level triggers.

    Their functions run as their owner: who may write rows needs no right to the sums.
    """

    def bucket(self, grain: str, instant: str) -> str:
        if grain == "quarter":
            return f"date_bin('15 minutes', {instant}, '2000-01-01 00:00:00+00')"
        unit, _, ahead = grain.partition("+")
        if ahead:
            hours = f"interval '{ahead} hours'"
            return f"date_trunc('{unit}', {instant} + {hours}, 'UTC') - {hours}"
        return f"date_trunc('{unit}', {instant}, 'UTC')"

    def whole(self, amount: str) -> str:
        return f"trunc({amount})::bigint"

    def remainder(self, rests: str) -> str:
        return f"mod(mod({rests}, {RESTS}) + {RESTS}, {RESTS})"

    def create(self) -> list[str]:
        table, statements = self.of.table, []
        for event, (referencing, _) in self._bodies().items():
            name = self._name(event)
            statements += [
                f"CREATE FUNCTION {self._function(event)}",
                f"CREATE TRIGGER {name} AFTER {event} ON {table} {referencing}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()",
            ]
        return statements

    def renew(self) -> list[str]:
        # What the functions belong to and who may call them stays.
        lock = f"LOCK TABLE {self.of.table} IN SHARE ROW EXCLUSIVE MODE"
        return [lock, *[f"CREATE OR REPLACE FUNCTION {self._function(event)}" for event in self._bodies()]]

    def drop(self) -> list[str]:
        return [f"DROP FUNCTION IF EXISTS {self._name(event)}() CASCADE" for event in self._bodies()]

    def _name(self, event: str) -> str:
        return f"{self.of.table}_sums_{event}"

    def _function(self, event: str) -> str:
        _, body = self._bodies()[event]
        return (
            f"{self._name(event)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path FROM CURRENT AS $$ BEGIN {' '.join(f'{one};' for one in body)}"
            " RETURN NULL; END $$"
        )

    def _bodies(self) -> dict[str, tuple[str, list[str]]]:
        rollups, instant = self.of.rollups, self.of.instant
        kept = f"(SELECT * FROM old_rows WHERE {instant} >= (SELECT raw_from FROM {STATE}))"
        refusal = (
            f"IF EXISTS (SELECT 1 FROM new_rows WHERE {instant} < (SELECT raw_from FROM {STATE}))"
            f" THEN RAISE check_violation USING MESSAGE = '{self.of.table}: {TOO_OLD}'; END IF"
        )
        # No join: a plan made for a single row is kept for the session, and quadratic for many.
        watched = ", ".join(("id", *self.of.watched))
        changed = f"SELECT {watched} FROM new_rows EXCEPT SELECT {watched} FROM old_rows"
        nothing = f"IF NOT EXISTS ({changed}) THEN RETURN NULL; END IF"
        lost = (
            f"IF EXISTS (SELECT 1 FROM {STATE} WHERE {PRUNED}) THEN RAISE object_not_in_prerequisite_state"
            f" USING MESSAGE = '{self.of.table}: {NO_TRUNCATE}'; END IF"
        )
        added = [self.add(rollup, "new_rows") for rollup in rollups]
        return {
            "insert": ("REFERENCING NEW TABLE AS new_rows", [refusal, *added]),
            "delete": (
                "REFERENCING OLD TABLE AS old_rows",
                self._subtract_planned(kept),
            ),
            "update": (
                "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
                [nothing, *self._subtract_planned("old_rows"), *added],
            ),
            "truncate": ("", [lost, f"TRUNCATE {', '.join(rollup.table for rollup in rollups)}"]),
        }

    def _subtract_planned(self, rows: str) -> list[str]:
        """The statements that take rows out of every roll-up, planned each time for as many as they are."""
        parts = (one for rollup in self.of.rollups for one in self.subtract(rollup, rows))
        return [f"EXECUTE $planned$ {one} $planned$" for one in parts]


class Sqlite(Spelling):
    """Row-level triggers, which rest while ``STATE`` says that the writer sums by itself."""

    def bucket(self, grain: str, instant: str) -> str:
        if grain == "quarter":
            minute = f"substr({instant}, 15, 2)"
            quarter = f"CASE WHEN {minute} < '15' THEN '00' WHEN {minute} < '30' THEN '15'"
            quarter += f" WHEN {minute} < '45' THEN '30' ELSE '45' END"
            return f"substr({instant}, 1, 14) || {quarter} || ':00.000000'"
        unit, _, ahead = grain.partition("+")
        if ahead:
            # Of the hour: SQLite rounds fractions of a second, and might round into the next month.
            hour = f"substr({instant}, 1, 13) || ':00'"
            there = f"'+{ahead} hours', 'start of {unit}', '-{ahead} hours'"
            return f"strftime('%Y-%m-%d %H:00:00.000000', {hour}, {there})"
        length, rest = {
            "hour": (13, ":00:00.000000"),
            "day": (10, " 00:00:00.000000"),
            "month": (7, "-01 00:00:00.000000"),
        }[unit]
        return f"substr({instant}, 1, {length}) || '{rest}'"

    def whole(self, amount: str) -> str:
        return f"CAST({amount} AS INTEGER)"

    def remainder(self, rests: str) -> str:
        return f"({rests} % {RESTS} + {RESTS}) % {RESTS}"

    def create(self) -> list[str]:
        table, watched = self.of.table, ", ".join(self.of.watched)
        live = f"coalesce({{}}.rowid < (SELECT nullif(in_bulk, 0) FROM {STATE}), 1)"
        new_live, old_live = live.format("new"), live.format("old")
        kept = f"{old_live} AND old.{self.of.instant} >= (SELECT raw_from FROM {STATE})"
        refusal = f"SELECT RAISE(ABORT, '{table}: {TOO_OLD}')"
        statements = [
            f"CREATE TRIGGER {table}_sums_refuse BEFORE INSERT ON {table}"
            f" WHEN new.{self.of.instant} < (SELECT raw_from FROM {STATE}) BEGIN {refusal}; END"
        ]
        for number, rollup in enumerate(self.of.rollups):
            grains = rollup.grains or (None,)
            counted = f" AND {rollup.where}" if rollup.where else ""
            added = " ".join(f"{self._add_row(rollup, grain)};" for grain in grains)
            gone = " ".join(f"{one};" for grain in grains for one in self._take_row(rollup, grain))
            name = f"{table}_sums_{{}}_{number}"
            new, old = counted.format(r="new"), counted.format(r="old")
            statements += [
                f"CREATE TRIGGER {name.format('insert')} AFTER INSERT ON {table}"
                f" WHEN {new_live}{new} BEGIN {added} END",
                f"CREATE TRIGGER {name.format('delete')} AFTER DELETE ON {table}"
                f" WHEN {kept}{old} BEGIN {gone} END",
                f"CREATE TRIGGER {name.format('update_old')} AFTER UPDATE OF {watched} ON {table}"
                f" WHEN {old_live}{old} BEGIN {gone} END",
                f"CREATE TRIGGER {name.format('update_new')} AFTER UPDATE OF {watched} ON {table}"
                f" WHEN {new_live}{new} BEGIN {added} END",
            ]
        return statements

    def renew(self) -> list[str]:
        return [*self.drop(), *self.create()]

    def drop(self) -> list[str]:
        kinds = [
            f"{kind}_{number}"
            for number in range(len(self.of.rollups))
            for kind in ("insert", "delete", "update_old", "update_new")
        ]
        return [f"DROP TRIGGER IF EXISTS {self.of.table}_sums_{kind}" for kind in ["refuse", *kinds]]

    def _key(self, rollup: Rollup, grain: str | None, row: str) -> list[str]:
        keys = [value.format(r=row) for value in rollup.keys.values()]
        return (
            keys if grain is None else [f"'{grain}'", self.bucket(grain, f"{row}.{self.of.instant}"), *keys]
        )

    def _add_row(self, rollup: Rollup, grain: str | None) -> str:
        values = ", ".join([*self._key(rollup, grain, "new"), *self.measures("new").values()])
        names = ", ".join([*rollup.key, *self.measures("new")])
        return f"INSERT INTO {rollup.table} ({names}) VALUES ({values}) {self.upsert(rollup)}"

    def _take_row(self, rollup: Rollup, grain: str | None) -> list[str]:
        key = self._key(rollup, grain, "old")
        same = " AND ".join(f"{name} = {value}" for name, value in zip(rollup.key, key, strict=True))
        changes = self.assigned(
            rollup, {name: f"({value})" for name, value in self.measures("old").items()}, "-"
        )
        return [
            f"UPDATE {rollup.table} SET {changes} WHERE {same}",
            f"DELETE FROM {rollup.table} WHERE {same} AND calls = 0",
        ]


def spelled(dialect: str, of: Summed) -> Spelling:
    """The statements for a kind of database, by its dialect's name."""
    return {"postgresql": Postgres, "sqlite": Sqlite}[dialect](of)
