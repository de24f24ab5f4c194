"""``make bench``: one table, a row a workload. ``make bench ROWS="append search"`` runs some."""

import importlib
import pkgutil
import sys

from rich.console import Console
from rich.table import Table

import bench
from bench.harness import Row, places

NOT_ROWS = {"__main__", "harness"}


def main(wanted: list[str]) -> int:
    known = [module.name for module in pkgutil.iter_modules(bench.__path__) if module.name not in NOT_ROWS]
    if unknown := [name for name in wanted if name not in known]:
        print(f"no such row: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    table = Table(title="ratio: how many times as good as the bare driver", title_justify="left")
    for name in ("workload", "unit", "Daicho", "driver", "ratio", "peer"):
        table.add_column(name, justify="left" if name in {"workload", "unit", "peer"} else "right")
    console = Console(width=None if sys.stdout.isatty() else 120)
    with places() as fresh:
        for name in wanted or known:
            print(f"running {name} …", file=sys.stderr)
            for row in importlib.import_module(f"bench.{name}").rows(fresh):
                table.add_row(*cells(row))
    console.print(table)
    return 0


def cells(row: Row) -> list[str]:
    peer = f"{row.peer[0]}: {shown(row.peer[1])}" if row.peer else ""
    return [row.workload, row.unit, shown(row.ours), shown(row.driver), f"{row.ratio:.2f}", peer]


def shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
