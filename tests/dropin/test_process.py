"""The process's one ledger: lazy, shared, safe to fork, closed at the end."""

import os
from pathlib import Path

import pytest

import daicho_dropin
from tests.processes import python

LAZY = """
import console_backend.config, console_backend.services.call_service, console_backend.service_client
import context_storage, database.manager, database.models, db.database, daicho_dropin
from console_backend.database import SessionLocal, engine
from pathlib import Path
assert not any(Path().iterdir()), list(Path().iterdir())
SessionLocal().close()
assert not any(Path().iterdir()), list(Path().iterdir())
"""
FORKED = """
import os, sys
from console_backend.database import SessionLocal, engine
from console_backend.models import Call
from console_backend.service_client import append_call_log, start_call
start_call("parent", "c")
with SessionLocal() as db:
    db.query(Call).all()
children = []
for number in range(3):
    if not (child := os.fork()):
        for line in range(5):
            append_call_log(f"child-{number}", "user", str(line), "x")
        with SessionLocal() as db, engine.connect() as connection:
            assert db.query(Call).filter(Call.call_id == f"child-{number}").one()
        os._exit(0)
    children.append(child)
start_call("parent-2", "c")
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
with SessionLocal() as db:
    print(db.query(Call).count())
"""


def on_the_path(code: str) -> str:
    return f"import sys; sys.path.insert(0, {str(Path(daicho_dropin.__file__).parents[1])!r})\n{code}"


def test_importing_touches_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = python("-c", on_the_path(LAZY), folder=tmp_path / "empty")
    assert done.returncode == 0, done.stderr


def test_forked_workers_record_side_by_side(url: str) -> None:
    done = python("-c", on_the_path(FORKED), environment=dict(os.environ) | {"DATABASE_URL": url})
    assert (done.stdout, done.returncode) == ("5\n", 0), done.stderr


def test_settings_that_cannot_be_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from console_backend.service_client import start_call
    from daicho import Invalid

    monkeypatch.setenv("DATABASE_URL", "mysql://root:himitsu@host/name")
    with pytest.raises(Invalid, match="unknown scheme 'mysql'") as error:
        start_call("call-1", "c")
    assert "himitsu" not in str(error.value)
