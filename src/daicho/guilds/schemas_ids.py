"""Discord ids as they come in: texts of digits, or whole numbers small enough to be exact."""

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from daicho.core.language import Text
from daicho.core.types import SNOWFLAKE_MAX

ID_DIGITS = len(str(SNOWFLAKE_MAX))
EXACT_MAX = 2**53 - 1
"""JavaScript's largest exact number: one above has been rounded by who sent it, or may have been."""


def wrong(reason: Text) -> PydanticCustomError:
    """What is wrong with a value, to be told with its place in the language of the moment."""
    return PydanticCustomError("value", "{reason}", {"reason": str(reason)})


def _discord_id(value: object) -> int:
    if isinstance(value, float):
        raise wrong(
            Text(
                "is a number with a fraction or an exponent, which rounds ids; send it as text",
                "小数または指数表記の数値では ID が丸められます。文字列で送ってください",
            )
        )
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= ID_DIGITS:
        value = int(value)
    elif isinstance(value, int) and EXACT_MAX < value <= SNOWFLAKE_MAX:
        raise wrong(
            Text(
                f"is a number above {EXACT_MAX}, which JavaScript rounds; send it as text",
                f"{EXACT_MAX} を超える数値は JavaScript で丸められます。文字列で送ってください",
            )
        )
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= SNOWFLAKE_MAX:
        raise wrong(
            Text(
                f'is no Discord id; send digits as text, as "123456789012345678", at most {SNOWFLAKE_MAX}',
                f'Discord の ID ではありません。"123456789012345678" のように数字の文字列で'
                f"送ってください (最大 {SNOWFLAKE_MAX})",
            )
        )
    return value


Id = Annotated[
    int,
    BeforeValidator(_discord_id),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^[0-9]{{1,{ID_DIGITS}}}$"},
                {"type": "integer", "minimum": 0, "maximum": EXACT_MAX},
            ],
            "description": "A Discord id, best as text: a larger number would be rounded.",
            "examples": ["123456789012345678"],
        }
    ),
]
"""A Discord id."""
