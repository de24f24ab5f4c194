"""The code blocks of the five designs as they print them, and what runs them.

What a fragment needs around it (an event loop, a class, names that the text leaves out) the tests add; the
fragment itself is run as it stands.
"""

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FOLDER = Path(__file__).parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@cache
def blocks(seed: str, language: str) -> dict[str, str]:
    """A design's blocks of a language, by their first lines."""
    found = [code for kind, code in BLOCK.findall((FOLDER / f"{seed}.txt").read_text()) if kind == language]
    by_line = {code.strip().splitlines()[0]: code for code in found}
    assert len(by_line) == len(found)
    return by_line


def printed(seed: str, first_line: str, language: str = "python") -> str:
    """The block that begins with this line."""
    return blocks(seed, language)[first_line]


async def run(code: str, **names: Any) -> SimpleNamespace:
    """Run a block, which may await, among some names; return what it leaves behind."""
    held: dict[str, Any] = {"__name__": "printed", **names}
    compiled = compile(code, "<printed>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if inspect.isawaitable(made := eval(compiled, held)):  # noqa: S307
        await made
    return SimpleNamespace(**held)


def run_now(code: str, **names: Any) -> SimpleNamespace:
    """As ``run``, for a block that awaits nothing."""
    held: dict[str, Any] = {"__name__": "printed", **names}
    exec(compile(code, "<printed>", "exec", dont_inherit=True), held)  # noqa: S102
    return SimpleNamespace(**held)
