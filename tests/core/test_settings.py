"""Settings: the seeds' names, their order of precedence, and errors that name the key."""

import re
from pathlib import Path

import pytest

from daicho import Invalid, Ledger, Settings
from daicho.core.settings import ENVIRONMENT, parse_url

SEED_001 = """
# データベース設定
database:
  # データベースタイプ: "sqlite" または "postgresql"
  type: "sqlite"
  sqlite:
    path: "tasks.db"
  postgresql:
    host: "localhost"
    port: 5432
    name: "coding_agent"
    user: ""
    password: ""
  pool:
    size: 5
    max_overflow: 10
    timeout: 30
    recycle: 3600
"""


def config(text: str) -> None:
    Path("config.yaml").write_text(text, encoding="utf-8")


def test_without_any_setting_the_ledger_is_a_file_beside_you() -> None:
    assert Settings().database_url().render_as_string() == "sqlite+pysqlite:///daicho.db"


def test_the_config_file_of_seed_001_is_read_as_printed() -> None:
    config(SEED_001 + "\nllm:\n  provider: x\ncontext_storage:\n  base_dir: contexts\n  compression: 0.8\n")
    settings = Settings()
    assert settings.database_url().database == "contexts/tasks.db"
    pool = settings.database.pool
    assert (pool.size, pool.max_overflow, pool.timeout, pool.recycle) == (5, 10, 30, 3600)


def test_the_environment_overrides_the_config_file(monkeypatch: pytest.MonkeyPatch) -> None:
    config(SEED_001)
    for name, value in {
        "DATABASE_TYPE": "postgresql",
        "DATABASE_HOST": "db.internal",
        "DATABASE_PORT": "6543",
        "DATABASE_NAME": "daicho",
        "DATABASE_USER": "app",
        "DATABASE_PASSWORD": "p@ss/word",
    }.items():
        monkeypatch.setenv(name, value)
    url = Settings().database_url()
    assert url.render_as_string(False) == "postgresql+psycopg://app:p%40ss%2Fword@db.internal:6543/daicho"


def test_a_dotenv_file_stands_between_environment_and_config_file(monkeypatch: pytest.MonkeyPatch) -> None:
    config("database: {url: 'sqlite:///from-config.db', echo: true}")
    assert Settings().database_url().database == "from-config.db"
    Path(".env").write_text("DATABASE_URL=sqlite:///call_console.db\nDB_ECHO=false\n")
    assert Settings().database_url().database == "call_console.db"
    assert Settings().database.echo is False
    monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/x.db")
    assert Settings().database_url().database == "/srv/x.db"


def test_the_url_overrides_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_TYPE", "postgresql")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///call_console.db")
    assert Settings().database_url().database == "call_console.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_every_spelling_of_postgresql_means_psycopg_3(scheme: str) -> None:
    assert parse_url(f"{scheme}://u@h/n").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://root:hush@h/n", "unknown scheme 'mysql'"),
        ("mongodb://h", "unknown scheme 'mongodb'"),
        ("daicho.db", "not a URL"),
        (":memory:", r"sqlite:// \(in memory\)"),
        ("postgresql://u:hush@h:port/n", "not a URL"),
    ],
)
def test_a_url_that_cannot_be_says_why_and_hides_the_password(url: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as error:
        parse_url(url)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("database: [", "config.yaml: line 1, column 12"),
        ("a: 1\n b: 2", "config.yaml: line 2"),
        ("just words", "must hold keys and values"),
        ("database: {type: oracle}", r"database.type \(DATABASE_TYPE\)"),
        ("database: {pool: {size: many}}", "database.pool.size"),
        ("database: {pol: {size: 5}}", "database.pol"),
        ("server: {token: short}", r"server.token \(DAICHO_TOKEN\).*16 characters|server.*16 characters"),
    ],
)
def test_a_bad_config_file_is_one_line_that_names_the_place(text: str, reason: str) -> None:
    config(text)
    with pytest.raises(Invalid, match=reason) as error:
        Settings()
    assert "\n" not in str(error.value)


def test_a_config_file_that_is_not_text_is_said() -> None:
    Path("config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match=r"config\.yaml cannot be read"):
        Settings()


def test_a_bad_value_of_the_environment_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PORT", "hush")
    with pytest.raises(Invalid, match=r"database\.postgresql\.port \(DATABASE_PORT\)") as error:
        Settings()
    assert "hush" not in str(error.value)


def test_a_password_is_in_no_repr_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hush-hush@127.0.0.1:1/x")
    monkeypatch.setenv("DATABASE_PASSWORD", "hush-hush")
    monkeypatch.setenv("DAICHO_TOKEN", "hush-hush-hush-hush")
    settings = Settings()
    ledger = Ledger(settings=settings)
    with pytest.raises(Exception, match="127.0.0.1") as error:
        ledger.calls.list()
    said = [repr(settings), str(settings), repr(ledger.database.url), ledger.database.place, str(error.value)]
    assert not [text for text in said if "hush" in text]


def test_every_variable_is_documented() -> None:
    readme = Path(__file__).parents[2] / "docs" / "settings.md"
    documented = set(re.findall(r"`([A-Z_]+)`", readme.read_text()))
    assert set(ENVIRONMENT) <= documented
