"""Who may do what: each rendered Role has the verbs that the code uses and no other; no one reads Secrets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.charts.rendering import CASES, ROOT, of_kind, pod_specs

from backsweep_api.names import LABEL_MANAGED_BY, LABEL_ROLE, AttemptName
from backsweep_operator.access import GUARD_RULES, OWN_RULES, SERVED_RULES
from backsweep_operator.calls import Answer, Call
from backsweep_operator.kinds import RESOURCES, WATCHED
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.model import EmitEvent, Kind, PodRole, Reference
from backsweep_operator.runtime import WallClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.charts.rendering import Object

Rules = dict[tuple[str, str], frozenset[str]]
# What act does to children, as `decide` asks for it: it applies what it makes and deletes what it or Prefect made.
MADE = (Kind.CLUSTER, Kind.POLICY)
DELETED = (Kind.JOB, Kind.CLUSTER, Kind.POLICY)
# By kubernetes-python in prefect-kubernetes 0.8: what was seen to be enough on a real cluster.
WORKER_RULES: Rules = {
    ("batch", "jobs"): frozenset({"create", "delete", "get", "list", "watch"}),
    ("", "pods"): frozenset({"list", "watch"}),
    ("", "pods/log"): frozenset({"get"}),
}


def rules_of(roles: list[Object]) -> Rules:
    """Return what roles allow together."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for rule in (rule for role in roles for rule in role["rules"]):
        for key in ((group, resource) for group in rule["apiGroups"] for resource in rule["resources"]):
            found[key] = found.get(key, frozenset()) | frozenset(rule["verbs"])
    return found


def roles_in(objects: list[Object], part: str, namespace: str) -> list[Object]:
    return [role for role in of_kind(objects, "Role", part) if role["metadata"]["namespace"] == namespace]


