"""boto3's clients as a store needs them: time-outs, few retries, nothing that only AWS understands.

boto3 is imported here, when a client is made, and nowhere at the top of a module: a worker whose store is
a folder does not pay for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from backsweep.errors import StoreError
from backsweep.stores.s3_address import S3Access

__all__ = ["failures", "make_client", "make_session", "server_of"]

# Before the first answer the address may be wrong, and somebody waits.
HASTY: dict[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
CALM: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 30,
    "retries": {"mode": "standard", "total_max_attempts": 4},
}


def make_session() -> Any:
    """Return a session of one's own, since boto3's shared one is not safe with threads. Its clients are made fast.

    Raises
    ------
    StoreError : boto3 is not installed.
    """
    try:
        from boto3.session import Session
        from botocore.session import Session as Core
    except ImportError as error:
        raise StoreError("a store on S3 needs boto3; install backsweep with its extra 's3'") from error
    core = Core()
    # botocore's own reader of times takes five sixths of what it costs to read a page of a listing.
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_read_time)
    return Session(botocore_session=core)


def _read_time(value: Any) -> Any:
    """Return the time in an answer; the form that listings have is read by the standard library."""
    from botocore.utils import parse_timestamp

    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)
    return found if found.tzinfo else parse_timestamp(value)


def make_client(session: Any, access: S3Access, *, hasty: bool) -> Any:
    """Return a client; `hasty` for the time before the first answer.

    Raises
    ------
    StoreError : the endpoint or region that the environment gives is none.
    """
    from botocore.config import Config

    config = Config(
        **(HASTY if hasty else CALM),
        max_pool_connections=access.connections,
        tcp_keepalive=True,
        # Checksums beyond what we give change how a body is sent, which servers other than AWS may not read.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = session.client("s3", endpoint_url=access.endpoint_url, region_name=access.region, config=config)
    except ValueError as error:
        raise StoreError("the endpoint or region in the AWS configuration is no valid one; correct it") from error
    client.meta.events.register("before-call.s3.HeadBucket", _take_as_it_is)
    return client


def _take_as_it_is(params: dict[str, Any], **_: Any) -> None:
    """Keep botocore from asking without end: it asks HeadBucket where a server redirects it, and is redirected."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def failures() -> tuple[type[Exception], ...]:
    """Return what a client's methods raise."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    return BotoCoreError, ClientError, ResponseParserError


def server_of(client: Any) -> str:
    """Return the server's address as it may be shown: an endpoint from the environment can hold a password."""
    parts = urlsplit(client.meta.endpoint_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
