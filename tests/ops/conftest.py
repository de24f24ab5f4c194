"""What tests of running a ledger share: a real S3 server."""

from tests.members.conftest import KEYS, s3

__all__ = ["KEYS", "s3"]
