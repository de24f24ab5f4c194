"""``docs/cli.md`` is what the commands say of themselves, and every command and option says something."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from daicho.cli import application

ROOT = Path(__file__).parents[2]


def commands(command: Any, name: str = "daicho") -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {word}")


def test_the_reference_is_up_to_date() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "tests.cli_reference", "--print"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), "run: make docs"


def test_every_command_and_option_is_explained() -> None:
    for name, command in commands(typer.main.get_command(application())):
        assert command.help, name
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name}"
