"""Two tenants that are twins, a third with secrets, and that one's ghost, which has the same but never lived.

What one twin is told of the third's ids must be what the other twin is told of the ghost's.
"""

import base64
import dataclasses
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints
from uuid import uuid4

from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from daicho import Ledger, Page
from daicho.core.access import KeyScope
from daicho.core.model import Base
from daicho.core.person import Person
from daicho.usage.checking import UsageRecord

IDS = ("tenant", "user", "assessment", "lead", "record", "key", "price")
TEXTS = ("name", "model", "operation", "source")
BEGUN = datetime(2026, 11, 1, tzinfo=UTC)
INSTANTS = [BEGUN + timedelta(hours=hours) for hours in (0, 5, 24, 700)]
Things = dict[str, str]

# -- who there is ------------------------------------------------------------------------------------


def ghost() -> Things:
    """What a tenant could have, none of which is anywhere."""
    mark = secrets.token_hex(6)
    things = {kind: str(uuid4()) for kind in IDS}
    things |= {kind: f"{kind}-{mark}" for kind in TEXTS} | {"source": f"call:{mark}"}
    return things | {scope.value: "dk_" + secrets.token_urlsafe(32) for scope in KeyScope}


def tenant(ledger: Ledger) -> Things:
    """Make a tenant with everything that a tenant can have."""
    things = ghost()
    named = {kind: things[kind] for kind in TEXTS[1:]}
    with ledger.begin() as tx:
        usage = tx.usage
        owner = usage.create_tenant(things["name"], id=things["tenant"]).id
        usage.create_user(owner, things["name"], id=things["user"])
        usage.create_assessment(owner, things["name"], id=things["assessment"])
        usage.create_lead(owner, things["name"], id=things["lead"])
        price = usage.set_price(tenant_id=owner, model=things["model"], input_price=3.0, starts_at=BEGUN)
        for scope in KeyScope:
            key = usage.create_key(owner, scope, name=things["name"])
            things |= {scope.value: key.key, "key": key.stored.id}
        for number, at in enumerate(INSTANTS[1:]):
            usage.record(
                id=things["record"] if number == 0 else None,
                tenant_id=owner,
                user_id=things["user"],
                input_tokens=100 + number,
                created_at=at,
                **(named if number < 2 else named | {"source": "call:shared"}),
            )
    return things | {"price": price.id}


@dataclass
class World:
    """Two sides: a twin and whose ids it tries, on the one side somebody's, on the other nobody's."""

    sides: tuple[tuple[Things, Things], tuple[Things, Things]]
    known: set[str] = field(default_factory=set)
    """What of the secret tenant's the asking one has said itself."""

    @property
    def secret(self) -> Things:
        """The tenant whose things are tried."""
        return self.sides[0][1]


def world(ledger: Ledger) -> World:
    return World(((tenant(ledger), tenant(ledger)), (tenant(ledger), ghost())))


def everything_of(ledger: Ledger, things: Things) -> dict[str, list[str]]:
    """All rows of a tenant, in every table, and what holds for all."""

    def read(session: Session) -> dict[str, list[str]]:
        found = {}
        for name, table in Base.metadata.tables.items():
            owner = table.c.id if name == "tenants" else table.c.get("tenant_id")
            if owner is None and name != "rollup_state":
                continue
            rows = select(table) if owner is None else select(table).where(owner == things["tenant"])
            found[name] = sorted(str(tuple(row)) for row in session.execute(rows))
        return found

    return ledger.database.run(read, writes=False)


# -- what is asked -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ref:
    """A thing of the asking twin (``own``), or of whose ids it tries (``given``)."""

    whose: str
    kind: str

    def on(self, side: tuple[Things, Things]) -> str:
        return side[self.whose == "given"][self.kind]


def refs(*kinds: str) -> list[Any]:
    return [Ref(whose, kind) for kind in kinds for whose in ("given", "own")]


