"""Who may come in: the bearer token, the links that work once, and the browser's session."""

import hmac
import secrets
from collections.abc import Callable

from itsdangerous import BadSignature, TimestampSigner

SESSION_SECONDS = 30 * 24 * 3600


class Sessions:
    """The keys of one server.

    Args:
        token: the bearer token; None makes a new one for this start.
        on_link_used: called with the next link's token whenever one has been used.
    """

    def __init__(self, token: str | None, on_link_used: Callable[[str], None] = lambda _: None) -> None:
        self.generated = token is None
        self.token = token or secrets.token_urlsafe(24)
        self._on_link_used = on_link_used
        self._signer = TimestampSigner(self.token, salt="daicho-session")
        self.link_token = secrets.token_urlsafe(24)

    def accepts(self, token: str) -> bool:
        """Whether this is the bearer token."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def use_link(self, token: str) -> bool:
        """Whether this is the link's token, which is thereby used up."""
        if not hmac.compare_digest(token.encode(), self.link_token.encode()):
            return False
        self.link_token = secrets.token_urlsafe(24)
        self._on_link_used(self.link_token)
        return True

    def new_cookie(self) -> str:
        """Return the value of a new session's cookie: signed, of no meaning, good for thirty days."""
        return self._signer.sign(secrets.token_urlsafe(12)).decode()

    def knows(self, cookie: str) -> bool:
        """Whether a cookie's value was made here, and is not too old."""
        try:
            self._signer.unsign(cookie, max_age=SESSION_SECONDS)
        except BadSignature:
            return False
        return True
