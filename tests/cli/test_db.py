"""``daicho db``: the same commands as Alembic's, on the database of the settings."""

import re
from pathlib import Path

from alembic.script import ScriptDirectory

from daicho import migrations
from tests.cli.terminal import daicho, one_line, started
from tests.migrations.test_migrations import own_source


def test_the_schema_goes_up_down_and_up_again(empty_url: str) -> None:
    assert daicho("db", "current", url=empty_url).stdout == ""
    done = daicho("db", "upgrade", url=empty_url)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"-> {migrations.HEAD}" in done.stderr
    assert daicho("db", "current", url=empty_url).stdout == f"{migrations.HEAD} (head)\n"
    assert daicho("db", "downgrade", "-1", url=empty_url).returncode == 0
    before = ScriptDirectory(str(migrations.FOLDER)).get_revision(migrations.HEAD).down_revision
    assert daicho("db", "current", url=empty_url).stdout == f"{before}\n"
    assert daicho("db", "upgrade", "+1", url=empty_url).returncode == 0
    assert daicho("db", "downgrade", "20251121_01", url=empty_url).returncode == 0
    assert daicho("db", "downgrade", "base", url=empty_url).returncode == 0
    assert daicho("db", "upgrade", "20251121_01", url=empty_url).returncode == 0
    assert daicho("db", "current", url=empty_url).stdout == "20251121_01\n"


def test_history_lists_every_revision() -> None:
    done = daicho("db", "history", url="sqlite://")
    assert re.findall(r"-> (\S+?)(?: \(head\))?,", done.stdout)[::-1][0] == "20251121_01"
    assert f"{migrations.HEAD} (head)" in done.stdout
    assert "Revision ID: 20251121_01" in daicho("db", "history", "--verbose", url="sqlite://").stdout
    only = daicho("db", "history", "-r", "base:20251121_01", url="sqlite://").stdout
    assert len(only.splitlines()) == 1


def test_history_marks_the_databases_own(unmade_url: str) -> None:
    daicho("db", "upgrade", "20251121_01", url=unmade_url)
    assert "20251121_01 (current)" in daicho("db", "history", "-i", url=unmade_url).stdout


def test_a_revision_that_does_not_exist_is_one_line(unmade_url: str) -> None:
    for command in ("upgrade", "downgrade"):
        done = daicho("db", command, "nonsense", url=unmade_url)
        assert done.returncode == 1
        assert "nonsense" in one_line(done.stderr)


def test_revision_writes_a_file(sqlite_url: str, tmp_path: Path) -> None:
    source = own_source(tmp_path / "own")
    done = started("db", "revision", "-m", "try it", "--autogenerate", url=sqlite_url, PYTHONPATH=str(source))
    assert done.returncode == 0, done.stderr
    before = {path.name for path in migrations.FOLDER.glob("versions/*.py")}
    (new,) = (path for path in source.glob("daicho/migrations/versions/*.py") if path.name not in before)
    assert f"Generating {new}" in " ".join(done.stdout.split())
    content = new.read_text()
    assert content.startswith('"""try it')
    assert "pass" in content.split("def upgrade")[1]


def test_revision_from_an_older_database_is_one_line(unmade_url: str, tmp_path: Path) -> None:
    daicho("db", "upgrade", "20251121_01", url=unmade_url)
    done = daicho("db", "revision", "-m", "no", "--autogenerate", url=unmade_url)
    assert done.returncode == 1
    assert "not up to date" in one_line(done.stderr)
