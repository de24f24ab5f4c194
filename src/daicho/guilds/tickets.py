"""To be written."""

from daicho.core.operation import Mode, Store
from daicho.guilds import models  # noqa: F401


class Tickets(Store[Mode]):
    room = "guilds"
