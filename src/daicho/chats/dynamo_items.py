"""Messages as DynamoDB keeps them: numbers, attributes, sizes."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any

from daicho.chats.models import ChatLog
from daicho.core.errors import Invalid
from daicho.core.page import check_cursor, no_cursor
from daicho.core.types import json_text, json_value

Item = dict[str, Any]
"""An item as the client gives and takes it: ``{"role": {"S": "user"}, …}``."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_DAY, LAST_DAY = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""The first and the last day that every time zone has."""
SECOND = 1_000_000
DAY_SECONDS = 86_400
ITEM_MAX = 400 * 1024
"""The most bytes of an item, its attributes' names among them."""
DIGITS = Context(prec=38, Emin=-92)
"""Numbers as DynamoDB has them."""
MOST = f"9.{'9' * 37}E+125"
LEAST = f"-{MOST}"
NUMBER = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][-+]?[0-9]{1,3})?", re.ASCII)
TEXTS = ("role", "content", "message_id")
OURS = {"session_id", "timestamp", "role", "content", "author", "message_id", "details"}


@dataclass(frozen=True, slots=True)
class Scale:
    """What a table's timestamps count.

    Attributes:
        decimals: those that make a microsecond: 6 where seconds are counted, 3 where milliseconds.
    """

    decimals: int

    def number(self, micros: int) -> str:
        """Write microseconds since the epoch as a timestamp of the table."""
        return format(Decimal(micros).scaleb(-self.decimals), "f")

    def micros(self, raw: str) -> int:
        """Read a timestamp of the table, whatever comes after its microseconds cut."""
        return int(Decimal(raw).scaleb(self.decimals, DIGITS).to_integral_value(ROUND_FLOOR))

    def instant(self, raw: str) -> datetime:
        """Read a timestamp of the table. Raises Invalid for one that is no instant."""
        return instant_at(self.micros(raw), raw)

    def nearest(self, raw: str) -> datetime:
        """Read a timestamp of the table, one that is no instant as the end of time that it is beyond."""
        try:
            return self.instant(raw)
        except Invalid:
            return FIRST_DAY if self.micros(raw) < 0 else LAST_DAY


