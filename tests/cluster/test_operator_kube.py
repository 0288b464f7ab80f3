"""The operator's calls mean to a real API server what the port says they mean."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.operators import ACCOUNT, prepare, sweep

from backsweep_operator.calls import Caller, Server
from backsweep_operator.cluster_login import ClusterLogin
from backsweep_operator.errors import CallRefusedError, WriteConflictError
from backsweep_operator.kube_api import KubeApi
from backsweep_operator.metrics import OperatorMetrics
from backsweep_operator.model import EmitEvent, Kind, Reference
from backsweep_operator.watches import kopf_settings

OURS = {"app.kubernetes.io/managed-by": "backsweep"}


class Clock:
    def now(self) -> float:
        return time.time()


@dataclass(frozen=True)
class Account:
    """The operator's own ServiceAccount at the API server."""

    namespace: str

    def use(self, work: Callable[[KubeApi], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            login = ClusterLogin(kopf_settings())
            server = Server(
                who="Kubernetes",
                url=login.server,
                headers=login.headers,
                ssl_context=login.ssl_context,
                metrics=OperatorMetrics(),
                jitter=random.Random(7).random,
            )
            caller = Caller(server)
            try:
                return await work(KubeApi(caller, Clock()))
            finally:
                await caller.close()

        return asyncio.run(run())


@pytest.fixture
def account(plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    own = prepare(plane, namespace)
    monkeypatch.setenv("KUBECONFIG", str(plane.account_kubeconfig(own, ACCOUNT)))
    return Account(namespace)


def reference_of(kind: Kind, raw: Any) -> Reference:
    meta = raw["metadata"]
    return Reference(kind, meta["namespace"], meta["name"], meta["uid"], meta["resourceVersion"])


def policy(namespace: str, name: str = "one", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": {**OURS, **labels}},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }


def test_status_is_written_only_to_the_version_and_the_object_that_was_read(
    plane: ControlPlane, account: Account
) -> None:
    plane.apply(sweep("one", account.namespace))
    seen = reference_of(Kind.SWEEP, plane.get("backtestsweep", "one", account.namespace))
    written = account.use(
        lambda kube: kube.write_status(seen, {"observedGeneration": 1, "startTime": "2026-01-02T03:04:05Z"})
    )
    assert written["spec"] == plane.get("backtestsweep", "one", account.namespace)["spec"]
    with pytest.raises(WriteConflictError):
        account.use(lambda kube: kube.write_status(seen, {"observedGeneration": 2}))
    newer = reference_of(Kind.SWEEP, written)
    with pytest.raises(WriteConflictError):
        account.use(lambda kube: kube.write_status(replace(newer, uid="0-0"), {"observedGeneration": 2}))
    replaced = account.use(lambda kube: kube.write_status(newer, {"observedGeneration": 3}))
    assert replaced["status"] == {"observedGeneration": 3}
    assert replaced["metadata"]["generation"] == 1


def test_applying_takes_fields_over_keeps_those_of_others_and_gives_up_its_own(
    plane: ControlPlane, account: Account
) -> None:
    account.use(lambda kube: kube.apply(policy(account.namespace, a="1", b="1")))
    arguments = ("label", "networkpolicy", "one", f"--namespace={account.namespace}", "--overwrite", "a=2", "c=3")
    plane.kubectl(*arguments)
    found = account.use(lambda kube: kube.apply(policy(account.namespace, a="1")))
    assert found["metadata"]["labels"] == {**OURS, "a": "1", "c": "3"}


def test_an_annotation_goes_to_the_object_it_was_meant_for(plane: ControlPlane, account: Account) -> None:
    made = reference_of(Kind.POLICY, account.use(lambda kube: kube.apply(policy(account.namespace))))
    found = account.use(lambda kube: kube.annotate(made, {"backsweep.dev/delete-after": "x"}))
    assert found["metadata"]["annotations"] == {"backsweep.dev/delete-after": "x"}
    for other in (replace(made, uid="0-0"), replace(made, name="gone")):
        with pytest.raises(WriteConflictError):
            account.use(partial(KubeApi.annotate, reference=other, annotations={"a": "b"}))


def test_a_deletion_spares_what_was_changed_or_replaced_since_it_was_read(
    plane: ControlPlane, account: Account
) -> None:
    made = reference_of(Kind.POLICY, account.use(lambda kube: kube.apply(policy(account.namespace))))
    for other in (replace(made, uid="0-0"), replace(made, resource_version="1")):
        with pytest.raises(WriteConflictError):
            account.use(partial(KubeApi.delete, reference=other))
    account.use(lambda kube: kube.delete(made))
    wait_until(lambda: not plane.all("networkpolicies", account.namespace), "the policy is gone")
    account.use(lambda kube: kube.delete(made))
    assert account.use(lambda kube: kube.read(Kind.POLICY, account.namespace, "one")) is None


def test_objects_are_found_by_all_their_labels_page_by_page(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backsweep_operator.kube_api.PAGE", 2)

    async def five(kube: KubeApi) -> Any:
        for number in range(5):
            await kube.apply(policy(account.namespace, f"p-{number}", even=str(number % 2 == 0)))
        return await kube.read_labelled(Kind.POLICY, account.namespace, {**OURS, "even": "True"})

    assert [raw["metadata"]["name"] for raw in account.use(five)] == ["p-0", "p-2", "p-4"]


def test_an_event_is_shown_with_its_sweep_once(plane: ControlPlane, account: Account) -> None:
    plane.apply(sweep("told", account.namespace))
    about = reference_of(Kind.SWEEP, plane.get("backtestsweep", "told", account.namespace))
    for _ in range(2):
        account.use(lambda kube: kube.record_event(EmitEvent(about, "Warning", "CallRefused", "exceeded quota")))
    shown = plane.kubectl("describe", "backtestsweep", "told", f"--namespace={account.namespace}")
    assert shown.count("exceeded quota") == 1


def test_what_quota_or_rights_forbid_is_refused_in_the_servers_words(plane: ControlPlane, account: Account) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": account.namespace},
        "spec": {"hard": {"count/networkpolicies.networking.k8s.io": "0"}},
    }
    plane.apply(quota)
    plane.kubectl("wait", "resourcequota/none", f"--namespace={account.namespace}", "--for=jsonpath={.status.hard}")
    with pytest.raises(CallRefusedError, match="exceeded quota: none"):
        account.use(lambda kube: kube.apply(policy(account.namespace)))
    with pytest.raises(CallRefusedError, match=r'answers 403 to read Pod default/x: .*cannot get resource "pods"'):
        account.use(lambda kube: kube.read(Kind.POD, "default", "x"))


def test_every_kind_is_served_and_a_lease_is_created_once(account: Account) -> None:
    own = f"{account.namespace}-system"
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": ACCOUNT, "namespace": own},
        "spec": {"holderIdentity": "me"},
    }

    async def made(kube: KubeApi) -> Any:
        assert await kube.missing_kinds() == []
        assert await kube.read_lease(own, ACCOUNT) is None
        created = await kube.write_lease(own, ACCOUNT, lease)
        with pytest.raises(WriteConflictError):
            await kube.write_lease(own, ACCOUNT, lease)
        return await kube.write_lease(own, ACCOUNT, {**created, "spec": {"holderIdentity": "you"}})

    assert json.dumps(account.use(made)["spec"]) == '{"holderIdentity": "you"}'
