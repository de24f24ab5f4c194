"""What the console's services are asked with."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from daicho.calls.schemas import Role


class AppendLogRequest(BaseModel):
    """A line to append to a call's transcript. ``timestamp`` without a zone is UTC; None: now."""

    role: Annotated[Role, BeforeValidator(lambda value: str(value).strip().lower())]
    text: str
    state: str | None = None
    timestamp: datetime | None = None
