"""What one process of the operator is told by its environment; each value that is wrong is named in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import ValidationError

from backsweep_api.errors import UserError
from backsweep_api.problems import sentences
from backsweep_api.spec.base import broken_rules
from backsweep_api.spec.execution import Storage
from backsweep_operator.model import PodSize, Release

__all__ = ["OperatorSettings", "SettingsError", "read_settings"]

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LOG_LEVELS = ("debug", "info", "warning", "error")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
STORAGE_VARIABLES = {
    "uri": "BACKSWEEP_STORAGE_URI",
    "endpointUrl": "BACKSWEEP_STORAGE_ENDPOINT_URL",
    "region": "BACKSWEEP_STORAGE_REGION",
    "secretRef": "BACKSWEEP_STORAGE_SECRET",
    "serviceAccountName": "BACKSWEEP_STORAGE_SERVICE_ACCOUNT",
}
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")


class SettingsError(UserError):
    """The environment asks for what cannot be; `problems` has one sentence for each variable."""

    reason = "InvalidSettings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Settings of a process, and of the release it serves.

    Parameters
    ----------
    namespace : where the operator itself runs: its Lease is there.
    watch_namespaces : where sweeps are served.
    identity : who this process is in the Lease; a restarted container of the same pod is the same.
    lease_seconds : how long a leader that says nothing is waited for.
    resync_seconds : how often everything is listed anew, spread by a quarter.
    passes : how many sweeps are worked on at once.
    """

    namespace: str
    watch_namespaces: tuple[str, ...]
    identity: str
    prefect_api_url: str
    release: Release
    prefect_auth: str | None = field(default=None, repr=False)
    lease_name: str = "backsweep-operator"
    lease_seconds: float = 30.0
    resync_seconds: float = 300.0
    orphans_seconds: float = 120.0
    passes: int = 16
    listen_host: str = "0.0.0.0"
    listen_port: int = 8080
    log_level: str = "info"


def read_settings(environ: Mapping[str, str], hostname: str) -> OperatorSettings:
    """Return the settings an environment gives.

    Raises
    ------
    SettingsError
        If a variable lacks or is wrong: all of them at once, one sentence each.
    """
    reader = _Reader(environ)
    host, port = reader.address("BACKSWEEP_LISTEN", "0.0.0.0:8080")
    found = OperatorSettings(
        namespace=reader.label("BACKSWEEP_NAMESPACE"),
        watch_namespaces=reader.namespaces("BACKSWEEP_WATCH_NAMESPACES"),
        identity=reader.text("BACKSWEEP_IDENTITY", hostname),
        prefect_api_url=reader.url("PREFECT_API_URL").rstrip("/"),
        prefect_auth=environ.get("PREFECT_API_AUTH_STRING") or None,
        lease_name=reader.label("BACKSWEEP_LEASE_NAME", "backsweep-operator"),
        lease_seconds=reader.number("BACKSWEEP_LEASE_SECONDS", 30.0, (3.0, 300.0)),
        resync_seconds=reader.number("BACKSWEEP_RESYNC_SECONDS", 300.0, (1.0, 3_600.0)),
        orphans_seconds=reader.number("BACKSWEEP_ORPHANS_SECONDS", 120.0, (1.0, 3_600.0)),
        passes=int(reader.number("BACKSWEEP_PASSES", 16, (1, 256))),
        listen_host=host,
        listen_port=port,
        log_level=reader.choice("BACKSWEEP_LOG_LEVEL", LOG_LEVELS, "info"),
        release=_release(reader),
    )
    if reader.problems:
        raise SettingsError(reader.problems)
    return found


def _release(reader: _Reader) -> Release:
    """Return what belongs to the release; a default is the model's own."""
    default = Release("")
    return Release(
        image=reader.text("BACKSWEEP_IMAGE"),
        ray_version=reader.text("BACKSWEEP_RAY_VERSION", default.ray_version),
        work_pool=reader.text("BACKSWEEP_WORK_POOL", default.work_pool),
        prefect_ui_url=reader.url("BACKSWEEP_PREFECT_UI_URL", "").rstrip("/") or None,
        image_pull_policy=reader.choice("BACKSWEEP_IMAGE_PULL_POLICY", PULL_POLICIES, default.image_pull_policy),
        max_concurrent_sweeps=reader.whole("BACKSWEEP_MAX_CONCURRENT_SWEEPS", default.max_concurrent_sweeps, 100_000),
        ttl_seconds=reader.whole("BACKSWEEP_TTL_SECONDS", default.ttl_seconds, 31_536_000),
        poll_seconds=reader.whole("BACKSWEEP_POLL_SECONDS", default.poll_seconds, 3_600),
        status_seconds=reader.whole("BACKSWEEP_STATUS_SECONDS", default.status_seconds, 3_600),
        retry_seconds=reader.whole("BACKSWEEP_RETRY_SECONDS", default.retry_seconds, 3_600),
        longest_retry_seconds=reader.whole("BACKSWEEP_LONGEST_RETRY_SECONDS", default.longest_retry_seconds, 86_400),
        user_id=reader.whole("BACKSWEEP_USER_ID", default.user_id, 2**31 - 1),
        flow_pod=PodSize(
            reader.quantity("BACKSWEEP_FLOW_CPU", default.flow_pod.cpu),
            reader.quantity("BACKSWEEP_FLOW_MEMORY", default.flow_pod.memory),
        ),
        copied_labels=reader.words("BACKSWEEP_COPIED_LABELS", default.copied_labels),
        storage=_storage(reader),
    )


