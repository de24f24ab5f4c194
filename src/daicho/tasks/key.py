"""What a task is about, in the ways in which coding agents say it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from daicho.core.errors import Invalid
from daicho.tasks.process import hostname

TYPES = ("issue", "pull_request", "merge_request")
NUMBERS = ("task_id", "number", "issue_iid", "mr_iid", "iid", "id")


@dataclass(frozen=True, slots=True)
class TaskKey:
    """An issue, a pull request or a merge request of a repository.

    >>> TaskKey("github", "daicho", "ledger", "issue", "42")
    TaskKey(task_source='github', owner='daicho', repo='ledger', task_type='issue', task_id='42')
    """

    task_source: str
    owner: str
    repo: str
    task_type: str
    task_id: str

    @classmethod
    def of(cls, key: object) -> Self:
        """Read a key: a ``TaskKey``, a mapping, or an object with ``to_dict()`` or such attributes.

        The names are the columns' or those that agents use: ``{"type": "github_issue", "owner": …,
        "repo": …, "number": 42}``, ``{"type": "gitlab_merge_request", "project_id": "group/project",
        "mr_iid": 7}``. Raises Invalid, naming what is missing.
        """
        if isinstance(key, cls):
            return key
        values = _mapping(key)
        source, kind = _kind(values)
        owner, repo = values.get("owner"), values.get("repo")
        if repo is None and values.get("project_id") is not None:
            owner, _, repo = str(values["project_id"]).rpartition("/")
        number = next((values[name] for name in NUMBERS if values.get(name) is not None), None)
        found = {"task_source": source, "owner": owner, "repo": repo, "task_type": kind, "task_id": number}
        if missing := [name for name, value in found.items() if value is None]:
            raise Invalid(
                f"task_key: {', '.join(missing)} missing", f"task_key: {', '.join(missing)} がありません"
            )
        return cls(**{name: str(value) for name, value in found.items()})


def _mapping(key: object) -> Mapping[str, Any]:
    to_dict = getattr(key, "to_dict", None)
    values = to_dict() if callable(to_dict) else key
    if isinstance(values, Mapping):
        return values
    names = ("task_source", "task_type", "type", "owner", "repo", "project_id", *NUMBERS)
    return {name: getattr(values, name) for name in names if hasattr(values, name)}


def _kind(values: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The source and the type, from their own names or from one word such as ``github_issue``."""
    source, kind = values.get("task_source", values.get("source")), values.get("task_type")
    joined = str(values.get("type") or kind or "").lower()
    for known in TYPES:
        if joined == known or joined.endswith(f"_{known}"):
            return source or joined.removesuffix(known).rstrip("_") or None, known
    return source, kind or values.get("type")


def described(key: TaskKey, uuid: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A task's row as far as the key and the configuration tell."""
    llm = _section(config, "llm")
    provider = llm.get("provider")
    chosen = {**llm, **_section(llm, str(provider))}
    length = chosen.get("context_length")
    return {
        "uuid": uuid,
        "task_source": key.task_source,
        "owner": key.owner,
        "repo": key.repo,
        "task_type": key.task_type,
        "task_id": key.task_id,
        "process_id": os.getpid(),
        "hostname": hostname(),
        "llm_provider": None if provider is None else str(provider),
        "model": None if chosen.get("model") is None else str(chosen["model"]),
        "context_length": length if isinstance(length, int) else None,
    }


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}
