"""The house: arrows point down, rooms have one shape, importing is light, the public face is what it says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import daicho
from daicho.ledger import ROOMS

SOURCE = Path(daicho.__file__).parent
UPPER = {"cli", "server", "console"}
ROOM_FILES = {"models.py", "schemas.py", "store.py", "routes.py", "commands.py", "page.py"}


def imports(path: Path) -> set[str]:
    """The parts of Daicho that a file imports: ``core``, ``calls``, ``ledger`` …"""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("daicho.")}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_point_down(path: Path) -> None:
    floor = path.relative_to(SOURCE).parts[0]
    rooms = set(ROOMS)
    used = imports(path) - {floor}
    if floor == "core" or floor in rooms:
        assert not used & (rooms | UPPER | {"ledger", "migrations"})
    elif floor in {"ledger.py", "migrations"}:
        assert not used & UPPER


def test_every_room_has_the_same_shape() -> None:
    for room in ROOMS:
        assert {path.name for path in (SOURCE / room).glob("*.py")} >= ROOM_FILES


def test_importing_daicho_is_light() -> None:
    code = "import sys, daicho; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"fastapi", "starlette", "nicegui", "typer", "boto3", "obstore", "alembic", "rich", "uvicorn"}
    assert not heavy & set(loaded)


def test_all_is_what_is_public() -> None:
    public = {name for name in vars(daicho) if not name.startswith("_")} | {"__version__"}
    modules = {name for name in public if type(getattr(daicho, name)).__name__ == "module"}
    assert public - modules == set(daicho.__all__)


def test_only_the_dialect_asks_which_database_it_is() -> None:
    # types.py: SQLAlchemy itself hands a type the dialect. migrations: each revision is history.
    allowed = {
        "core/dialect.py",
        "core/engines.py",
        "core/bulk.py",
        "core/rollups.py",
        "core/summing.py",
        "core/types.py",
    }
    asking = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if "migrations" not in path.parts
        and re.search(r"dialect\.name ==|== .(sqlite|postgresql)", path.read_text())
    }
    assert asking - allowed == {"core/settings.py"}  # which parts make the URL


def test_queries_are_written_in_stores_only() -> None:
    for path in SOURCE.rglob("*.py"):
        floor, name = path.relative_to(SOURCE).parts[0], path.name
        if floor in UPPER or (floor in ROOMS and name in {"routes.py", "commands.py", "page.py"}):
            assert not re.search(
                r"^from sqlalchemy|^import sqlalchemy|\btext\(\"(SELECT|INSERT)",
                path.read_text(),
                re.MULTILINE,
            ), path


TYPED = """
from typing import assert_type
from collections.abc import Awaitable
from daicho import AsyncLedger, Ledger, Page
from daicho.calls.models import Call, CallLog

def plain(ledger: Ledger) -> None:
    assert_type(ledger.calls.start("a", "b"), Call)
    assert_type(ledger.calls.append_log("a", "user", "x", state="s"), CallLog)
    assert_type(ledger.calls.list(live=True), Page[Call])
    with ledger.begin() as tx:
        assert_type(tx.calls.complete("a"), Call)

async def awaited(ledger: AsyncLedger) -> None:
    assert_type(await ledger.calls.start("a", "b"), Call)
    assert_type(await ledger.calls.append_log("a", "user", "x"), CallLog)
    async with ledger.begin() as tx:
        assert_type(await tx.calls.complete("a"), Call)
    async for rooms in ledger.changes():
        assert_type(rooms, frozenset[str])
"""
WRONG = {
    "an awaitable is not its result": 'async def f(l: AsyncLedger) -> Call: return l.calls.start("a", "b")',
    "a plain call is not awaited": 'async def f(l: Ledger) -> Call: return await l.calls.start("a", "b")',
    "arguments are checked": 'def f(l: Ledger) -> Call: return l.calls.start("a", 5)',
    "names are checked": 'def f(l: Ledger) -> object: return l.calls.append_log("a", "user", "x", stat="s")',
}


ROOT = SOURCE.parents[1]
LIKE_LINT = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
"""What it has found out about Daicho already need not be found out again."""


def check_types(folder: Path, checker: str, right: str, wrong: str) -> tuple[str, set[int]]:
    """Let a type checker read two pieces of code; return what it says, and the lines of ``wrong`` that it marks."""
    (folder / "right.py").write_text(right)
    (folder / "wrong.py").write_text(wrong)
    command = {
        "mypy": ["mypy", "--strict", *LIKE_LINT],
        "pyright": ["basedpyright", "--level", "error", "--pythonpath", sys.executable],
    }[checker]
    done = subprocess.run(
        [sys.executable, "-m", *command, "right.py", "wrong.py"], cwd=folder, capture_output=True, text=True
    )
    assert not re.search(r"right\.py:\d+.*error", done.stdout), done.stdout
    return done.stdout + done.stderr, {
        int(line) for line in re.findall(r"wrong\.py:(\d+).*error", done.stdout)
    }


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_see_both_faces(tmp_path: Path, checker: str) -> None:
    header = "from daicho import AsyncLedger, Ledger\nfrom daicho.calls.models import Call\n"
    said, marked = check_types(tmp_path, checker, TYPED, header + "\n".join(WRONG.values()))
    assert marked == set(range(3, 3 + len(WRONG))), said