def _storage(reader: _Reader) -> Storage | None:
    """Return the store of sweeps that name none, by the rules of `spec.storage`; None if none is given."""
    given = {field: found for field, name in STORAGE_VARIABLES.items() if (found := reader.text(name, ""))}
    if not given:
        return None
    if not given.get("uri", "").startswith("s3://"):
        reader.problems.append(f"BACKSWEEP_STORAGE_URI is {given.get('uri', '')!r}; it must be s3://bucket/prefix")
        return None
    values = {field: {"name": found} if field == "secretRef" else found for field, found in given.items()}
    try:
        storage = Storage.model_validate(values)
    except ValidationError as error:
        reader.problems += [f"BACKSWEEP_STORAGE, {told}" for told in sentences(error, Storage, values)]
        return None
    broken = [f"BACKSWEEP_STORAGE, {'.'.join(map(str, path))}: {told}" for path, told in broken_rules(storage)]
    reader.problems += broken
    return None if broken else storage


class _Reader:
    """Reads variables and keeps a sentence for each that is wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        found = self._environ.get(name, "").strip()
        if found:
            return found
        if default is None:
            self.problems.append(f"{name} is not set; it must be given")
        return default or ""

    def label(self, name: str, default: str | None = None) -> str:
        return self._checked(name, default, lambda text: bool(DNS_LABEL.fullmatch(text)), "a Kubernetes name")

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        return self._checked(name, default, lambda text: text in allowed, f"one of {', '.join(allowed)}")

    def quantity(self, name: str, default: str) -> str:
        return self._checked(
            name, default, lambda text: bool(QUANTITY.fullmatch(text)), "a quantity such as 500m or 1Gi"
        )

    def url(self, name: str, default: str | None = None) -> str:
        return self._checked(name, default, _is_http, "an address such as http://prefect:4200/api")

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        if name not in self._environ:
            return default
        return tuple(word.strip() for word in self._environ[name].split(",") if word.strip())

    def namespaces(self, name: str) -> tuple[str, ...]:
        found = self.words(name, ())
        wrong = [each for each in found if not DNS_LABEL.fullmatch(each)]
        if wrong:
            self.problems.append(
                f"{name} names {wrong[0]!r}; list namespaces by their names, with commas between: patterns and all"
                " namespaces are not served"
            )
        elif not found:
            self.problems.append(f"{name} is not set; list the namespaces to serve, with commas between")
        return tuple(dict.fromkeys(found))

    def number(self, name: str, default: float, bounds: tuple[float, float]) -> float:
        low, high = bounds
        text = self._environ.get(name, "").strip()
        if not text:
            return default
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not low <= found <= high:
            self.problems.append(f"{name} is {text!r}; it must be a number from {low:g} to {high:g}")
            return default
        return found

    def whole(self, name: str, default: int, highest: int) -> int:
        text = self._environ.get(name, "").strip()
        if not text:
            return default
        if not text.isdecimal() or not 1 <= int(text) <= highest:
            self.problems.append(f"{name} is {text!r}; it must be a whole number from 1 to {highest}")
            return default
        return int(text)

    def address(self, name: str, default: str) -> tuple[str, int]:
        text = self.text(name, default)
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            self.problems.append(f"{name} is {text!r}; it must be an address and a port, such as 0.0.0.0:8080")
            return "", 0
        return host.strip("[]"), int(port)

    def _checked(self, name: str, default: str | None, holds: Callable[[str], bool], wanted: str) -> str:
        text = self.text(name, default)
        if name in self._environ and text and not holds(text):
            self.problems.append(f"{name} is {text!r}; it must be {wanted}")
        return text


def _is_http(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
