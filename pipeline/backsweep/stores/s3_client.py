"""boto3's clients as a store needs them: time-outs, few retries, nothing that only AWS understands.

boto3 is imported here, when a client is made, and nowhere at the top of a module: a worker whose store is
a folder does not pay for it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from backsweep.errors import StoreError
from backsweep.stores.s3_address import S3Access

__all__ = ["failures", "make_client", "server_of"]

# Before the first answer the address may be wrong, and somebody waits.
HASTY = {"connect_timeout": 2, "read_timeout": 5, "retries": {"mode": "standard", "total_max_attempts": 2}}
CALM = {"connect_timeout": 5, "read_timeout": 30, "retries": {"mode": "standard", "total_max_attempts": 4}}


def make_client(access: S3Access, *, hasty: bool) -> Any:
    """Return a client with a session of its own (boto3's shared one is not safe with threads).

    Raises
    ------
    StoreError : boto3 is not installed, or the endpoint that the environment gives is no address.
    """
    try:
        from boto3.session import Session  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
    except ImportError as error:
        raise StoreError("a store on S3 needs boto3; install backsweep with its extra 's3'") from error
    config = Config(
        **(HASTY if hasty else CALM),
        max_pool_connections=access.connections,
        tcp_keepalive=True,
        # Checksums beyond what we give change how a body is sent, which servers other than AWS may not read.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        return Session().client("s3", endpoint_url=access.endpoint_url, region_name=access.region, config=config)
    except ValueError as error:
        raise StoreError(f"the store's server or region is no valid one: {error}") from error


def failures() -> tuple[type[Exception], ...]:
    """Return what a client's methods raise."""
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

    return BotoCoreError, ClientError, ResponseParserError


def server_of(client: Any) -> str:
    """Return the server's address as it may be shown: an endpoint from the environment can hold a password."""
    parts = urlsplit(client.meta.endpoint_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
