"""The Kubernetes API by plain REST: what the port asks for, lists for the resync, and the Lease."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from backsweep_api.names import FIELD_MANAGER
from backsweep_api.spec.document import API_VERSION, KIND
from backsweep_api.status import timestamp
from backsweep_operator.calls import Answer, Call, Caller
from backsweep_operator.errors import CallRefusedError, UnavailableError, WriteConflictError
from backsweep_operator.kinds import RESOURCES, trimmed
from backsweep_operator.model import EmitEvent, Kind, Reference
from backsweep_operator.ports import Clock

__all__ = ["KubeApi"]

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
PAGE = 50  # a pod is 13 KB, and as values ten times that: a page is what memory peaks by
MANAGED = {"fieldManager": FIELD_MANAGER}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
REPORTER = "backsweep-operator"
LONGEST_NOTE = 1_000

Raw = Mapping[str, Any]


class KubeApi:
    """The port `Kube` over a real API server."""

    def __init__(self, caller: Caller, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock

    async def read(self, kind: Kind, namespace: str, name: str) -> Raw | None:
        """Return an object by a live read, or None."""
        answer = await self._call(kind, (namespace, name), Call("read", "GET", "", accept=(404,), again=True))
        return None if answer.status == 404 else _object(answer)

    async def read_labelled(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> list[Raw]:
        """Return the objects that carry all `labels`, by a live read."""
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        found: list[Raw] = []
        async for page, _ in self.pages(kind, namespace, selector):
            found += page
        return found

    async def apply(self, manifest: Raw) -> Raw:
        """Apply server-side under our field manager, taking over conflicts, and return the object."""
        kind, meta = Kind(manifest["kind"]), manifest["metadata"]
        wanted = {**MANAGED, "force": "true"}
        call = Call("apply", "PATCH", "", parameters=wanted, body=dict(manifest), content_type=APPLY, writes=True)
        return _object(await self._call(kind, (meta["namespace"], meta["name"]), call))

    async def annotate(self, reference: Reference, annotations: Mapping[str, str]) -> Raw:
        """Merge annotations into the object of that uid, and return it.

        A uid in a patch is a precondition: the API server says of another one that the field is immutable (422).
        """
        body = {"metadata": {"uid": reference.uid, "annotations": dict(annotations)}}
        call = Call("annotate", "PATCH", "", parameters=MANAGED, body=body, content_type=MERGE, writes=True)
        return _object(await self._changed(reference, call))

    async def delete(self, reference: Reference) -> None:
        """Delete in the foreground, with uid and resourceVersion as preconditions; one that is not there is success."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": reference.uid, "resourceVersion": reference.resource_version},
        }
        call = Call("delete", "DELETE", "", body=body, writes=True, accept=(404,))
        await self._call(reference.kind, (reference.namespace, reference.name), call)

    async def write_status(self, reference: Reference, status: Raw) -> Raw:
        """Replace status if uid and resourceVersion are still those of `reference`, and return the object."""
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": reference.name,
                "namespace": reference.namespace,
                "uid": reference.uid,
                "resourceVersion": reference.resource_version,
            },
            "status": dict(status),
        }
        call = Call("write status of", "PUT", "/status", parameters=MANAGED, body=body, writes=True)
        return _object(await self._changed(reference, call))

    async def record_event(self, event: EmitEvent) -> None:
        """Record an Event about an object; the same one again is the same Event."""
        about, now = event.reference, timestamp(self._clock.now())
        key = f"{about.uid}/{about.resource_version}/{event.reason}/{event.message}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{about.name}.{hashlib.sha256(key.encode()).hexdigest()[:16]}",
                "namespace": about.namespace,
            },
            "involvedObject": {
                "apiVersion": RESOURCES[about.kind].api_version,
                "kind": str(about.kind),
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
                "resourceVersion": about.resource_version,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:LONGEST_NOTE],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": REPORTER},
            "reportingComponent": REPORTER,
            "reportingInstance": REPORTER,
        }
        path = f"/api/v1/namespaces/{about.namespace}/events"
        name = f"{event.reason} about {about.namespace}/{about.name}"
        await self._caller.call(
            Call("record event", "POST", path, name, MANAGED, body, writes=True, accept=(409,), again=True)
        )

    async def pages(
        self, kind: Kind, namespace: str, selector: str | None = None
    ) -> AsyncIterator[tuple[list[Raw], int]]:
        """Give a namespace's objects of a kind in pages, trimmed, each with the version of the whole list.

        Raises
        ------
        WriteConflictError
            If the list grew too old while it was read; it is begun anew later.
        """
        resource = RESOURCES[kind]
        chosen = resource.selector if selector is None else selector
        wanted = {"limit": str(PAGE), **({"labelSelector": chosen} if chosen else {})}
        stamp = {"apiVersion": resource.api_version, "kind": str(kind)}
        token = ""
        while True:
            parameters = {**wanted, **({"continue": token} if token else {})}
            call = Call("list", "GET", "", parameters=parameters, again=True)
            body = _object(await self._call(kind, (namespace, ""), call))
            yield [trimmed(kind, {**stamp, **raw}) for raw in body["items"]], int(body["metadata"]["resourceVersion"])
            token = body["metadata"].get("continue") or ""
            if not token:
                return

    async def missing_kinds(self) -> list[str]:
        """Return the kinds the API server does not serve: their definitions are not installed."""
        missing = []
        for group_version in sorted({resource.api_version for resource in RESOURCES.values()}):
            path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
            answer = await self._caller.call(Call("discover", "GET", path, group_version, accept=(404,), again=True))
            served = {} if answer.status == 404 else _object(answer)
            plurals = {each["name"] for each in served.get("resources", ())}
            missing += [
                f"{resource.plural}.{resource.api_version}"
                for resource in RESOURCES.values()
                if resource.api_version == group_version and resource.plural not in plurals
            ]
        return missing

    async def read_lease(self, namespace: str, name: str) -> Raw | None:
        """Return a Lease by a live read, or None."""
        call = Call("read lease", "GET", f"{LEASES.format(namespace)}/{name}", f"{namespace}/{name}", accept=(404,))
        answer = await self._caller.call(call)
        return None if answer.status == 404 else _object(answer)

    async def write_lease(self, namespace: str, name: str, lease: Raw) -> Raw:
        """Create a Lease, or replace the one whose resourceVersion `lease` carries, and return it.

        Raises
        ------
        WriteConflictError
            If another process was faster.
        """
        replaces = "resourceVersion" in lease["metadata"]
        path = LEASES.format(namespace) + (f"/{name}" if replaces else "")
        method, verb = ("PUT", "renew lease") if replaces else ("POST", "create lease")
        return _object(await self._caller.call(Call(verb, method, path, f"{namespace}/{name}", body=dict(lease))))

    async def _call(self, kind: Kind, at: tuple[str, str], call: Call) -> Answer:
        """Call about an object, or a namespace's list of its kind."""
        namespace, name = at
        path = RESOURCES[kind].path(namespace, name) + call.path
        whole = replace(call, name=f"{call.name} {kind}", path=path, about=f"{namespace}/{name}".rstrip("/"))
        return await self._caller.call(whole)

    async def _changed(self, reference: Reference, call: Call) -> Answer:
        """Change an object that must be there; one that is gone was changed by another."""
        at = (reference.namespace, reference.name)
        try:
            answer = await self._call(reference.kind, at, replace(call, accept=(404,)))
        except CallRefusedError as error:
            if "metadata.uid: Invalid value" in str(error):
                raise WriteConflictError(f"{reference.kind} {'/'.join(at)} is another one by now") from error
            raise
        if answer.status == 404:
            raise WriteConflictError(f"{reference.kind} {'/'.join(at)} is gone")
        return answer


def _object(answer: Answer) -> dict[str, Any]:
    """Return the object an answer carries; a success without one is no answer."""
    if not isinstance(answer.body, dict):
        raise UnavailableError(f"the API server answers {answer.status} without an object: {answer.message}")
    return answer.body
