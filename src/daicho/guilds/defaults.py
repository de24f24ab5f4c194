"""Models whose instances have the columns' defaults from the start, as those of the seed."""

from functools import cache

from sqlalchemy import ColumnDefault, inspect

from daicho.core.model import Base
from daicho.guilds.dumping import Dumped


class WithDefaults(Dumped, Base):
    """A table's base: what is not said when an instance is made is the column's default at once.

    SQLAlchemy alone would fill it in only when the instance is written. What is read is left as it is.
    """

    __abstract__ = True

    def __init__(self, **values: object) -> None:
        for name, default in _defaults(type(self)):
            values.setdefault(name, default.arg(None) if default.is_callable else default.arg)
        super().__init__(**values)


@cache
def _defaults(model: type[Base]) -> list[tuple[str, ColumnDefault]]:
    columns = inspect(model).columns
    return [(column.key, column.default) for column in columns if isinstance(column.default, ColumnDefault)]
