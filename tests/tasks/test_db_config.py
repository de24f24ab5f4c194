"""Seed 001, section 2.2.1: every setting by its environment variable and its key (test_db_config.py)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from daicho import Invalid, Ledger, Settings
from tests.core.test_settings import SEED_001

TABLE = [
    ("DATABASE_TYPE", "type", "postgresql", "sqlite"),
    ("DATABASE_HOST", "host", "db.example", "localhost"),
    ("DATABASE_PORT", "port", "6543", 5432),
    ("DATABASE_NAME", "name", "agents", "coding_agent"),
    ("DATABASE_USER", "user", "agent", ""),
    ("DATABASE_PASSWORD", "password", "geheim", ""),
]


def config(values: Any) -> None:
    Path("config.yaml").write_text(values if isinstance(values, str) else yaml.safe_dump(values))


def found(name: str) -> object:
    database = Settings().database
    value = database.type if name == "type" else getattr(database.postgresql, name)
    return value.get_secret_value() if name == "password" else value


@pytest.mark.parametrize(("variable", "name", "value", "default"), TABLE)
def test_each_row_of_the_table(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str, value: str, default: object
) -> None:
    typed = int(value) if name == "port" else value
    assert found(name) == default
    config({"database": {name: typed}})  # as the table writes it
    assert found(name) == typed
    if name != "type":
        config({"database": {"postgresql": {name: typed}}})  # as the file of 2.6.1 writes it
        assert found(name) == typed
        config({"database": {name: "1" if name == "port" else "not this", "postgresql": {name: typed}}})
        assert found(name) == typed
    other = "7777" if name == "port" else value
    monkeypatch.setenv(variable, other)
    config({"database": {name: "sqlite" if name == "type" else typed}})
    assert str(found(name)) == other


def test_the_url_goes_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    config({"database": {"type": "sqlite", "url": "postgresql://file/db"}})
    assert Settings().database_url().host == "file"
    monkeypatch.setenv("DATABASE_TYPE", "sqlite")
    monkeypatch.setenv("DATABASE_HOST", "not-this")
    assert Settings().database_url().host == "file"
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/db")
    assert Settings().database_url().host == "environment"


def test_the_file_of_the_seed_makes_a_ledger_below_the_contexts() -> None:
    config(SEED_001)
    with Ledger() as ledger:
        ledger.tasks.list()
    assert Path("contexts/tasks.db").is_file()


def test_the_path_resolves_under_base_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config(SEED_001 + "context_storage:\n  base_dir: elsewhere\n")
    assert Settings().database_url().database == "elsewhere/tasks.db"
    monkeypatch.setenv("DAICHO_CONTEXTS", str(tmp_path / "third"))
    assert Settings().database_url().database == str(tmp_path / "third/tasks.db")


def test_a_mapping_is_read_as_the_file_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    mapping = {**yaml.safe_load(SEED_001), "llm": {"provider": "openai"}}
    assert Settings.of(mapping).database_url().database == "contexts/tasks.db"
    monkeypatch.setenv("DATABASE_TYPE", "postgresql")
    monkeypatch.setenv("DATABASE_PORT", "6543")
    assert Settings.of(mapping).database_url().port == 6543


@pytest.mark.parametrize(
    ("database", "reason"),
    [
        ({"host": "h", "prot": 1}, "database.prot"),
        ({"port": 70_000}, r"database\.postgresql\.port \(DATABASE_PORT\)"),
        ({"type": "mysql"}, r"database\.type \(DATABASE_TYPE\)"),
        ({"pool": {"size": 0}}, r"database\.pool\.size"),
        ("sqlite", "database"),
    ],
)
def test_what_cannot_be_names_the_key(database: object, reason: str) -> None:
    config({"database": database})
    with pytest.raises(Invalid, match=reason):
        Settings()
