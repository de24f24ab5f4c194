"""Whatever is done to three sessions, in whatever order: they are what plain lists say, in each place."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from daicho import Ledger, NotFound
from daicho.chats.models import ChatLog
from daicho.chats.places import Added
from daicho.core.types import json_value
from tests.chats.test_sums import differing

AT = datetime(2026, 11, 21, 8, 18, 22, 999_990, tzinfo=UTC)
MICRO = timedelta(microseconds=1)

runs = itertools.count()
sides = st.sampled_from([0, 1, 2])
instants = st.integers(0, 12)
"""Microseconds after ``AT``: few, so that many messages ask for the same."""
names = st.none() | st.sampled_from("abcdef")
asked = st.tuples(sides, instants, names)
Fact = tuple[int, str, str]
"""When a message was said, its content, its name (or "")."""


@dataclass
class Session:
    """What a session should hold: its messages by their time."""

    id: str
    messages: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, at: int, content: str, name: str) -> tuple[bool, Fact]:
        """Put a message in; return whether it is new, and what is stored."""
        for when, held in self.messages.items():
            if name and held[1] == name:
                return False, (when, *held)
        while at in self.messages:
            at += 1
        self.messages[at] = content, name
        return True, (at, content, name)

    def facts(self) -> list[Fact]:
        return [(at, *self.messages[at]) for at in sorted(self.messages)]


class Talking(RuleBasedStateMachine):
    """A ledger against dicts. Each run has three sessions of its own in the ledger that all runs share."""

    ledger: ClassVar[Ledger]

    def __init__(self) -> None:
        super().__init__()
        self.chats = self.ledger.chats
        self.run = f"run-{next(runs)}:"
        self.sessions = [Session(f"{self.run}{side}") for side in range(3)]
        self.count = itertools.count()
        self.taken: dict[int, list[ChatLog]] = {}

    def message(self, side: int, at: int, name: str | None) -> dict[str, Any]:
        """A message that is like no other."""
        number = next(self.count)
        return {
            "session_id": self.sessions[side].id,
            "role": "user",
            "content": f"c-{number}",
            "message_id": name,
            "timestamp": AT + at * MICRO,
            "details": {"number": number},
        }

    @rule(asked=asked)
    def append(self, asked: tuple[int, int, str | None]) -> None:
        side, at, name = asked
        message = self.message(side, at, name)
        _, stored = self.sessions[side].add(at, message["content"], name or "")
        answer = self.chats.append(**message)
        assert fact(answer) == stored
        assert json_value(answer.details) == {"number": int(stored[1].removeprefix("c-"))}

    @rule(several=st.lists(asked, max_size=8))
    def append_many(self, several: list[tuple[int, int, str | None]]) -> None:
        messages = [self.message(*one) for one in several]
        answer = self.chats.append_many(messages)
        new = 0
        for side in range(3):
            new += self.noted(
                side, [message for message in messages if message["session_id"][-1] == str(side)]
            )
        assert answer == Added(new, len(messages) - new)

    def noted(self, side: int, messages: list[dict[str, Any]]) -> int:
        """Take over what became of many messages of a session, which may be placed in more than one order.

        Each is at the instant that it asked for, or after it with none left free between.
        """
        session = self.sessions[side]
        before = dict(session.messages)
        there = {one.timestamp: one for one in self.chats.history(session.id, limit=1_000)}
        names = {name for _, name in before.values()}
        due: dict[str, tuple[int, str]] = {}
        for message in messages:
            name = message["message_id"] or ""
            if not name or name not in names:
                due[message["content"]] = (message["timestamp"] - AT) // MICRO, name
                names.add(name)
        session.messages = {
            place: (told[1], told[2]) for told in map(fact, there.values()) for place in [told[0]]
        }
        assert {at: session.messages.get(at) for at in before} == before
        new = {content: at for at, (content, _) in session.messages.items() if at not in before}
        assert new.keys() == due.keys()
        for content, at in new.items():
            assert all(one in session.messages for one in range(due[content][0], at))
        for one, other in itertools.combinations(due, 2):  # in the order in which they came
            assert due[one][0] != due[other][0] or new[one] < new[other]
        return len(new)

    @rule(side=sides)
    def delete(self, side: int) -> None:
        session = self.sessions[side]
        self.taken[side] = self.chats.history(session.id, limit=1_000).items
        assert self.chats.delete_session(session.id) == len(session.messages)
        assert self.chats.delete_session(session.id) == 0
        session.messages.clear()

    @rule(side=sides)
    def restore(self, side: int) -> None:
        session, taken = self.sessions[side], self.taken.get(side, [])
        found = self.chats.restore(session.id, taken)
        facts = {one.timestamp: fact(one) for one in taken}
        held = {name for _, name in session.messages.values() if name}
        added, existing = 0, 0
        for at, content, name in facts.values():
            if session.messages.get(at) == (content, name):
                existing += 1
            elif at not in session.messages and name not in held:
                session.messages[at] = content, name
                added += 1
        assert (found.added, found.existing) == (added, existing)
        assert len(found.differing) == len(facts) - added - existing

    @rule(side=sides, after=instants, before=instants, limit=st.integers(1, 5), turned=st.booleans())
    def read(self, side: int, after: int, before: int, limit: int, turned: bool) -> None:
        session = self.sessions[side]
        wanted = [one for one in session.facts() if after < one[0] < before]
        found: list[Fact] = []
        cursor = None
        while True:
            page = self.chats.history(
                session.id,
                after=AT + after * MICRO,
                before=AT + before * MICRO,
                newest_first=turned,
                limit=limit,
                cursor=cursor,
            )
            found += map(fact, page)
            if (cursor := page.next) is None:
                break
        assert found == (wanted[::-1] if turned else wanted)

    @invariant()
    def sessions_are_what_the_lists_say(self) -> None:
        listed = {one.session_id: one for one in self.chats.sessions(prefix=self.run)}
        assert set(listed) == {session.id for session in self.sessions if session.messages}
        for session in self.sessions:
            assert [fact(one) for one in self.chats.history(session.id, limit=1_000)] == session.facts()
            if not session.messages:
                with pytest.raises(NotFound):
                    self.chats.session(session.id)
                continue
            told = self.chats.session(session.id)
            first, last = AT + min(session.messages) * MICRO, AT + max(session.messages) * MICRO
            assert (told.first_at, told.last_at, told.messages) == (first, last, len(session.messages))
            assert (listed[session.id].first_at, listed[session.id].last_at) == (first, last)

    def teardown(self) -> None:
        if self.chats.backend == "sql":
            assert differing(self.ledger) == []


def fact(message: ChatLog) -> Fact:
    """What the lists know of a message: a name only where the sender gave one."""
    name = message.message_id if len(message.message_id) == 1 else ""
    return (message.timestamp - AT) // MICRO, message.content, name


@pytest.mark.parametrize(("place", "examples"), [("sqlite", 8), ("postgresql", 3), ("dynamodb", 2)])
def test_sessions_are_what_plain_lists_say(request: pytest.FixtureRequest, place: str, examples: int) -> None:
    if place == "dynamodb":
        request.getfixturevalue("table")
    url = request.getfixturevalue("postgres_url" if place == "postgresql" else "sqlite_url")
    with Ledger(url) as ledger:
        machine = type("Machine", (Talking,), {"ledger": ledger})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=15,
                deadline=None,
                phases=[Phase.generate],  # making a failure shorter takes longer than a test may
            ),
        )
