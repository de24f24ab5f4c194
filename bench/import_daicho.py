"""``import daicho`` in a new process, against importing what it cannot do without: SQLAlchemy's ORM and pydantic-settings."""

import subprocess
import sys
from collections.abc import Callable, Iterator

from bench.harness import Place, Row, best_ms


def rows(_: Callable[[], list[Place]]) -> Iterator[Row]:
    yield Row(
        "import daicho",
        "ms",
        importing("daicho"),
        importing("sqlalchemy.orm, pydantic_settings, psycopg, yaml"),
    )


def importing(modules: str) -> float:
    return best_ms(lambda: subprocess.run([sys.executable, "-c", f"import {modules}"], check=True))
