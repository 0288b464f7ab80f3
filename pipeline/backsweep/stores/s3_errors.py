"""What an S3 server's answers mean: an outcome to go on with, or one sentence that says who must do what.

A server's answer is known by its code; an answer without a body (to HEAD) by its status alone.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from backsweep.errors import BacksweepError, StoreError, TransientError

__all__ = ["Outcome", "Place", "explain", "outcome_of"]

ACTIONS = "s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket"
PAUSE_SECONDS = 30.0
MOST_QUOTED = 200  # characters of a server's own words

KEY_UNKNOWN = {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "NotSignedUp"}
TOKEN_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
TOKEN_WRONG = {"InvalidToken", "InvalidSecurity", "MissingSecurityHeader"}
FORBIDDEN = {
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "Forbidden",
    "MethodNotAllowed",
    "401",
    "403",
    "405",
}
REGION_WRONG = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
    "301",
    "307",
}
CLOCK_WRONG = {"RequestTimeTooSkewed", "RequestInTheFuture"}
FULL = {"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "InsufficientCapacity", "507"}
UNKNOWN = {"NotImplemented", "XNotImplemented", "501"}
BUSY = {"SlowDown", "RequestTimeout", "RequestTimeoutException", "InternalError", "ServiceUnavailable", "429"}


class Outcome(enum.Enum):
    """How a request ended that did not fail."""

    DONE = "done"
    MISSING = "missing"  # no such key
    REFUSED = "refused"  # its condition does not hold
    CONTESTED = "contested"  # another request for the same key is under way: ask again


@dataclass(frozen=True, slots=True)
class Place:
    """What the sentences name: the store's uri, its bucket, and the server's address."""

    uri: str
    bucket: str
    server: str


def outcome_of(error: Exception) -> Outcome | None:
    """Return the outcome an error stands for, or None where it is a failure."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return None
    code, status = _code(answer), _status(answer)
    if code == "PreconditionFailed" or status == 412:
        return Outcome.REFUSED
    if code in ("NoSuchKey", "NoSuchUpload", "NotFound", "404"):
        return Outcome.MISSING
    if code in ("ConditionalRequestConflict", "OperationAborted") or (status == 409 and code == "409"):
        return Outcome.CONTESTED
    return None


def explain(error: Exception, place: Place, operation: str, *, reached: bool) -> BacksweepError:
    """Return what the error means, as the error of who must act on it.

    Parameters
    ----------
    operation : what was asked, in S3's words.
    reached : whether the server has answered before, so that its address is right.
    """
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        return _explain_answer(answer, place, operation)
    return _explain_silence(error, place, reached=reached)


def _explain_answer(answer: dict[str, Any], place: Place, operation: str) -> BacksweepError:
    """Return the sentence for what the server said."""
    code, status = _code(answer), _status(answer)
    store = f"the store {place.uri}"
    if code in FULL or status == 507:
        return _later(f"{store} has no space left; free some and run the same command again, nothing finished is lost")
    if code in BUSY or status == 429 or (status >= 500 and code not in UNKNOWN and status != 501):
        return _later(f"{store} failed: {place.server} answered {operation} with {code}")
    region = answer.get("Error", {}).get("Region")
    where = f"the region {region}" if region else "another region"
    sentences = [
        ({"NoSuchBucket"}, f"there is no bucket {place.bucket} at {place.server}; create it, or correct the address"),
        (KEY_UNKNOWN, f"{place.server} does not know the access key; correct the credentials"),
        ({"SignatureDoesNotMatch"}, "the secret key does not belong to the access key; correct the credentials"),
        (TOKEN_EXPIRED, "the session token has expired; get a new one and run the same command again"),
        (TOKEN_WRONG, f"{place.server} does not accept the session token; correct the credentials"),
        (FORBIDDEN, f"{place.server} does not allow {operation} ({code}); allow {ACTIONS} to these credentials"),
        (REGION_WRONG, f"its bucket is in {where}; correct the region"),
        (CLOCK_WRONG, "this machine's clock differs too much from the server's; set it"),
        (UNKNOWN, f"{place.server} does not know {operation} as a store needs it; give another server"),
    ]
    for codes, sentence in sentences:
        if code in codes:
            return StoreError(f"{store} cannot be used: {sentence}")
    said = " ".join(str(answer.get("Error", {}).get("Message", "")).split())[:MOST_QUOTED]
    return StoreError(f"{store} cannot be used: {place.server} answered {operation} with {code}: {said or 'no reason'}")


def _explain_silence(error: Exception, place: Place, *, reached: bool) -> BacksweepError:
    """Return the sentence for what went wrong before, or instead of, an answer."""
    from botocore import exceptions as said
    from botocore.parsers import ResponseParserError

    store = f"the store {place.uri}"
    if isinstance(error, said.NoCredentialsError):
        return StoreError(
            f"{store} cannot be used: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "a profile or a role"
        )
    if isinstance(error, said.SSLError):
        return StoreError(
            f"{store} cannot be used: no secure connection to {place.server} ({_innermost(error)}); correct http or "
            "https in the address, or name the certificate's authority in AWS_CA_BUNDLE"
        )
    if isinstance(error, ResponseParserError):
        return StoreError(
            f"{store} cannot be used: what answers at {place.server} is no S3 server; correct the address"
        )
    if isinstance(error, said.ReadTimeoutError):
        return _later(f"{store} failed: {place.server} does not answer in time")
    if isinstance(error, said.ConnectionError):
        why = f"{place.server} cannot be reached ({_innermost(error)})"
        if reached:
            return _later(f"{store} failed: {why}")
        return StoreError(f"{store} cannot be used: {why}; correct the address, or start the server")
    if isinstance(error, (said.HTTPClientError, said.IncompleteReadError)):
        return _later(f"{store} failed: the connection to {place.server} broke ({_innermost(error)})")
    renewing = (said.CredentialRetrievalError, said.MetadataRetrievalError, said.TokenRetrievalError)
    if reached and isinstance(error, renewing):
        return _later(f"{store} failed: the credentials could not be renewed ({_brief(error)})")
    return StoreError(f"{store} cannot be used: {_brief(error)}; correct the configuration of the AWS credentials")


def _later(sentence: str) -> TransientError:
    return TransientError(sentence, retry_after_seconds=PAUSE_SECONDS)


def _code(answer: dict[str, Any]) -> str:
    return str(answer.get("Error", {}).get("Code", "")) or str(_status(answer))


def _status(answer: dict[str, Any]) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _innermost(error: Exception) -> str:
    """Return the cause in a few words, without the objects' addresses that libraries print around it."""
    text = str(getattr(error, "kwargs", {}).get("error") or error)
    known = {
        "Connection refused": "connection refused",
        "resolve": "its name is not known",
        "Name or service not known": "its name is not known",
        "timed out": "time-out",
        "timeout": "time-out",
        "proxy": "through the proxy",
        "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted",
        "WRONG_VERSION_NUMBER": "it does not speak TLS",
        "wrong version number": "it does not speak TLS",
        "unreachable": "no route to it",
        "reset by peer": "reset by the other side",
    }
    return next((words for sign, words in known.items() if sign in text), type(error).__name__)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:MOST_QUOTED].rstrip(".")