def micros_of(instant: datetime) -> int:
    """Return the whole microseconds from the epoch to an instant."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant_at(micros: int, raw: str = "") -> datetime:
    """Return the instant that is so many microseconds after the epoch."""
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise Invalid(
            f"timestamp {raw or micros} is outside the years 1 to 9999; does the table count milliseconds"
            " (chats.dynamodb.unit: ms)? If not, remove that item, or the session by delete_session",
            f"timestamp {raw or micros} は 1 年から 9999 年の範囲にありません。ミリ秒のテーブルなら"
            " chats.dynamodb.unit を ms にしてください。そうでなければ、その項目を消すか、delete_session で"
            "セッションを消してください",
        ) from None


def just_after(raw: str) -> str:
    """Return the next number that there is after a timestamp."""
    return str(DIGITS.next_plus(Decimal(raw)))


def just_before(raw: str) -> str:
    """Return the last number that there is before a timestamp."""
    return str(DIGITS.next_minus(Decimal(raw)))


def number_in(cursor: str, text: str) -> str:
    """Return the number that a part of a cursor is. Raises Invalid."""
    if not NUMBER.fullmatch(check_cursor(text)) or len(Decimal(text).as_tuple().digits) > DIGITS.prec:
        raise no_cursor(cursor)
    return text


def item_of(row: Mapping[str, Any], micros: int, scale: Scale, days: int | None) -> Item:
    """Return a message as an item.

    Args:
        row: a row of ``chat_logs``, whole.
        micros: when it counts as said: the row's own timestamp, or the next that was free.
        days: how long it is kept, if not for ever.

    Raises Invalid for one that is larger than DynamoDB's items may be.
    """
    item = {
        name: {"S": row[name]}
        for name in ("session_id", *TEXTS, "author", "details")
        if row.get(name) is not None
    }
    item["timestamp"] = {"N": scale.number(micros)}
    if days is not None:
        item["expires_at"] = {"N": expiry(micros, days)}
    if (size := size_of(item)) > ITEM_MAX:
        raise Invalid(
            f"the message is {size:,} bytes long; DynamoDB takes at most {ITEM_MAX:,} (400 KB)",
            f"メッセージが {size:,} バイトあります。DynamoDB の上限は {ITEM_MAX:,} バイト (400 KB) です",
        )
    return item


def expiry(micros: int, days: int) -> str:
    """Return the epoch seconds from which DynamoDB may remove what was said then."""
    return str(micros // SECOND + days * DAY_SECONDS)


def expired(item: Item, seconds: float) -> bool:
    """Whether a message is past its time; DynamoDB removes it some time within two days after that."""
    until = item.get("expires_at", {}).get("N")
    return until is not None and Decimal(until) <= seconds


def author_of(item: Item) -> str | None:
    """Return who wrote a message; None where it does not say."""
    author: str | None = item.get("author", {}).get("S")
    return author


def forgotten(item: Item, alias: str, mark: str) -> Item:
    """Return a message in its place, without who wrote it and what; nothing of other programs either."""
    kept: Item = {
        name: item[name]
        for name in ("session_id", "timestamp", "role", "message_id", "expires_at")
        if name in item
    }
    return {**kept, "author": {"S": alias}, "content": {"S": mark}}


def message_of(item: Item, scale: Scale) -> ChatLog:
    """Return an item as a message; one of another program too, with what it has besides in ``details``."""
    raw = str(item["timestamp"]["N"])
    texts = {name: _text(item.get(name)) for name in (*TEXTS, "author")}
    return ChatLog.of(
        {
            "session_id": item["session_id"]["S"],
            "timestamp": scale.instant(raw),
            "role": texts["role"] or "",
            "content": texts["content"] or "",
            "author": texts["author"],
            "message_id": texts["message_id"] or f"at {raw}",
            "details": _details(item),
        }
    )


def size_of(item: Item) -> int:
    """Return an item's bytes as DynamoDB counts them."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, str]) -> int:
    if "S" in value:
        return len(value["S"].encode())
    number = Decimal(value["N"]).normalize(DIGITS)
    if not number:
        return 1
    # Two digits a byte, in pairs that begin at the decimal point.
    first, count = number.adjusted(), len(number.as_tuple().digits)
    pairs = first // 2 - (first - count + 1) // 2 + 1
    return 1 + pairs + (number < 0)


def _text(value: Item | None) -> str | None:
    if value is None:
        return None
    held = _plain(value)
    return held if isinstance(held, str) or held is None else json_text(held)


def _details(item: Item) -> str | None:
    """What JSON a message has, read as from the database, and what other programs have put beside it."""
    others = {
        name: _plain(value)
        for name, value in item.items()
        if name not in OURS and not (name == "expires_at" and "N" in value)
    }
    held = json_value(_plain(item["details"])) if "details" in item else None
    if others:
        if isinstance(held, dict):
            held = {**others, **held}
        else:
            held = others if held is None else {**others, "details": held}
    return held if isinstance(held, str) or held is None else json_text(held)


def _plain(value: Item) -> Any:
    """A value as JSON can hold it."""
    ((kind, held),) = value.items()
    match kind:
        case "N":
            return _number(held)
        case "B":
            return base64.b64encode(held).decode()
        case "NULL":
            return None
        case "SS":
            return sorted(held)
        case "NS":
            return sorted(map(_number, held))
        case "BS":
            return sorted(base64.b64encode(one).decode() for one in held)
        case "L":
            return [_plain(one) for one in held]
        case "M":
            return {name: _plain(one) for name, one in held.items()}
        case _:  # S, BOOL
            return held


def _number(digits: str) -> int | float:
    value = Decimal(digits)
    return int(value) if value == value.to_integral_value() else float(value)
