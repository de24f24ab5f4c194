"""The console's settings: Daicho's own, by the names that the console has for them."""

from dataclasses import dataclass, field
from functools import cache

from daicho import Settings as DaichoSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """``DATABASE_URL`` and ``DB_ECHO``. The URL may hold a password, so it is in no repr."""

    database_url: str = field(repr=False)
    db_echo: bool


@cache
def get_settings() -> Settings:
    """Read the settings, once in a process. Raises Invalid."""
    read = DaichoSettings()
    return Settings(read.database_url().render_as_string(hide_password=False), read.database.echo)


settings: Settings


def __getattr__(name: str) -> object:
    if name == "settings":
        return get_settings()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
