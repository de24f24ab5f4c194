"""What the pages make of a task's values: no browser takes part."""

import pytest

from daicho.tasks.page import owner_and_repo
from daicho.tasks.page_messages import text_of
from daicho.tasks.page_records import length


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", (None, None)),
        ("owner", ("owner", None)),
        ("owner/repo", ("owner", "repo")),
        ("group/sub/repo", ("group/sub", "repo")),
        ("group/sub/", ("group/sub", None)),
        ("/repo", (None, "repo")),
    ],
)
def test_a_repository_is_read_as_people_write_it(text: str, found: tuple[str | None, str | None]) -> None:
    assert owner_and_repo(text) == found


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, "b", {"type": "image"}], "a\nb\n[image]"),
        ([{"type": "tool_use", "name": "run", "input": {}}], "[run] {}"),
        ([{"type": "tool_result", "content": [{"type": "text", "text": "ok"}]}], "ok"),
        ([{"type": "novel"}, {"odd": 1}, 5], '[novel]\n{\n  "odd": 1\n}\n5'),
        ({"parts": ["日本"]}, '{\n  "parts": [\n    "日本"\n  ]\n}'),
    ],
)
def test_content_of_any_form_becomes_a_text(content: object, text: str) -> None:
    assert text_of(content) == text


def test_lengths_of_tool_calls_are_short() -> None:
    assert [length(ms) for ms in (None, 0.2, 340, 12_540, 200_000)] == [
        "–",
        "0 ms",
        "340 ms",
        "12.5 s",
        "3:20",
    ]


# -- the demo ----------------------------------------------------------------------------------------
