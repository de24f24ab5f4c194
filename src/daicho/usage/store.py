"""``ledger.usage``: the operations on usage, in parts that each have a file of their own."""

from daicho.core.operation import Mode
from daicho.usage.keeping import UsageKeeping
from daicho.usage.prices import Prices
from daicho.usage.records import Records
from daicho.usage.reports import Reports
from daicho.usage.tenancy import Tenancy


class UsageStore(Records[Mode], Reports[Mode], Prices[Mode], Tenancy[Mode], UsageKeeping[Mode]):
    """``ledger.usage``: LLM usage and its cost, and whose it is (seed 003)."""

    room = "usage"
