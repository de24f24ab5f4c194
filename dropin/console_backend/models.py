"""The tables ``calls`` and ``call_logs``."""

from daicho.calls.models import Call, CallLog

__all__ = ["Call", "CallLog"]
