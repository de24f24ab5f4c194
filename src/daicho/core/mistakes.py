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


def mistake(error: Mapping[str, Any]) -> Text:
    """Return what is wrong.

    Args:
        error: one of a ValidationError's ``errors()``, with its context.
    """
    kind, more = error["type"], error.get("ctx", {})
    if "expected" in more:  # 'a', 'b' or 'c'
        more = {**more, "expected": re.sub(r" or (?=\S+$)", ", ", more["expected"])}
    english = ENGLISH.get(kind, error["msg"])
    return Text(english, JAPANESE[kind].format_map(more) if kind in JAPANESE else english)
