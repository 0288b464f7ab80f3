"""A store on S3 that cannot be used says so within seconds, in one sentence that tells what to change."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from backsweep.errors import StoreError, TransientError
from backsweep.stores import s3_client
from backsweep.stores.s3 import S3Store

if TYPE_CHECKING:
    from tests.contract.conftest import Bucket
    from tests.contract.s3_server import Answer, Environ, Forward, S3Server

SECONDS = 60.0  # on a busy machine; whoever is patient with such a server takes twice as long


def refused(act: Callable[[], object], sentence: str, kind: type[Exception] = StoreError) -> str:
    """Check that `act` fails in time, with one sentence that gives away no credentials."""
    from tests.contract.s3_server import ACCESS_KEY, SECRET_KEY

    started = time.monotonic()
    with pytest.raises(kind, match=sentence) as caught:
        act()
    assert time.monotonic() - started < SECONDS
    said = str(caught.value)
    assert said.startswith("the store s3://")
    assert "\n" not in said
    assert len(said) < 400
    assert not said.endswith(".")
    assert ACCESS_KEY not in said
    assert SECRET_KEY not in said
    return said


def each_use(make: Callable[[], S3Store]) -> list[Callable[[], object]]:
    """Whatever is done first with the store says the same."""
    return [
        make().probe,
        lambda: make().put_object(b"x"),
        lambda: make().get_unit("u"),
        lambda: make().present_units(["a"]),
    ]


def test_a_missing_bucket(s3_server: S3Server) -> None:
    for use in each_use(lambda: S3Store("s3://nowhere/prefix", s3_server.url)):
        refused(
            use, rf"cannot be used: there is no bucket nowhere at {s3_server.url}; create it, or correct the address$"
        )


def test_an_address_where_nothing_listens(aws_environment: None) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for use in each_use(lambda: S3Store("s3://bucket/prefix", url)):
            refused(use, rf"{url} cannot be reached \(connection refused\); correct the address, or start the server$")


def test_an_address_whose_name_is_not_known(aws_environment: None) -> None:
    store = S3Store("s3://bucket/prefix", "http://nobody.invalid:9000")
    refused(
        store.probe, r"http://nobody\.invalid:9000 cannot be reached \(its name is not known\); correct the address"
    )


def test_an_address_where_something_listens_and_is_silent(
    aws_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = s3_client.HASTY
    attempts = hasty["retries"]["total_max_attempts"]
    assert attempts * (hasty["connect_timeout"] + hasty["read_timeout"]) <= 15
    monkeypatch.setitem(hasty, "read_timeout", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        store = S3Store("s3://bucket/prefix", f"http://127.0.0.1:{silent.getsockname()[1]}")
        refused(store.probe, r"failed: http://127\.0\.0\.1:\d+ does not answer in time$", TransientError)


def test_https_where_http_is_spoken(s3_server: S3Server) -> None:
    store = S3Store("s3://bucket/prefix", s3_server.url.replace("http:", "https:"))
    refused(store.probe, r"no secure connection to https://127.* \(it does not speak TLS\); correct http or https in")


def test_a_web_server_that_is_no_s3_server(s3_server: S3Server) -> None:
    from tests.contract.s3_server import Answer

    for status, sentence in (("404 Not Found", "is no S3 server"), ("200 OK", "has format None"), ("405 No", "allow")):
        s3_server.behaviour = lambda *_, status=status: Answer(status, [], b"<html>hello</html>")
        refused(S3Store("s3://bucket/prefix", s3_server.url).probe, sentence)


def test_no_credentials(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for use in each_use(lambda: S3Store("s3://bucket/prefix", s3_server.url)):
        refused(use, "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role$")


def test_half_a_credential_and_a_profile_that_does_not_exist(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    half = S3Store("s3://bucket/prefix", s3_server.url)
    refused(half.probe, "missing: AWS_SECRET_ACCESS_KEY; correct the configuration of the AWS credentials$")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    unknown = S3Store("s3://bucket/prefix", s3_server.url)
    refused(unknown.probe, r"The config profile \(nobody\) could not be found; correct the configuration")


def test_an_endpoint_from_the_environment_that_is_none_or_holds_a_password(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "me:secret@there")
    with pytest.raises(StoreError, match=r"^the endpoint or region in the AWS configuration is no valid one") as caught:
        S3Store("s3://bucket/prefix").probe()
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url.replace("http://", "http://me:secret@"))
    said = refused(S3Store("s3://nowhere/prefix").probe, f"no bucket nowhere at {s3_server.url}; create it")
    assert "secret" not in said


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        ("400 Bad", "ExpiredToken", "the session token has expired; get a new one and run the same command again$"),
        ("400 Bad", "InvalidToken", "does not accept the session token; correct the credentials$"),
        ("403 No", "InvalidAccessKeyId", "does not know the access key; correct the credentials$"),
        (
            "403 No",
            "SignatureDoesNotMatch",
            "the secret key does not belong to the access key; correct the credentials$",
        ),
        ("403 No", "AccessDenied", r"does not allow GetObject \(AccessDenied\); allow s3:GetObject, s3:PutObject, "),
        ("403 No", "RequestTimeTooSkewed", "this machine's clock differs too much from the server's; set it$"),
        ("400 Bad", "SomethingElse", "answered GetObject with SomethingElse: as told$"),
        ("501 No", "NotImplemented", "does not know GetObject as a store needs it; give another server$"),
    ],
)
def test_what_the_server_refuses(bucket: Bucket, status: str, code: str, sentence: str) -> None:
    from tests.contract.s3_server import refusal

    bucket.server.behaviour = refusal(status, code)
    for use in each_use(bucket.open):
        refused(use, rf"^the store s3://{bucket.name}/some/prefix cannot be used: .*{sentence}")


def test_another_region(bucket: Bucket) -> None:
    from tests.contract.s3_server import refusal

    bucket.server.behaviour = refusal("400 Bad", "AuthorizationHeaderMalformed", "<Region>eu-south-2</Region>")
    refused(bucket.open().probe, "its bucket is in the region eu-south-2; correct the region$")
    # As from a web server in front that wants https: boto3 alone asks it for the region until the stack is full.
    bucket.server.behaviour = refusal("301 Moved", "PermanentRedirect")
    refused(bucket.open().probe, "its bucket is in another region; correct the region$")


def test_a_token_that_expires_while_the_store_is_used_is_named_also_where_only_heads_are_asked(bucket: Bucket) -> None:
    from tests.contract.s3_server import refusal

    store = bucket.open()
    store.put_unit("u", {})
    bucket.server.behaviour = refusal("400 Bad", "ExpiredToken")
    for use in (lambda: store.put_unit("v", {}), lambda: store.get_unit("u"), lambda: store.present_units(["u"])):
        refused(use, "the session token has expired; get a new one")


def test_a_full_server(bucket: Bucket) -> None:
    from tests.contract.s3_server import is_put, refusal, times

    store = bucket.open(patience_seconds=0.0)
    store.probe()
    bucket.server.behaviour = times(9, refusal("507 Full", "XMinioStorageFull"), is_put)
    refused(
        lambda: store.put_unit("u", {}), "has no space left; free some and run the same command again", TransientError
    )


def test_a_server_that_says_it_does_not_know_conditions(bucket: Bucket) -> None:
    from tests.contract.s3_server import refusal

    unknown = refusal("501 No", "NotImplemented")

    def without_conditions(environ: Environ, forward: Forward) -> Answer | None:
        return (unknown if "HTTP_IF_NONE_MATCH" in environ else lambda *_: forward(environ))(environ, forward)

    bucket.server.behaviour = without_conditions
    refused(bucket.open().probe, "does not know PutObject as a store needs it; give another server$")


# From here on moto looks at signatures and permissions as AWS does.


@pytest.fixture
def reader(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket that these credentials may read and list, and not write."""
    import boto3
    from moto.core.authorization import enable_iam_authentication

    bucket.open().put_unit("u", {})
    iam = boto3.client("iam", endpoint_url=bucket.server.url)
    name = f"reader-of-{bucket.name}"
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    bucket.server.access_keys.add(made["AccessKeyId"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
    with enable_iam_authentication():
        yield bucket


def test_a_bucket_that_may_only_be_read(reader: Bucket) -> None:
    store = reader.open()
    assert store.get_unit("u") == {}
    assert store.present_units(["u", "v"]) == {"u"}
    for use in (store.probe, lambda: store.put_object(b"x"), lambda: store.put_unit("v", {})):
        refused(
            use, rf"{reader.server.url} does not allow PutObject \(AccessDenied\); allow s3:GetObject, s3:PutObject, "
        )


def test_a_secret_key_that_does_not_belong_to_the_access_key(reader: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    refused(reader.open().probe, "the secret key does not belong to the access key; correct the credentials$")


def test_an_access_key_that_nobody_knows(reader: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.server.access_keys.add("nobody")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    refused(reader.open().probe, f"{reader.server.url} does not know the access key; correct the credentials$")
