"""``docs/cli.md``, made from the commands' own help: ``python -m tests.cli_reference`` writes it anew."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

os.environ["DAICHO_LANG"] = "en"  # before the commands are imported: their help is made then

from daicho.cli import application

TARGET = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 96
HEAD = """# Commands

`daicho` (also `python -m daicho`) works on the database that [the settings](settings.md) name. Messages and
help are in English or Japanese, as `DAICHO_LANG` or the locale says.

- Answers go to standard output, everything said about them to standard error. On a terminal tables fit its
  width; in a pipe they are plain, aligned and never cut off. Times for people are in the machine's time zone
  (`TZ=UTC daicho …` for another), times in `--json` in UTC.
- What cannot be done is one line, `daicho: …`, and exit code 1. A command that cannot be understood exits with
  2, Ctrl+C with 130.
- `import` reads and `export` writes [these formats](formats.md). `daicho db` runs Alembic's commands, for who
  has the wheel and no `alembic.ini`.

This page is made from the commands' own help by `make docs`.
"""


def sections(
    command: typer.main.TyperCommand | typer.main.TyperGroup, context: typer.Context
) -> Iterator[str]:
    """A command's section and, of a group, its commands'."""
    help_ = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"## {context.command_path}\n\n```text\n{help_}\n```\n"
    for name, below in getattr(command, "commands", {}).items():
        yield from sections(below, new_context(below, name, context))


def new_context(command: object, name: str, parent: typer.Context | None = None) -> typer.Context:
    settings = getattr(command, "context_settings", {})
    return typer.Context(
        command, info_name=name, parent=parent, max_content_width=WIDTH, terminal_width=WIDTH, **settings
    )


def reference() -> str:
    """The page as it should be."""
    root = typer.main.get_command(application())
    return "\n".join([HEAD, *sections(root, new_context(root, "daicho"))])


if __name__ == "__main__":
    if "--print" in sys.argv:
        sys.stdout.write(reference())
    else:
        TARGET.write_text(reference(), encoding="utf-8")
