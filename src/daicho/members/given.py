"""The values that a program gives for a member: checked, and as a row to write."""

from collections.abc import Mapping
from typing import Any

from daicho.core.errors import Invalid
from daicho.core.model import unknown_name
from daicho.members.document import OWN, REQUIRED, SAME
from daicho.members.models import HumanMember, VirtualMember

Member = HumanMember | VirtualMember


def given_row(model: type[Member], data: Mapping[str, Any] | Member) -> dict[str, Any]:
    """Check the values of a member.

    Args:
        model: the table that they are for.
        data: values by the columns' names, or by their other names in files; or an instance of the
            model, with the values that are set.

    Returns those that are given, by the columns' names. Raises Invalid, as for a file's mistakes.
    """
    columns = [column.key for column in model.__table__.columns if column.key not in LEDGERS]
    row = model.row(**_by_column(columns, _values(model, columns, data)))
    for name in REQUIRED[model]:
        if not str(row.get(name) or "").strip():
            raise Invalid(f"{name} is missing", f"{name} がありません")
    if row["name"] != row["name"].strip():
        raise Invalid(
            f"name {row['name']!r} begins or ends with a space; remove it",
            f"name {row['name']!r} の前後に空白があります。取り除いてください",
        )
    for name, value in row.items():
        if isinstance(value, list) and not all(text.strip() for text in value):
            raise Invalid(f"{name} holds an empty text", f"{name} に空の文字列があります")
    return row


LEDGERS = OWN - {"file_uri"}
"""Columns that only the ledger fills."""


def _values(model: type[Member], columns: list[str], data: Mapping[str, Any] | Member) -> Mapping[str, Any]:
    if isinstance(data, model):
        return {name: value for name, value in vars(data).items() if name in columns}
    if isinstance(data, Mapping):
        return data
    kind = type(data).__name__
    raise Invalid(
        f"a member is a mapping of values or a {model.__name__}, not {kind}",
        f"メンバーは値の辞書か {model.__name__} で渡してください ({kind} でした)",
    )


def _by_column(columns: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in values.items():
        name = key if key in columns else SAME.get(key, key)
        if name not in columns:
            raise unknown_name(str(key), dict.fromkeys(columns))
        if name in row:
            raise Invalid(
                f"{name} is given twice, also as {key!r}", f"{name} が {key!r} としても指定されています"
            )
        row[name] = value
    return row
