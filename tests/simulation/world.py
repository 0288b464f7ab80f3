"""A model of the Kubernetes API: versions, preconditions, watch history, owners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.clockwork import Clockwork

from backsweep_api.status import timestamp
from backsweep_operator.errors import WriteConflictError
from backsweep_operator.model import Kind

Raw = dict[str, Any]
Place = tuple[Kind, str, str]
WATCHED = (Kind.SWEEP, Kind.CLUSTER, Kind.POLICY, Kind.JOB, Kind.POD)


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch: the object after it, or as it was when it went."""

    version: int
    kind: Kind
    gone: bool
    raw: Raw


@dataclass(slots=True)
class World:
    """Objects, which are never changed in place, and everything that ever happened to them."""

    clockwork: Clockwork
    objects: dict[Place, Raw] = field(default_factory=dict)
    version: int = 0
    uids: int = 0
    history: dict[Kind, list[Change]] = field(default_factory=lambda: {kind: [] for kind in WATCHED})
    watchers: list[Callable[[Change], None]] = field(default_factory=list)
    status_writes: dict[str, int] = field(default_factory=dict)

    def get(self, kind: Kind, namespace: str, name: str) -> Raw | None:
        return self.objects.get((kind, namespace, name))

    def of(self, kind: Kind, labels: Mapping[str, str] | None = None) -> list[Raw]:
        """Return the objects of a kind that carry all labels, by name."""
        found = [raw for place, raw in sorted(self.objects.items()) if place[0] is kind]
        wanted = (labels or {}).items()
        return [raw for raw in found if wanted <= raw["metadata"].get("labels", {}).items()]

    def apply(self, manifest: Mapping[str, Any]) -> Raw:
        """Create the object, or replace what of it is applied; an equal one stays in its version."""
        kind = Kind(manifest["kind"])
        meta = manifest["metadata"]
        before = self.get(kind, meta["namespace"], meta["name"])
        if before is None:
            self.uids += 1
            made = {
                **meta,
                "uid": f"uid-{self.uids:04d}",
                "generation": 1,
                "creationTimestamp": timestamp(self.clockwork.time),
            }
            return self.put({**manifest, "metadata": made})
        fields = {key: value for key, value in manifest.items() if key != "metadata"}
        merged = {**before["metadata"], **meta}
        if fields.get("spec") != before.get("spec"):
            merged["generation"] = before["metadata"]["generation"] + 1
        after = {**before, **fields, "metadata": merged}
        return before if after == before else self.put(after)

    def annotate(self, kind: Kind, namespace: str, name: str, annotations: Mapping[str, str]) -> Raw | None:
        raw = self.get(kind, namespace, name)
        if raw is None:
            return None
        meta = raw["metadata"]
        return self.put({**raw, "metadata": {**meta, "annotations": {**meta.get("annotations", {}), **annotations}}})

    def set_spec(self, namespace: str, name: str, spec: Raw) -> None:
        """A user's change of a sweep."""
        raw = self.get(Kind.SWEEP, namespace, name)
        if raw is not None and raw["spec"] != spec:
            meta = {**raw["metadata"], "generation": raw["metadata"]["generation"] + 1}
            self.put({**raw, "metadata": meta, "spec": spec})

    def set_status(self, kind: Kind, namespace: str, name: str, status: Raw) -> Raw | None:
        raw = self.get(kind, namespace, name)
        return None if raw is None else self.put({**raw, "status": status})

    def write_sweep_status(self, place: tuple[str, str], uid: str, version: str, status: Raw) -> Raw:
        """The operator's own write of status, with its precondition."""
        raw = self.get(Kind.SWEEP, *place)
        if raw is None or raw["metadata"]["uid"] != uid or raw["metadata"]["resourceVersion"] != version:
            raise WriteConflictError(f"sweep {place} is not at {version}")
        self.status_writes[uid] = self.status_writes.get(uid, 0) + 1
        return self.put({**raw, "status": status})

    def delete(self, kind: Kind, namespace: str, name: str, uid: str, version: str | None) -> None:
        """Delete in the foreground: what is below goes first, then the object."""
        raw = self.get(kind, namespace, name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return
        if raw["metadata"]["uid"] != uid or (version is not None and raw["metadata"]["resourceVersion"] != version):
            raise WriteConflictError(f"{kind} {name} is not what was to be deleted")
        gone = {**raw["metadata"], "deletionTimestamp": timestamp(self.clockwork.time)}
        self.put({**raw, "metadata": gone})

    def put(self, raw: Raw) -> Raw:
        """Store an object in a new version and tell the watches."""
        self.version += 1
        stored = {**raw, "metadata": {**raw["metadata"], "resourceVersion": str(self.version)}}
        kind = Kind(stored["kind"])
        self.objects[kind, stored["metadata"]["namespace"], stored["metadata"]["name"]] = stored
        self._tell(Change(self.version, kind, False, stored))
        return stored

    def remove(self, raw: Raw) -> None:
        """Take an object out and tell the watches."""
        kind = Kind(raw["kind"])
        last = self.objects.pop((kind, raw["metadata"]["namespace"], raw["metadata"]["name"]), None)
        if last is not None:
            self.version += 1
            self._tell(Change(self.version, kind, True, last))

    def uids_of_sweeps(self) -> set[str]:
        return {raw["metadata"]["uid"] for place, raw in self.objects.items() if place[0] is Kind.SWEEP}

    def listed_at(self, kind: Kind, version: int) -> list[Raw]:
        """Return the objects of a kind as they were at a version: what a lagging reader is given."""
        found: dict[str, Raw] = {}
        for change in self.history[kind]:
            if change.version > version:
                break
            name = change.raw["metadata"]["name"]
            if change.gone:
                found.pop(name, None)
            else:
                found[name] = change.raw
        return list(found.values())

    def _tell(self, change: Change) -> None:
        self.history[change.kind].append(change)
        for watcher in list(self.watchers):
            watcher(change)
