"""What tenants are called, read as rarely as may be: a page shows some of many."""

from collections.abc import Iterable

from daicho.core.errors import NotFound
from daicho.core.operation import Async
from daicho.usage.page_words import called
from daicho.usage.store import UsageStore

OFFERED = 500
"""Tenants that a reader can choose from by name; the others by a click where they are shown."""


class Names:
    """The names of tenants. Those that are offered are read with every look, any other one once."""

    def __init__(self, usage: UsageStore[Async]) -> None:
        self._usage = usage
        self._offered: dict[str, str] = {}
        self._others: dict[str, str] = {}

    @property
    def offered(self) -> list[tuple[str, str]]:
        """Ids and names to choose from, by name."""
        return list(self._offered.items())

    async def look(self, chosen: str) -> None:
        """Read the names that are offered; the chosen tenant is always among them."""
        tenants = (await self._usage.list_tenants(limit=OFFERED)).items
        self._offered = {tenant.id: called(tenant) for tenant in tenants}
        if chosen and chosen not in self._offered:
            await self.know([chosen])
            self._offered[chosen] = self.of(chosen)

    async def know(self, tenant_ids: Iterable[str | None]) -> None:
        """Read the names of these tenants, if they are not known."""
        for tenant_id in {one for one in tenant_ids if one} - self._offered.keys() - self._others.keys():
            try:
                self._others[tenant_id] = called(await self._usage.get_tenant(tenant_id))
            except NotFound:  # deleted meanwhile, or an address that somebody has typed
                self._others[tenant_id] = tenant_id[:36]

    def of(self, tenant_id: str | None) -> str:
        """Return the name of a tenant that is known."""
        key = tenant_id or ""
        return self._offered.get(key) or self._others.get(key, key)
