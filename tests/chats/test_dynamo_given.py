"""What cannot be is refused in words, in each place alike."""

from typing import Any

import pytest

from daicho import Invalid
from tests.faces import Faces


@pytest.mark.parametrize("messages", [None, "abc", 5, {"session_id": "s"}, b"x"], ids=repr)
def test_many_messages_that_are_no_list_are_refused(chats: Faces, messages: Any) -> None:
    with pytest.raises(Invalid, match=f"list of mappings, not {type(messages).__name__}"):
        chats.chats.append_many(messages)


def test_one_of_many_that_is_no_mapping_is_named(chats: Faces) -> None:
    with pytest.raises(Invalid, match="message 2: must be a mapping, not int"):
        chats.chats.append_many([{"session_id": "s", "role": "user", "content": "x"}, 5])
    assert len(chats.chats.history("s")) == 0


@pytest.mark.parametrize("cursor", [5, b"x", ["x"]], ids=repr)
def test_a_cursor_that_is_no_text_is_refused(chats: Faces, cursor: Any) -> None:
    for read in (
        lambda: chats.chats.history("s", cursor=cursor),
        lambda: chats.chats.sessions(cursor=cursor),
    ):
        with pytest.raises(Invalid, match="is not a cursor of this list"):
            read()
