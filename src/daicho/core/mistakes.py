"""What Pydantic finds wrong with what came in, in words for people: over HTTP and in files alike."""

import re
from collections.abc import Mapping
from typing import Any

from daicho.core.language import Text

_OBJECT = "JSON のオブジェクトにしてください"
_WHEN = "日時として読めません。2026-11-21T08:18:22+09:00 のように書いてください"
_YES_OR_NO = "true か false にしてください"
JAPANESE = {
    "missing": "必須です",
    "extra_forbidden": "この名前の項目はありません",
    "int_parsing": "整数として読めません",
    "int_parsing_size": "整数として大きすぎます",
    "int_type": "整数にしてください",
    "int_from_float": "小数のない整数にしてください",
    "float_parsing": "数値として読めません",
    "float_type": "数値にしてください",
    "finite_number": "有限の数にしてください",
    "bool_parsing": _YES_OR_NO,
    "bool_type": _YES_OR_NO,
    "string_type": "文字列にしてください",
    "string_unicode": "文字として壊れています",
    "string_too_long": "長すぎます (最大 {max_length} 文字)",
    "string_too_short": "短すぎます (最小 {min_length} 文字)",
    "enum": "使える値: {expected}",
    "literal_error": "使える値: {expected}",
    "datetime_parsing": _WHEN,
    "datetime_from_date_parsing": _WHEN,
    "datetime_object_invalid": _WHEN,
    "datetime_type": _WHEN,
    "timezone_aware": "時間帯がありません。末尾に +09:00 や Z を付けてください",
    "greater_than_equal": "{ge} 以上にしてください",
    "greater_than": "{gt} より大きくしてください",
    "less_than_equal": "{le} 以下にしてください",
    "less_than": "{lt} より小さくしてください",
    "too_long": "多すぎます: {actual_length} 件 (最大 {max_length} 件)",
    "too_short": "少なすぎます: {actual_length} 件 (最小 {min_length} 件)",
    "list_type": "JSON の配列にしてください",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
}
"""What Pydantic says in English, by the kind of error and with its particulars; rarer kinds stay English."""
ENGLISH = {
    "list_type": "should be a JSON array",
    "dict_type": "should be a JSON object",
    "model_type": "should be a JSON object",
    "model_attributes_type": "should be a JSON object",
    "datetime_type": "should be a time with its zone: 2026-11-21T08:18:22+09:00",
}
"""Where Pydantic's own English speaks of Python: of dictionaries, instances, and classes by their names."""
JSON_REASONS = {"number out of range": Text("a number is too long", "数の桁数が多すぎます")}
"""Where the parser's own words would lead astray."""
LOST_PLUS = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)? \d\d:?\d\d$")
"""How a time ends whose zone began with a plus that a URL has made a space."""
NO_PLUS = Text(
    "in a URL + means a space: write +09:00 as %2B09:00, or give the time in UTC with Z",
    "URL の + は空白になります。+09:00 は %2B09:00 と書くか、UTC の時刻に Z を付けてください",
)


def mistake(error: Mapping[str, Any]) -> Text:
    """Return what is wrong.

    Args:
        error: one of a ValidationError's ``errors()``, with its context. With its input, and a place in a
            URL's query, a time is told of the plus that it has lost there.
    """
    kind, more = error["type"], error.get("ctx", {})
    if kind == "json_invalid":
        return _no_json(more["error"])
    in_url = error.get("loc", ())[:1] == ("query",)
    if in_url and kind.startswith("datetime") and LOST_PLUS.search(str(error.get("input"))):
        return NO_PLUS
    if "expected" in more:  # 'a', 'b' or 'c'
        more = {**more, "expected": re.sub(r" or (?=\S+$)", ", ", more["expected"])}
    english = ENGLISH.get(kind, error["msg"])
    return Text(english, JAPANESE[kind].format_map(more) if kind in JAPANESE else english)


def _no_json(said: str) -> Text:
    """What the parser says, which takes the line for a text of its own: its only line is the first."""
    said, _, at = said.partition(" at line 1 column ")
    reason = JSON_REASONS.get(said, Text(said, said))
    where, where_ja = (f" at column {at}", f"{at} バイト目から先を ") if at else ("", "")
    return Text(f"Invalid JSON: {reason.en}{where}", f"{where_ja}JSON として読めません: {reason.ja}")
