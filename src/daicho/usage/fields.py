"""What the fields of a record that comes in as JSON may hold. JSON has types: a text is no number."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from daicho.core.language import Text

FIRST_YEAR, LAST_YEAR = 1972, 9998
"""The years of records: those that reports can be made of."""
BEGIN, END = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:")


def _error(reason: Text) -> PydanticCustomError:
    return PydanticCustomError("value", "{reason}", {"reason": str(reason)})


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise _error(Text("must be a JSON number", "JSON の数値でなければなりません"))
    return value


def _said(value: str) -> str:
    if not value.strip():
        raise _error(Text("is blank", "空です"))
    return value


def _iso(value: object) -> object:
    if not (isinstance(value, str) and DATE_AND_TIME.match(value)):
        raise _error(
            Text(
                "must be a text in ISO 8601, with its time zone, as 2026-11-21T17:18:22+09:00",
                "2026-11-21T17:18:22+09:00 のように、時間帯付きの ISO 8601 の文字列でなければなりません",
            )
        )
    return value


def _within(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise _error(Text("has no time zone", "時間帯がありません"))
    if not BEGIN <= at < END:
        raise _error(
            Text(
                f"lies outside the years {FIRST_YEAR} to {LAST_YEAR}",
                f"{FIRST_YEAR} 年から {LAST_YEAR} 年の範囲で指定してください",
            )
        )
    return at.astimezone(UTC)


Count = Annotated[int, BeforeValidator(_number), Field(ge=0)]
"""A number of tokens, or milliseconds."""
Dollars = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
"""What something cost."""
Name = Annotated[str, AfterValidator(_said)]
"""A name that must be given."""
Moment = Annotated[datetime, BeforeValidator(_iso), AfterValidator(_within)]
"""An instant, with its time zone."""
