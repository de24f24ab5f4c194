"""What tenants, users and keys look like outside the database."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from daicho.core.access import KeyScope
from daicho.core.language import Text
from daicho.usage.keys import NewKey

CONTENTS: Mapping[str, Text] = {
    "records": Text("usage records", "利用記録"),
    "users": Text("users", "ユーザー"),
    "assessments": Text("assessments", "アセスメント"),
    "leads": Text("leads", "リード"),
    "keys": Text("API keys", "API キー"),
    "prices": Text("own prices", "個別価格"),
}
"""What a tenant's contents are called."""


class _Stored(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TenantIn(BaseModel):
    """A tenant to add. With an ``id``, sending it again changes nothing."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255, examples=["Acme"])
    id: str | None = Field(None, description="Your own UUID for it.")


class TenantOut(_Stored):
    """A tenant."""

    id: str
    name: str | None
    created_at: datetime | None


class TenantPage(_Stored):
    """Tenants by name."""

    items: list[TenantOut]
    next: str | None


class Contents(BaseModel):
    """How much of each kind a tenant has. ``records`` counts those too of which only sums are kept."""

    records: int
    users: int
    assessments: int
    leads: int
    keys: int
    prices: int


class TenantWithContents(TenantOut):
    """A tenant, and what would go with it."""

    contents: Contents


class UserIn(BaseModel):
    """A user to add. With an ``id``, sending it again changes nothing."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=255)
    id: str | None = Field(None, description="Your own UUID for them.")


class UserOut(_Stored):
    """A tenant's user."""

    id: str
    tenant_id: str
    name: str | None
    created_at: datetime | None


class UserPage(_Stored):
    """Users by name."""

    items: list[UserOut]
    next: str | None


class KeyIn(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    scope: KeyScope
    name: str | None = Field(None, max_length=255, description="What it is for.")


class KeyOut(_Stored):
    """A key, but for the key itself, which nobody can tell any more."""

    id: str
    tenant_id: str
    name: str | None
    scope: KeyScope
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key that has just been made: the only answer that holds the key itself."""

    key: str = Field(repr=False)

    @classmethod
    def of(cls, new: NewKey) -> "NewKeyOut":
        return cls(**KeyOut.model_validate(new.stored).model_dump(), key=new.key)


class KeyPage(_Stored):
    """Keys, latest first."""

    items: list[KeyOut]
    next: str | None
