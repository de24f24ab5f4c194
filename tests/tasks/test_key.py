"""What a task is about, in the ways in which agents say it."""

from types import SimpleNamespace

import pytest

from daicho import Invalid, TaskKey

ISSUE = TaskKey("github", "daicho", "ledger", "issue", "42")
MERGE = TaskKey("gitlab", "group/team", "console", "merge_request", "7")


class Speaking:
    """A key that tells itself as a mapping."""

    def to_dict(self) -> dict[str, object]:
        return {"type": "github_issue", "owner": "daicho", "repo": "ledger", "number": 42}


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        (ISSUE, ISSUE),
        (Speaking(), ISSUE),
        ({"type": "github_issue", "owner": "daicho", "repo": "ledger", "number": 42}, ISSUE),
        (
            {
                "task_source": "github",
                "owner": "daicho",
                "repo": "ledger",
                "task_type": "issue",
                "task_id": 42,
            },
            ISSUE,
        ),
        ({"source": "github", "type": "issue", "owner": "daicho", "repo": "ledger", "id": "42"}, ISSUE),
        (
            SimpleNamespace(
                task_source="github", task_type="issue", owner="daicho", repo="ledger", number=42
            ),
            ISSUE,
        ),
        ({"type": "gitlab_merge_request", "project_id": "group/team/console", "mr_iid": 7}, MERGE),
        (
            {"type": "gitlab_issue", "project_id": 815, "issue_iid": 3},
            TaskKey("gitlab", "", "815", "issue", "3"),
        ),
        (
            {"type": "github_pull_request", "owner": "o", "repo": "r", "number": 1},
            TaskKey("github", "o", "r", "pull_request", "1"),
        ),
        (
            {"task_source": "jira", "task_type": "story", "owner": "o", "repo": "r", "task_id": "AB-1"},
            TaskKey("jira", "o", "r", "story", "AB-1"),
        ),
    ],
)
def test_a_key_is_read_in_many_forms(key: object, wanted: TaskKey) -> None:
    assert TaskKey.of(key) == wanted


@pytest.mark.parametrize(
    ("key", "missing"),
    [
        ({}, "task_source, owner, repo, task_type, task_id missing"),
        ({"type": "github_issue", "owner": "o", "repo": "r"}, "task_id missing"),
        ({"type": "issue", "owner": "o", "repo": "r", "number": 1}, "task_source missing"),
        ("github_issue", "missing"),
        (None, "missing"),
    ],
)
def test_what_is_missing_is_named(key: object, missing: str) -> None:
    with pytest.raises(Invalid, match=missing):
        TaskKey.of(key)
