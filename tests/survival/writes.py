"""The ways in which clients write by a name of their own: each room's, one function each, for both faces.

What they return is whatever the face returns: the result, or something to await.
"""

from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

GUILD = 7
TENANT = str(uuid5(NAMESPACE_URL, "tenant"))
TASK = str(uuid5(NAMESPACE_URL, "task"))
MANY = 5
Write = Callable[[Any, str], Any]


def uuid_of(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def client_of(name: str) -> str:
    """Who has given a name: ``a-3/line/17`` is ``a-3``'s."""
    return name.partition("/")[0]


def prepare(ledger: Any) -> None:
    """Make what is written to, by a plain ledger."""
    ledger.usage.create_tenant("survival", id=TENANT)
    ledger.tasks.create({"uuid": TASK, **TASK_OF})
    ledger.guilds.create_track(GUILD, "song", "artist", "https://example.com/1", 180, 1)


TASK_OF = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "1"}


def line(ledger: Any, name: str) -> Any:
    call = client_of(name)
    return ledger.calls.append_log(call, "user", name, state="s", client_id="c", message_id=name)


def record(ledger: Any, name: str) -> Any:
    return ledger.usage.record(**_usage(name, "record"))


def records(ledger: Any, name: str) -> Any:
    many = [_usage(f"{name}#{n}", "records") for n in range(MANY)]
    return ledger.usage.record_many(many)


def enqueue(ledger: Any, name: str) -> Any:
    return ledger.usage.enqueue(**_usage(name, "enqueue"))


def ticket(ledger: Any, name: str) -> Any:
    return ledger.guilds.create_ticket(GUILD, 8, 9, name, request_id=name)


def log(ledger: Any, name: str) -> Any:
    return ledger.guilds.create_log(GUILD, "system_event", name, request_id=name)


def entry(ledger: Any, name: str) -> Any:
    return ledger.guilds.add_to_queue(GUILD, 1, 9, request_id=name)


def message(ledger: Any, name: str) -> Any:
    return ledger.chats.append(client_of(name), "user", name, message_id=name)


def member(ledger: Any, name: str) -> Any:
    return ledger.members.save_or_update_human_member({"name": name})


def task(ledger: Any, name: str) -> Any:
    return ledger.tasks.create({"uuid": uuid_of(name), **TASK_OF, "user": name})


def count(ledger: Any, name: str) -> Any:
    """The one write that has no name: it is not repeated."""
    return ledger.tasks.update_statistics(TASK, llm_calls=1)


def pair_line(tx: Any, name: str) -> Any:
    return tx.calls.append_log("pairs", "user", name, state="s", client_id="c", message_id=name)


def pair_record(tx: Any, name: str) -> Any:
    return tx.usage.record(**_usage(name, "pair"))


def _usage(name: str, operation: str) -> dict[str, Any]:
    return {
        "id": uuid_of(name),
        "tenant_id": TENANT,
        "operation": operation,
        "model": "gpt-4o",
        "input_tokens": 1_000,
        "output_tokens": 10,
        "source": f"call:{name}",
    }


WRITES: dict[str, Write] = {
    write.__name__: write
    for write in (line, record, records, enqueue, ticket, log, entry, message, member, task, count)
}
PAIR = "pair"
KINDS = (*WRITES, PAIR)
