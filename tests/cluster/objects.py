"""Objects of any kind over one kept connection: kubectl takes a hundred times the work for each look a test takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from tests.cluster.api_calls import Answer, ApiCalls
from tests.cluster.clusters import FIELD_MANAGER, Object, RefusedError

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True)
class Resource:
    """One kind as it is served."""

    group: str
    version: str
    plural: str
    names: frozenset[str]
    kind: str
    namespaced: bool

    @property
    def full_name(self) -> str:
        """Its name as that of its definition."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str) -> str:
        """Return where its objects are."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if self.namespaced else f"{root}/{self.plural}"


class Objects:
    """What an administrator reads and applies, named as kubectl names it; for one thread.

    Every method raises `RefusedError` with the API server's words, also where it does not answer.
    """

    def __init__(self, calls: ApiCalls) -> None:
        self._calls = calls
        self._known: list[Resource] = []

    def get(self, kind: str, name: str, namespace: str) -> Object:
        """Read one object."""
        found: Object = self._send("GET", f"{self._resource(kind).path(namespace)}/{quote(name)}").body
        return found

    def all(self, kinds: str, namespace: str, selector: str) -> list[Object]:
        """List the objects of one kind or of several, with commas between; each says of what kind it is."""
        found: list[Object] = []
        for resource in map(self._resource, kinds.split(",")):
            query = urlencode({"labelSelector": selector})
            listed = self._send("GET", f"{resource.path(namespace)}?{query}").body
            found += [{**each, "apiVersion": listed["apiVersion"], "kind": resource.kind} for each in listed["items"]]
        return found

    def apply(self, *objects: Object) -> None:
        """Apply objects one after the other, on the server's side."""
        query = urlencode({"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"})
        for each in objects:
            meta = each["metadata"]
            place = self._of_object(each).path(meta.get("namespace", "default"))
            self._send("PATCH", f"{place}/{quote(meta['name'])}?{query}", each, "application/apply-patch+yaml")

    def patch(self, path: str, change: Object) -> None:
        """Merge a change into what is at a path."""
        self._send("PATCH", path, change, "application/merge-patch+json")

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._calls.close()

    def served(self) -> list[Resource]:
        """Return every kind that is served now."""
        self._known = [
            each for root in ("/api", "/apis") for group in self._discovered(root) for each in resources_of(group)
        ]
        return self._known

    def _discovered(self, root: str) -> list[Any]:
        found: list[Any] = self._send("GET", root, accept=DISCOVERY).body["items"]
        return found

    def _resource(self, name: str) -> Resource:
        """Return a kind by its name, with its group behind it or without."""
        return self._first(name, lambda each: name == each.full_name or name in each.names)

    def _of_object(self, found: Object) -> Resource:
        version, kind = str(found["apiVersion"]), str(found["kind"])

        def is_it(each: Resource) -> bool:
            return kind == each.kind and version == f"{each.group}/{each.version}".strip("/")

        return self._first(f"{version} {kind}", is_it)

    def _first(self, asked: str, is_it: Callable[[Resource], bool]) -> Resource:
        """Return the first kind that fits; one that came since the last look is looked for anew."""
        found = next(filter(is_it, self._known), None) or next(filter(is_it, self.served()), None)
        if found is None:
            raise RefusedError(f"the server does not serve {asked}")
        return found

    def _send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        kind: str = "application/json",
        accept: str = "application/json",
    ) -> Answer:
        try:
            answer = self._calls.send(method, path, body, kind, accept)
        except (OSError, HTTPException) as error:
            raise RefusedError(f"{method} {path}: {error}") from error
        if not answer.accepted:
            raise RefusedError(answer.message)
        return answer


def resources_of(group: Any) -> Iterator[Resource]:
    """Yield the kinds of a group, those of its preferred version first."""
    for version in group["versions"]:
        for each in version.get("resources", ()):
            names = {each["resource"], each["singularResource"], *each.get("shortNames", ())}
            yield Resource(
                group["metadata"].get("name", ""),
                version["version"],
                each["resource"],
                frozenset(names),
                each["responseKind"]["kind"],
                each["scope"] == "Namespaced",
            )