COUNTS, DOLLARS = [0, 7, -1], [0.5, 2.0]
VALUES: dict[str, list[Any]] = {
    "id": [*refs(*IDS), "nonsense"],
    "tenant_id": [*refs("tenant"), Ref("given", "user"), "nonsense"],
    "user_id": [*refs("user"), Ref("given", "lead"), "nonsense"],
    "assessment_id": [*refs("assessment"), "nonsense"],
    "lead_id": [*refs("lead"), "nonsense"],
    "name": [*refs("name", "tenant"), "name", ""],
    "text": [*refs("name"), "name-", "%"],
    "token": [*refs(*KeyScope, "key"), "dk_" + "x" * 43],
    "scope": [*KeyScope, "write"],
    "operation": [*refs("operation"), "operation"],
    "model": [*refs("model"), "gpt-4o"],
    "source": [*refs("source"), "call:shared", "nonsense"],
    "sources": [refs("source"), ["call:shared"], []],
    "source_kind": ["call", "task", ""],
    "created_at": INSTANTS,
    "since": INSTANTS[:2],
    "until": INSTANTS[2:],
    "before": [BEGUN, INSTANTS[2]],
    "starts_at": INSTANTS,
    "by": [["tenant"], ["user", "model"], ["operation", "source", "day"], []],
    "zone": ["UTC", "Asia/Tokyo", "nowhere"],
    "month": ["2026-11", "2026-10", "nonsense"],
    "limit": [1000, 0],
    "cursor": ["nonsense"],
    "after": ["nonsense"],
    "table": ["ai_usage_logs", "users"],
    "moment": [INSTANTS[2]],
    "person": [Person(users=("name", "nobody"))],
    "files": [True, False],
    "advance": [len],
    "unpriced": [True, False],
    "given": [True, False],
    "reject": [True, False],
    "success": ["success", "failure", "maybe"],
    "provider": ["openai"],
    "cost_usd": [0.25, -1.0],
    "discount": [0.5],
    **dict.fromkeys(("input_tokens", "output_tokens", "total_tokens", "duration_ms"), COUNTS),
    **dict.fromkeys(("cache_read_tokens", "cache_write_tokens"), COUNTS),
    **dict.fromkeys(("input_price", "output_price", "cache_read_price", "cache_write_price"), DOLLARS),
}
"""What to give for an argument, by its name: first somebody else's, then one's own, if it is a thing."""
VALUES |= {"q": VALUES["text"], "tz": VALUES["zone"]}
VALUES |= {f"{kind}_id": VALUES["id"] for kind in ("record", "key", "price")}


def known(name: str, of: str) -> list[Any]:
    """The values for an argument. An argument whose name is not known fails the test."""
    assert name in VALUES, f"{of} has an argument {name!r} that this test knows no values for"
    return VALUES[name]


@dataclass(frozen=True)
class Asking:
    """What an operation or a part of a request takes: what it needs, and the rest, each with its values."""

    needed: Mapping[str, list[Any]]
    rest: Mapping[str, list[Any]]

    def any(self) -> st.SearchStrategy[dict[str, Any]]:
        """Any arguments."""
        of = {name: st.sampled_from(pool) for name, pool in {**self.needed, **self.rest}.items()}
        return st.fixed_dictionaries(
            {name: of[name] for name in self.needed}, optional={name: of[name] for name in self.rest}
        )

    def cases(self) -> Iterator[dict[str, Any]]:
        """Each value of each argument once with somebody else's things for what is needed, once with own."""
        for place in (0, 1):
            start = {name: pool[min(place, len(pool) - 1)] for name, pool in self.needed.items()}
            yield start
            for name, pool in {**self.needed, **self.rest}.items():
                yield from ({**start, name: value} for value in pool)


def asking_of_record(of: str) -> Asking:
    """The arguments of a record."""
    fields = {name: known(name, of) for name in get_type_hints(UsageRecord)}
    needed = ("operation", "model")
    return Asking(
        {name: fields[name] for name in needed},
        {name: pool for name, pool in fields.items() if name not in needed},
    )


VALUES["records"] = [[], *([one] for one in asking_of_record("records").cases())]


def realised(value: Any, side: tuple[Things, Things]) -> Any:
    """Arguments as one side gives them."""
    if isinstance(value, Ref):
        return value.on(side)
    if isinstance(value, Mapping):
        return {name: realised(one, side) for name, one in value.items()}
    return [realised(one, side) for one in value] if isinstance(value, list | tuple) else value


def given_in(value: Any, things: Things) -> set[str]:
    """What of ``things`` stands in arguments, or in an answer."""
    said = repr(value)
    return {thing for thing in things.values() if thing in said}


# -- what is answered --------------------------------------------------------------------------------

FORMS = {
    "<time>": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?",
    "<hint>": r"dk_[\w-]{3}…[\w-]{4}",
    "<key>": r"dk_[\w-]{43}",
    "<hash>": r"\b[0-9a-f]{64}\b",
    "<id>": r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
}
UNTIMELY = "last_used_at"
"""What is written when its time comes, not when it is asked for."""


def shown(value: Any, said: Callable[[str], str] = str) -> str:
    """An answer as text, whole, with lists in any order; ``said`` says each of its texts."""
    if isinstance(value, Base):
        return shown(value.values(), said)
    if isinstance(value, Page):
        read = "" if value.next is None else base64.urlsafe_b64decode(value.next + "==").decode()
        return f"page {shown(value.items, said)} {said(read)}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return shown({one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, said)
    if isinstance(value, Mapping):
        parts = [f"{said(str(name))}: {shown(one, said)}" for name, one in value.items() if name != UNTIMELY]
        return "{" + ", ".join(sorted(parts)) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(sorted(shown(one, said) for one in value)) + "]"
    return said(str(value))


def alike(answer: Any, side: tuple[Things, Things]) -> str:
    """An answer with each side's own words for the same things replaced by what they are."""

    def said(text: str) -> str:
        for whose, things in zip(("own", "given"), side, strict=True):
            for kind, thing in things.items():
                text = text.replace(thing, f"<{whose} {kind}>")
        for form, pattern in FORMS.items():
            text = re.sub(pattern, form, text)
        return text

    return shown(answer, said)
