"""Instances as dictionaries and JSON, by the names that pydantic and SQLModel have for it (seed 004)."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Literal, Self

from pydantic import BaseModel, create_model
from sqlalchemy import inspect

from daicho.core.model import Base

ADDED = frozenset({"request_id"})
"""Columns that the seed's models do not have: they are left out unless they are asked for."""


class Dumped(Base):
    """A table's base with the methods of pydantic's that the seed's models have."""

    __abstract__ = True

    def model_dump(
        self,
        *,
        mode: Literal["python", "json"] = "python",
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        exclude_none: bool = False,
    ) -> dict[str, Any]:
        """Return the seed's fields with their values.

        Args:
            mode: ``json``: enums by their values, instants as text.
            include: only these columns; with it also those that Daicho has added.
            exclude: not these.
            exclude_none: not those that are None.
        """
        return self._shape().model_dump(
            mode=mode,
            include=self._fields(include),
            exclude=set(exclude or ()),
            exclude_none=exclude_none,
            warnings=False,
        )

    def model_dump_json(
        self,
        *,
        indent: int | None = None,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
        exclude_none: bool = False,
    ) -> str:
        """Return ``model_dump`` as JSON text."""
        return self._shape().model_dump_json(
            indent=indent,
            include=self._fields(include),
            exclude=set(exclude or ()),
            exclude_none=exclude_none,
            warnings=False,
        )

    @classmethod
    def model_validate(cls, obj: Mapping[str, Any] | Base) -> Self:
        """Return an instance with checked values, of a mapping or of another instance. Raises Invalid."""
        return cls(**cls.row(**(obj.values() if isinstance(obj, Base) else obj)))

    def _shape(self) -> BaseModel:
        return _shape_of(type(self)).model_construct(**self.values())

    def _fields(self, include: Collection[str] | None) -> set[str]:
        return set(self.values().keys() - ADDED if include is None else include)


@cache
def _shape_of(model: type[Base]) -> type[BaseModel]:
    """The pydantic model that writes a table's rows."""
    fields: dict[str, Any] = {
        column.key: (column.type.python_type | None, None) for column in inspect(model).columns
    }
    return create_model(model.__name__, **fields)
