"""What the settings say of DynamoDB, checked. They may hold secrets: no error repeats them."""

import re
from urllib.parse import urlsplit

from daicho.core.errors import Invalid
from daicho.core.sections import Dynamodb

HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?")
"""A host's name, an address of IPv4, one of IPv6."""


def checked_endpoint(url: str) -> str:
    """Return where a server is, as requests need it: without a user and a password.

    Raises Invalid for what is no URL of a server: http or https, a host, a port that there can be.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise bad_endpoint() from None
    whole = url.isprintable() and not set(url) & set(" ?#")
    if not whole or parts.scheme not in {"http", "https"} or not HOST.fullmatch(host) or port == 0:
        raise bad_endpoint()
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def bad_endpoint() -> Invalid:
    """The error of an endpoint that cannot be."""
    return Invalid(
        "DynamoDB: AWS_ENDPOINT_URL_DYNAMODB (or AWS_ENDPOINT_URL) is no address of a server;"
        " set one such as http://127.0.0.1:8000, with nothing after ? or #",
        "DynamoDB: AWS_ENDPOINT_URL_DYNAMODB (または AWS_ENDPOINT_URL) がサーバーのアドレスではありません。"
        "http://127.0.0.1:8000 のように指定してください。? や # 以降は付けられません",
    )


def check_keys(settings: Dynamodb) -> None:
    """Raise Invalid for half a pair of keys, and for one that no request can carry."""
    secret, token = settings.secret_access_key, settings.session_token
    keys = {
        "AWS_ACCESS_KEY_ID": settings.access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret and secret.get_secret_value(),
        "AWS_SESSION_TOKEN": token and token.get_secret_value(),
    }
    for name, value in keys.items():
        if value and not value.isprintable():
            raise Invalid(
                f"DynamoDB: {name} has a line break or another control character in it; set it without",
                f"DynamoDB: {name} に改行などの制御文字が入っています。取り除いてください",
            )
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not keys[name]]
    if len(missing) == 1:
        raise Invalid(
            f"DynamoDB: {missing[0]} is missing; set both keys or none",
            f"DynamoDB: {missing[0]} がありません。キーは両方とも設定するか、どちらも設定しないでください",
        )
