"""Labels, annotations and names of what a sweep makes on a cluster: by uid, specDigest and attempt.

And where it stands in its store, which operator and pipeline both say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "ANNOTATION_DELETE_AFTER",
    "FIELD_MANAGER",
    "LABEL_ATTEMPT",
    "LABEL_DIGEST",
    "LABEL_MANAGED_BY",
    "LABEL_ROLE",
    "LABEL_SWEEP",
    "LABEL_UID",
    "LABEL_USABLE",
    "MANAGED_BY",
    "AttemptName",
    "sweep_folder",
]

FIELD_MANAGER = "backsweep"
MANAGED_BY = "backsweep"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_SWEEP = "backsweep.dev/sweep"
LABEL_UID = "backsweep.dev/uid"
LABEL_DIGEST = "backsweep.dev/spec-digest"
LABEL_ATTEMPT = "backsweep.dev/attempt"
LABEL_ROLE = "backsweep.dev/role"
LABEL_USABLE = "backsweep.dev/usable-by-sweeps"
ANNOTATION_DELETE_AFTER = "backsweep.dev/delete-after"

DIGEST_DIGITS = 16
UID_DIGITS = 8
LONGEST_CHILD_NAME = 50  # KubeRay refuses longer ones: it appends endings of its own
NUMBER = re.compile(r"[0-9]{1,9}")  # of an attempt: labels and keys can be written by others, and names stay short


def sweep_folder(namespace: str, name: str, spec_digest: str) -> str:
    """Return where a sweep's manifest and logs stand below the root of its store."""
    return f"sweeps/{namespace}/{name}/{spec_digest}"


@dataclass(frozen=True, slots=True, order=True)
class AttemptName:
    """One attempt of one sweep: what its children and its flow run are called by.

    Parameters
    ----------
    uid : of the BacktestSweep, so that a sweep made again under its old name shares nothing with the old one.
    digest : the first 16 hex digits of specDigest; a label holds no more than 63 characters.
    attempt : 1, 2, ...; never used twice for one uid, whatever its specDigest.
    """

    namespace: str
    sweep: str
    uid: str
    digest: str
    attempt: int

    @property
    def child(self) -> str:
        """The name of its RayCluster and NetworkPolicy: a DNS label with room for KubeRay's own endings.

        The beginning of the sweep's name, 8 digits that uid and specDigest make, the attempt.
        """
        digits = hashlib.sha256(f"{self.uid}/{self.digest}".encode()).hexdigest()[:UID_DIGITS]
        tail = f"-{digits}-{self.attempt}"
        return self.sweep[: LONGEST_CHILD_NAME - len(tail)].rstrip("-") + tail

    @property
    def flow_run(self) -> str:
        """The name of its flow run, for people."""
        return f"{self.namespace}/{self.sweep}-{self.digest[:UID_DIGITS]}-{self.attempt}"

    @property
    def idempotency_key(self) -> str:
        """What makes creating its flow run twice the same as once; `from_key` reads it again."""
        return f"{self.namespace}/{self.sweep}/{self.uid}/{self.digest}/{self.attempt}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all its children."""
        return {
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_SWEEP: self.sweep,
            LABEL_UID: self.uid,
            LABEL_DIGEST: self.digest,
            LABEL_ATTEMPT: str(self.attempt),
        }

    def owner_reference(self, api_version: str, kind: str) -> dict[str, Any]:
        """Return the reference by which Kubernetes deletes a child with its sweep."""
        return {
            "apiVersion": api_version,
            "kind": kind,
            "name": self.sweep,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }

    @classmethod
    def of(cls, at: tuple[str, str, str], spec_digest: str, attempt: int) -> AttemptName:
        """Return the name of an attempt of the sweep `at` (namespace, name, uid)."""
        return cls(*at, spec_digest[:DIGEST_DIGITS], attempt)

    @classmethod
    def from_labels(cls, namespace: str, labels: Mapping[str, str]) -> AttemptName | None:
        """Return the attempt whose labels an object carries, or None if they are not ours."""
        found = [labels.get(key, "") for key in (LABEL_SWEEP, LABEL_UID, LABEL_DIGEST, LABEL_ATTEMPT)]
        if not all(found) or not NUMBER.fullmatch(found[3]):
            return None
        return cls(namespace, found[0], found[1], found[2], int(found[3]))

    @classmethod
    def from_key(cls, key: str) -> AttemptName | None:
        """Return the attempt that an idempotency key names, or None if it is not one of ours."""
        parts = key.split("/")
        if len(parts) != 5 or not NUMBER.fullmatch(parts[4]):
            return None
        namespace, sweep, uid, digest, attempt = parts
        return cls(namespace, sweep, uid, digest, int(attempt))
