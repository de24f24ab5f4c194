"""To be written."""

from daicho.core.operation import Mode, Store


class Transactions(Store[Mode]):
    room = "guilds"
