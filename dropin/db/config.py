"""Where the database is (seed 001, 2.2.1): ``DATABASE_…`` first, then ``config.yaml``."""

from collections.abc import Mapping
from typing import Any

from daicho import Settings

__all__ = ["Settings", "get_database_url", "get_settings"]


def get_settings(config: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings. Raises Invalid, naming the key that cannot be.

    Args:
        config: what ``config.yaml`` holds, for who has read it; the file of the current folder, if None.
    """
    return Settings() if config is None else Settings.of(config)


def get_database_url(config: Mapping[str, Any] | None = None) -> str:
    """Return the URL of the database, with its password: keep it out of logs. Raises Invalid."""
    return get_settings(config).database_url().render_as_string(hide_password=False)
