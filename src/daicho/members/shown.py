"""How members, and what a sync does, look in the terminal."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from daicho.core.language import Text, say
from daicho.core.terminal import Table, local, printable, put
from daicho.members.models import HumanMember, MemberFile, VirtualMember
from daicho.members.schemas import Outcome, Saved, told
from daicho.members.sync import Change, Plan

SIGNS = {
    Outcome.ADDED: "+",
    Outcome.CHANGED: "~",
    Outcome.UNCHANGED: "=",
    Outcome.CONFLICT: "!",
    Outcome.INVALID: "!",
}
VALUE = 60
"""Characters of a value that a diff shows."""


class ChangeOut(BaseModel):
    """A line of ``plan --json``."""

    file_uri: str
    outcome: str
    name: str | None
    diff: dict[str, tuple[Any, Any]] = {}
    problems: list[dict[str, Any]] = []


class SavedOut(BaseModel):
    """A line of ``sync --json``."""

    file_uri: str
    outcome: str
    reason: str | None


def put_change(change: Change) -> None:
    """Write what a sync would do with a file."""
    name = change.file.row.get("name") or (change.before or {}).get("name") or ""
    put(printable(f"{SIGNS[change.outcome]} {change.file.file_uri}  {name}"))
    if change.outcome is Outcome.CHANGED:
        for field, (before, after) in change.diff.items():
            put(printable(f"    {field}: {_value(before)} → {_value(after)}"))
    for problem in change.file.problems:
        put(printable(f"    {told(problem)}"))
    if change.reason is not None:
        put(printable(f"    {change.reason}"))


def put_vanished(plan: Plan, prune: bool) -> None:
    """Write the files that are still in trouble, and those that are no more."""
    kept = say("kept; --prune removes it", "残します (--prune で削除)")
    removed = say("is removed", "削除します")
    for uri in plan.troubled:
        put(printable(f"! {uri}  {say('as before', '前回と同じ')}"))
    for uri, name in plan.vanished.items():
        if uri in plan.renamed:
            put(printable(f"→ {uri}  {name}  {say('goes on as', '引き継ぎ先')} {plan.renamed[uri]}"))
        else:
            put(printable(f"- {uri}  {name or ''}  {removed if prune else kept}"))


def summary(outcomes: Sequence[Outcome], plan: Plan) -> str:
    """One line that counts what was done."""
    count = {outcome: outcomes.count(outcome) for outcome in Outcome}
    count[Outcome.INVALID] += len(plan.troubled)
    vanished = len(plan.vanished)
    same = plan.unchanged + count[Outcome.UNCHANGED] + count[Outcome.KNOWN]
    return say(
        f"{count[Outcome.ADDED]:,} new, {count[Outcome.CHANGED]:,} changed, {same:,} unchanged, "
        f"{count[Outcome.INVALID]:,} invalid, {count[Outcome.CONFLICT]:,} in conflict, {vanished:,} vanished",
        f"新規 {count[Outcome.ADDED]:,}、変更 {count[Outcome.CHANGED]:,}、変更なし {same:,}、"
        f"不正 {count[Outcome.INVALID]:,}、競合 {count[Outcome.CONFLICT]:,}、消失 {vanished:,}",
    )


def change_out(change: Change) -> ChangeOut:
    """A change, for programs."""
    problems = [dict(one) for one in change.file.problems]
    if change.reason is not None:
        problems.append({"line": None, "key": "name", "reason": change.reason.en})
    diff = change.diff if change.outcome is Outcome.CHANGED else {}
    name = change.file.row.get("name")
    return ChangeOut(
        file_uri=change.file.file_uri, outcome=change.outcome, name=name, diff=diff, problems=problems
    )


def saved_out(saved: Saved) -> SavedOut:
    """What a sync did with a file, for programs."""
    return SavedOut(
        file_uri=saved.file_uri,
        outcome=saved.outcome,
        reason=None if saved.reason is None else saved.reason.en,
    )


def member_table() -> Table:
    """The table of ``daicho members list``; rows by ``member_row``."""
    return Table(
        say("NAME", "名前"),
        say("KIND", "種類"),
        say("ROLE", "役割"),
        say("MODEL", "モデル"),
        say("FILE", "ファイル"),
    )


def member_row(member: HumanMember | VirtualMember) -> Sequence[str]:
    """A member's row in the table."""
    virtual = isinstance(member, VirtualMember)
    return (
        member.name,
        str(Text("virtual", "仮想") if virtual else Text("human", "人間")),
        member.role or "",
        member.llm_model if isinstance(member, VirtualMember) else "",
        member.file_uri or "",
    )


def put_facts(member: HumanMember | VirtualMember, file: MemberFile | None) -> None:
    """Write what is known of a member, a line each."""
    order = ("name", "role")
    values = {name: getattr(member, name) for name in order} | {
        name: value for name, value in member.values().items() if name not in {"id", "system_prompt", "bio"}
    }
    facts = Table("", "")
    facts.add([(name, _shown(value)) for name, value in values.items()])
    if file is not None:
        facts.add(
            [(say("version", "版"), file.etag or "-"), (say("taken over", "取り込み"), local(file.synced_at))]
        )
    text = member.system_prompt if isinstance(member, VirtualMember) else member.bio
    if text:
        put("")
        for line in text.splitlines():
            put(printable(line))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return local(value) if hasattr(value, "astimezone") else str(value if value is not None else "-")


def _value(value: Any) -> str:
    text = _shown(value)
    return text if len(text) <= VALUE else f"{text[:VALUE]}…"
