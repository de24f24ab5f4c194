"""How the place of members' files is spelled, and what is said when it does not answer."""

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from daicho.core.errors import Invalid
from daicho.core.language import Text

CODE = re.compile(r"<Code>(\w+)</Code>")
CODES = {
    "NoSuchBucket": Text(
        "there is no such bucket; check its name and the endpoint (AWS_ENDPOINT_URL)",
        "バケットがありません。名前と接続先 (AWS_ENDPOINT_URL) を確かめてください",
    ),
    "SignatureDoesNotMatch": Text(
        "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
        "シークレットキーが違います。AWS_SECRET_ACCESS_KEY を確かめてください",
    ),
    "InvalidAccessKeyId": Text(
        "there is no such access key; check AWS_ACCESS_KEY_ID",
        "アクセスキーがありません。AWS_ACCESS_KEY_ID を確かめてください",
    ),
    "AccessDenied": Text(
        "this key may not read here; check the bucket's policy, or AWS_ACCESS_KEY_ID",
        "このキーには読む権限がありません。バケットのポリシーか AWS_ACCESS_KEY_ID を確かめてください",
    ),
    "PermanentRedirect": Text(
        "the bucket is in another region; check AWS_REGION",
        "バケットは別のリージョンにあります。AWS_REGION を確かめてください",
    ),
}
"""What the codes of S3's errors mean here, with the way out."""
SIGNS = {
    "169.254.169.254": Text(
        "no key is set; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "キーが設定されていません。AWS_ACCESS_KEY_ID と AWS_SECRET_ACCESS_KEY を設定してください",
    ),
    "error sending request": Text(
        "the server does not answer; check that it runs and AWS_ENDPOINT_URL is right",
        "サーバーが応答しません。動いていることと AWS_ENDPOINT_URL を確かめてください",
    ),
    "403 Forbidden": CODES["AccessDenied"],
    "Permission denied": Text("it may not be read; check its permissions", "読む権限がありません"),
}
"""What other errors mean, by what stands in them."""


def spelled(place: str) -> str:
    """Return the one spelling of a place: its files' URIs begin with it, and are members' keys.

    Args:
        place: a URL, or a folder's path.

    Raises Invalid for none, and for a URL with keys in it, which would be kept and shown.
    """
    if not place.strip():
        raise Invalid(
            "no source is given; write s3://bucket/prefix or a folder's path",
            "場所が指定されていません。s3://bucket/prefix かフォルダーのパスを書いてください",
        )
    if "://" not in place:
        return _of_folder(place)
    scheme, _, rest = place.partition("://")
    scheme = {"s3a": "s3"}.get(scheme.lower(), scheme.lower())
    if "@" in rest.partition("/")[0]:
        raise Invalid(
            f"{scheme}://…@…: no keys in the URL; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            f"{scheme}://…@…: URL にキーを書かず、AWS_ACCESS_KEY_ID と AWS_SECRET_ACCESS_KEY を"
            "設定してください",
        )
    if scheme == "file":
        return _of_folder(unquote(urlsplit(place).path))
    bucket, _, prefix = rest.partition("/")
    parts = [part for part in unquote(prefix).split("/") if part not in {"", "."}]
    return "/".join([f"{scheme}://{bucket}", *parts])


def folder_of(base: str) -> Path | None:
    """The folder that a place is; None for a bucket."""
    return Path(unquote(urlsplit(base).path)) if base.startswith("file://") else None


def reason_of(error: Exception) -> Text:
    """What an answer of a storage means: what to do, or its first paragraph.

    What follows is of no use to people, and may show what was sent.
    """
    said = str(error).strip()
    code = CODE.search(said)
    if code and code[1] in CODES:
        return CODES[code[1]]
    for sign, meaning in SIGNS.items():
        if sign in said:
            return meaning
    first = said.partition("\n\n")[0].partition("<?xml")[0].strip() or type(error).__name__
    first = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in first[:300])
    return Text(f"{code[1]}: {first}", f"{code[1]}: {first}") if code else Text(first, first)


def _of_folder(path: str) -> str:
    # Not resolved: a link that is set to another folder is the same place still.
    return Path(os.path.normpath(Path(path).absolute())).as_uri().rstrip("/")
