"""The demo's members: the files of a small company, and one of them changing now and then."""

import asyncio
import hashlib
import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from daicho.core.types import now as present
from daicho.members import demo_texts, demo_texts_ja
from daicho.members.demo_texts import Script, Value
from daicho.members.document import read
from daicho.members.needs import LiveMemberLedger, MemberLedger
from daicho.members.schemas import Kind, Outcome, SeenFile

BUCKET = "s3://demo-members/"
DAYS = 200
"""The oldest file is from so many days ago."""
PAUSE_SECONDS = (20.0, 40.0)
"""How long nothing changes."""
SCRIPTS: Mapping[str, Script] = {
    f"{BUCKET}{script.kind.folder}/{script.file}.yml": script
    for script in (*demo_texts_ja.SCRIPTS, *demo_texts.SCRIPTS)
}


def fill(ledger: MemberLedger, rng: random.Random, now: datetime) -> int:
    """Add the demo's members and two files in trouble; return how many members were not there yet.

    The members are the same for every seed, since a name is only once in a ledger. A file that is known
    is left alone, whatever has become of it since.
    """
    known = ledger.members.known_files(BUCKET)
    added = 0
    for file in _files(rng, now):
        if file.file_uri not in known:
            added += ledger.members.save_file(file).outcome is Outcome.ADDED
    return added


async def live(ledger: LiveMemberLedger, rng: random.Random) -> None:
    """Change one of the demo's members every 20 to 40 seconds, until cancelled."""
    while True:
        await asyncio.sleep(rng.uniform(*PAUSE_SECONDS))
        await change_one(ledger, rng)


async def change_one(ledger: LiveMemberLedger, rng: random.Random) -> str | None:
    """Write a new version of one file: a person learns something, a prompt ends in another remark.

    Returns the file's URI; None where the demo's members are not there.
    """
    known = await ledger.members.known_files(BUCKET)
    there = [uri for uri in SCRIPTS if uri in known]
    if not there:
        return None
    uri = rng.choice(there)
    script = SCRIPTS[uri]
    former = (await ledger.members.rows_of(script.kind, [uri])).get(uri)
    if former is None:
        return None
    values = _changed(script, {name: former[name] for name in script.values}, rng)
    await ledger.members.save_file(_seen(script.kind, uri, values, present()))
    return uri


def _files(rng: random.Random, now: datetime) -> list[SeenFile]:
    """Every file of the demo, the one whose name is taken after the one that has it."""

    def at() -> datetime:
        return now - timedelta(minutes=rng.randint(30, DAYS * 24 * 60))

    files = [_seen(script.kind, uri, script.values, at()) for uri, script in SCRIPTS.items()]
    taken = demo_texts.TAKEN
    uri = f"{BUCKET}{taken.kind.folder}/{taken.file}.yml"
    return [*files, _seen(taken.kind, uri, taken.values, at()), _broken(at())]


def _seen(kind: Kind, uri: str, values: Mapping[str, Value], at: datetime) -> SeenFile:
    content = json.dumps(values, ensure_ascii=False).encode()
    return SeenFile(kind, uri, _etag(content), at, row=dict(values))


def _broken(at: datetime) -> SeenFile:
    content = demo_texts.BROKEN.encode()
    problems = tuple(
        {"line": one.line, "key": one.key, "reason": one.reason.en, "reason_ja": one.reason.ja}
        for one in read(content, Kind.VIRTUAL.model).problems
    )
    uri = f"{BUCKET}{demo_texts.BROKEN_FILE}.yml"
    return SeenFile(Kind.VIRTUAL, uri, _etag(content), at, problems=problems)


def _etag(content: bytes) -> str:
    """What an object store would call this version."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _changed(script: Script, values: dict[str, Any], rng: random.Random) -> dict[str, Value]:
    texts = demo_texts_ja if script in demo_texts_ja.SCRIPTS else demo_texts
    if script.kind is Kind.HUMAN:
        skill = rng.choice(texts.SKILLS)
        skills = values["skills"] or []
        learnt = [one for one in skills if one != skill] if skill in skills else [*skills, skill]
        return {**values, "skills": learnt}
    prompt = values["system_prompt"] or ""
    former = [remark for remark in texts.REMARKS if remark in prompt]
    for remark in former:
        prompt = prompt.replace(remark, "")
    other = rng.choice([remark for remark in texts.REMARKS if remark not in former])
    return {**values, "system_prompt": f"{prompt.rstrip()}\n\n{other}"}