class RecordingCaller:
    """Answers every call, and notes what RBAC would be asked for."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str, str]] = set()

    async def call(self, call: Call) -> Answer:
        for each in self._verbs(call):
            self.asked.add(each)
        return Answer(200, {"items": [], "metadata": {"resourceVersion": "1"}})

    def _verbs(self, call: Call) -> Iterator[tuple[str, str, str]]:
        """Yield group, resource and verb as the API server derives them from a request."""
        parts = call.path.strip("/").split("/")
        group = "" if parts[0] == "api" else parts[1]
        at = parts.index("namespaces") + 2
        resource, name, rest = parts[at], parts[at + 1 : at + 2], parts[at + 2 :]
        whole = "/".join([resource, *rest])
        verbs = {"GET": ("get",) if name else ("list",), "POST": ("create",), "PUT": ("update",), "DELETE": ("delete",)}
        # A server-side apply creates what is not there.
        patch = ("patch", "create") if "apply" in call.content_type else ("patch",)
        yield from ((group, whole, verb) for verb in ({**verbs, "PATCH": patch}[call.method]))


async def do_everything(kube: KubeApi) -> None:
    """Make every call the operator makes."""
    reference = Reference(Kind.SWEEP, "quant", "night", "uid", "1")
    for kind in MADE:
        manifest = {"kind": str(kind), "metadata": {"name": "night", "namespace": "quant"}}
        await kube.apply(manifest)
    await kube.annotate(Reference(Kind.CLUSTER, "quant", "night", "uid", "1"), {})
    for kind in DELETED:
        await kube.read(kind, "quant", "night")
        await kube.delete(Reference(kind, "quant", "night", "uid", "1"))
    await kube.read(Kind.SWEEP, "quant", "night")
    for kind in WATCHED:
        await kube.read_labelled(kind, "quant", {"a": "b"})
    await kube.write_status(reference, {})
    await kube.record_event(EmitEvent(reference, "Normal", "Reason", "message"))


def test_the_table_of_access_is_what_the_calls_need() -> None:
    caller: Any = RecordingCaller()
    asyncio.run(do_everything(KubeApi(caller, WallClock())))
    watched = {(RESOURCES[kind].group, RESOURCES[kind].plural, "watch") for kind in WATCHED}
    table = {(*place, verb) for place, verbs in SERVED_RULES.items() for verb in verbs}
    assert table == caller.asked | watched


def test_the_lease_needs_what_the_table_says() -> None:
    async def lease(kube: KubeApi) -> None:
        await kube.read_lease("own", "lease")
        await kube.write_lease("own", "lease", {"metadata": {}})
        await kube.write_lease("own", "lease", {"metadata": {"resourceVersion": "1"}})

    caller: Any = RecordingCaller()
    asyncio.run(lease(KubeApi(caller, WallClock())))
    assert caller.asked == {(*place, verb) for place, verbs in OWN_RULES.items() for verb in verbs}


@pytest.mark.parametrize(("case", "namespaces"), [("defaults", ["backsweep-system"]), ("teams", ["quant", "risk"])])
def test_the_rendered_roles_equal_the_tables(
    renderings: dict[str, list[Object]], case: str, namespaces: list[str]
) -> None:
    objects = renderings[case]
    own = [role for role in of_kind(objects, "Role", "operator") if role["metadata"]["name"].endswith("-lease")]
    assert [role["metadata"]["namespace"] for role in own] == ["backsweep-system"]
    assert rules_of(own) == OWN_RULES
    for namespace in namespaces:
        served = [role for role in roles_in(objects, "operator", namespace) if role not in own]
        assert rules_of(served) == SERVED_RULES
        assert rules_of(roles_in(objects, "worker", namespace)) == WORKER_RULES
        assert rules_of(roles_in(objects, "guard", namespace)) == GUARD_RULES
    assert {role["metadata"]["namespace"] for role in of_kind(objects, "Role")} == {*namespaces, "backsweep-system"}


@pytest.mark.parametrize("case", CASES)
def test_nobody_reads_secrets_or_acts_in_all_namespaces(renderings: dict[str, list[Object]], case: str) -> None:
    objects = renderings[case]
    assert of_kind(objects, "ClusterRoleBinding") == []
    for role in [*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole")]:
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"]
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]


@pytest.mark.parametrize("case", CASES)
def test_every_binding_binds_a_role_of_its_namespace_to_an_account_that_a_pod_uses(
    renderings: dict[str, list[Object]], case: str
) -> None:
    objects = renderings[case]
    place = [(role["metadata"]["namespace"], role["metadata"]["name"]) for role in of_kind(objects, "Role")]
    accounts = {each["metadata"]["name"] for each in of_kind(objects, "ServiceAccount")}
    bindings = of_kind(objects, "RoleBinding")
    assert sorted((each["metadata"]["namespace"], each["roleRef"]["name"]) for each in bindings) == sorted(place)
    assert {subject["name"] for each in bindings for subject in each["subjects"]} == accounts
    used = {spec["serviceAccountName"] for spec in pod_specs(objects).values() if "serviceAccountName" in spec}
    assert used == accounts


def test_only_pods_that_call_kubernetes_hold_its_token(renderings: dict[str, list[Object]]) -> None:
    holding = [name for name, spec in pod_specs(renderings["defaults"]).items() if spec["automountServiceAccountToken"]]
    assert sorted(holding) == [
        "CronJob backsweep-guard",
        "Deployment backsweep-operator",
        "Deployment backsweep-worker",
    ]


def test_who_views_a_namespace_reads_its_sweeps_and_who_edits_it_makes_them_but_says_nothing_of_their_end(
    renderings: dict[str, list[Object]],
) -> None:
    given = {
        label.rpartition("-")[2]: rules_of([role])
        for role in of_kind(renderings["defaults"], "ClusterRole")
        for label in role["metadata"]["labels"]
        if label.startswith("rbac.authorization.k8s.io/aggregate-to-")
    }
    sweeps = (RESOURCES[Kind.SWEEP].group, RESOURCES[Kind.SWEEP].plural)
    reading = frozenset({"get", "list", "watch"})
    writing = reading | {"create", "delete", "deletecollection", "patch", "update"}
    assert given == {"view": {sweeps: reading}, "edit": {sweeps: writing}, "admin": {sweeps: writing}}
    assert of_kind(renderings["external"], "ClusterRole") == []


def test_no_field_of_a_sweep_leads_into_another_namespace() -> None:
    definition = yaml.safe_load((ROOT / "crds" / "backsweep.dev_backtestsweeps.yaml").read_text(encoding="utf-8"))
    fields = set(names_in(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    assert {"secretRef", "tokenSecretRef", "caSecretRef", "secretKeyRef", "serviceAccountName"} <= fields
    assert [name for name in fields if "namespace" in name.lower()] == []


def names_in(schema: Object) -> Iterator[str]:
    """Yield the names of all fields of a schema."""
    for name, part in schema.get("properties", {}).items():
        yield name
        yield from names_in(part)
    if "items" in schema:
        yield from names_in(schema["items"])


def test_prefect_is_reached_by_flow_pods_and_not_by_pods_of_users_code(renderings: dict[str, list[Object]]) -> None:
    (policy,) = [each for each in of_kind(renderings["teams"], "NetworkPolicy", "prefect")]
    peers = policy["spec"]["ingress"][0]["from"]
    (served,) = [
        each["podSelector"]["matchLabels"] for each in peers if "namespaceSelector" in each and "podSelector" in each
    ]
    attempt = AttemptName("quant", "night", "uid", "0" * 16, 1)
    labels = {role: {**attempt.labels, LABEL_ROLE: str(role)} for role in PodRole}
    reaching = [role for role, found in labels.items() if served.items() <= found.items()]
    assert reaching == [PodRole.FLOW]
    assert LABEL_MANAGED_BY in served
