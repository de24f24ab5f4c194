"""What the pages of this room call things: addresses, roles, whether somebody talks just now."""

from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from urllib.parse import quote

from daicho.chats.models import ChatLog
from daicho.chats.store import checked_session
from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.types import now

LIVE = timedelta(minutes=3)
"""A session in which nothing was said for so long is not live any more."""
ROLES: Mapping[str, Text] = {
    "user": Text("User", "ユーザー"),
    "assistant": Text("Assistant", "アシスタント"),
    "system": Text("System", "システム"),
    "developer": Text("Developer", "開発者"),
    "tool": Text("Tool", "ツール"),
    "function": Text("Tool", "ツール"),
}
ANSWERING: Set[str] = {"assistant", "ai", "bot", "model"}
"""The roles that stand on the right: table and bots name those who answer in several ways."""
TOOLS: Set[str] = {"tool", "function"}
APART: Set[str] = TOOLS | {"system", "developer"}
"""The roles that are nobody's part of the conversation."""


def session_address(session_id: str) -> str:
    """The address of a session's page; any characters may be in its name."""
    return f"/chats/{quote(session_id, safe='')}"


def source(session_id: str) -> str:
    """What usage of LLMs for a session names as its source."""
    return f"chat:{session_id}"


def is_ours(session_id: str) -> bool:
    """Whether a session can be read by its name, and usage name it.

    Other programs' names in DynamoDB may be longer than ours, and hold any character.
    """
    try:
        checked_session(session_id)
    except Invalid:
        return False
    return True


def is_live(last_at: datetime) -> bool:
    """Whether something was said in a session a short while ago; what is said to be of later is no sign."""
    return abs(now() - last_at) < LIVE


def role_name(role: str) -> str:
    """A role as people read it; one that is not known, as it is."""
    return str(ROLES.get(role, role))


def speaker(message: ChatLog) -> str:
    """Who says a message: its author or, where that is not known, the role."""
    return message.author or role_name(message.role)
