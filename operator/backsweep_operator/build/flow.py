"""What Prefect is told: work pool, deployment, and the flow run of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backsweep_api.errors import InvariantError
from backsweep_api.names import LABEL_ROLE, AttemptName
from backsweep_api.spec.cluster import ExistingCluster
from backsweep_api.spec.document import API_VERSION, KIND, BacktestSweep
from backsweep_operator.build.pod_security import violations
from backsweep_operator.build.pods import CONTAINER_SECURITY, pod_security, resources
from backsweep_operator.build.raycluster import head_address
from backsweep_operator.model import EnsureDeployment, FlowRunRequest, PodRole, Release

__all__ = ["FLOW_CONTAINER", "base_job_template", "deployment", "flow_run_request", "work_pool"]

FLOW_CONTAINER = "prefect-job"  # the only name Prefect's worker takes
RAY_TOKEN_KEY = "auth_token"  # the key of the Secret KubeRay makes, which has the cluster's name
NO_SECRET = "backsweep-none"  # a name for references that are optional and lead nowhere
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
VARIABLES: Mapping[str, Mapping[str, Any]] = {
    "name": TEXT,
    "namespace": TEXT,
    "labels": {"type": "object", "additionalProperties": TEXT},
    "owner_references": {"type": "array", "items": {"type": "object"}, "default": []},
    "image": TEXT,
    "image_pull_policy": TEXT,
    "service_account_name": {"type": "string", "default": "default"},
    "finished_job_ttl": NUMBER,
    "backoff_limit": NUMBER,
    "active_deadline_seconds": NUMBER,
    "cpu": TEXT,
    "memory": TEXT,
    "ray_token_secret": TEXT,
    "ray_token_key": TEXT,
    "ray_token_optional": {"type": "boolean", "default": True},
    "ray_ca_secret": TEXT,
    "ray_ca_key": TEXT,
    "storage_secret": TEXT,
    "command": {"type": "string"},
    "env": {"type": "object", "additionalProperties": TEXT, "default": {}},
    "stream_output": {"type": "boolean", "default": True},
    "job_watch_timeout_seconds": {"type": "integer"},
    "pod_watch_timeout_seconds": {"type": "integer", "default": 600},
}


def work_pool(document: BacktestSweep, release: Release) -> str:
    """Return the name of the work pool of a sweep."""
    return release.work_pool if document.spec.prefect is None else document.spec.prefect.work_pool


def deployment(pool: str, release: Release) -> EnsureDeployment:
    """Return what a work pool needs once: all that differs between sweeps travels with the flow run."""
    return EnsureDeployment(
        work_pool=pool,
        base_job_template=base_job_template(release),
        flow=release.flow,
        deployment=release.deployment,
        entrypoint=release.entrypoint,
    )


def base_job_template(release: Release) -> dict[str, Any]:
    """Return the template Prefect's Kubernetes worker makes flow Jobs from.

    Secrets are named in the container's own list, since Prefect takes variables as plain text only. A reference is
    optional where a sweep has no such Secret; the token of its own cluster is not, so that the pod waits for it.
    """
    pod = _pod(release)
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": "{{ name }}-",
            "namespace": "{{ namespace }}",
            "labels": "{{ labels }}",
            "ownerReferences": "{{ owner_references }}",
        },
        "spec": {
            "backoffLimit": "{{ backoff_limit }}",
            "activeDeadlineSeconds": "{{ active_deadline_seconds }}",
            "ttlSecondsAfterFinished": "{{ finished_job_ttl }}",
            "template": {
                "metadata": {"labels": "{{ labels }}"},
                "spec": {"parallelism": 1, "completions": 1, "restartPolicy": "Never", **pod},
            },
        },
    }
    configuration: dict[str, Any] = {
        name: f"{{{{ {name} }}}}"
        for name in (
            "name",
            "namespace",
            "labels",
            "command",
            "env",
            "stream_output",
            "job_watch_timeout_seconds",
            "pod_watch_timeout_seconds",
        )
    }
    return {
        "job_configuration": {**configuration, "job_manifest": manifest},
        "variables": {"type": "object", "properties": {name: dict(schema) for name, schema in VARIABLES.items()}},
    }


def flow_run_request(
    attempt: AttemptName, document: BacktestSweep, release: Release, workers: int, budget: Mapping[str, Any] | None
) -> FlowRunRequest:
    """Return the flow run of an attempt: the document, where its Ray is, what it may spend, and its Job.

    Parameters
    ----------
    workers : of the cluster made for it; 0 if none is.
    budget : limit, what was spent before this attempt, currency and prices; None without a budget.
    """
    cluster = document.spec.cluster
    existing = None if cluster is None else cluster.existing
    address = existing.address if existing is not None else head_address(attempt) if workers else None
    parameters: dict[str, Any] = {
        "document": document.normalised(),
        "namespace": attempt.namespace,
        "uid": attempt.uid,
        "attempt": attempt.attempt,
        "ray": None if address is None else {"address": address, "workers": workers},
        "budget": None if budget is None else dict(budget),
    }
    pool = work_pool(document, release)
    return FlowRunRequest(attempt, pool, parameters, _job_variables(attempt, document, release, workers, existing))


def _job_variables(
    attempt: AttemptName, document: BacktestSweep, release: Release, workers: int, existing: ExistingCluster | None
) -> dict[str, Any]:
    """Return the variables of the flow's Job."""
    spec = document.spec
    token = None if existing is None else existing.token_secret_ref
    authority = None if existing is None else existing.ca_secret_ref
    storage = spec.storage
    secret = None if storage is None or storage.secret_ref is None else storage.secret_ref.name
    account = None if storage is None else storage.service_account_name
    ttl = spec.ttl_seconds_after_finished
    longest = spec.active_deadline_seconds or release.deadlines.run
    return {
        "name": attempt.child,
        "namespace": attempt.namespace,
        "labels": {**attempt.labels, LABEL_ROLE: str(PodRole.FLOW)},
        "owner_references": [attempt.owner_reference(API_VERSION, KIND)],
        "image": release.image,
        "image_pull_policy": release.image_pull_policy,
        "service_account_name": account or "default",
        "finished_job_ttl": (release.ttl_seconds if ttl is None else ttl) + release.deadlines.report,
        "backoff_limit": release.job_backoff_limit,
        "active_deadline_seconds": longest + release.deadlines.overrun,
        "job_watch_timeout_seconds": longest + release.deadlines.overrun,
        "cpu": release.flow_pod.cpu,
        "memory": release.flow_pod.memory,
        "ray_token_secret": attempt.child if workers else token.name if token is not None else NO_SECRET,
        "ray_token_key": token.key if token is not None else RAY_TOKEN_KEY,
        "ray_token_optional": not workers and token is None,
        "ray_ca_secret": authority.name if authority is not None else NO_SECRET,
        "ray_ca_key": authority.key if authority is not None else "ca.crt",
        "storage_secret": secret or NO_SECRET,
    }


def _pod(release: Release) -> dict[str, Any]:
    """Return the spec of the flow's pod, in which no user's code runs and which holds no token of Kubernetes."""
    secrets = [
        ("RAY_AUTH_TOKEN", "{{ ray_token_secret }}", "{{ ray_token_key }}", "{{ ray_token_optional }}"),
        ("BACKSWEEP_RAY_CA", "{{ ray_ca_secret }}", "{{ ray_ca_key }}", True),
        ("AWS_ACCESS_KEY_ID", "{{ storage_secret }}", "AWS_ACCESS_KEY_ID", True),
        ("AWS_SECRET_ACCESS_KEY", "{{ storage_secret }}", "AWS_SECRET_ACCESS_KEY", True),
        ("AWS_SESSION_TOKEN", "{{ storage_secret }}", "AWS_SESSION_TOKEN", True),
    ]
    variables: list[dict[str, Any]] = [
        {"name": "HOME", "value": "/tmp"},
        {"name": "PREFECT_HOME", "value": "/tmp/prefect"},
        {"name": "RAY_AUTH_MODE", "value": "token"},
    ]
    variables += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key, "optional": optional}}}
        for name, secret, key, optional in secrets
    ]
    pod = {
        "serviceAccountName": "{{ service_account_name }}",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(release),
        "containers": [
            {
                "name": FLOW_CONTAINER,
                "image": "{{ image }}",
                "imagePullPolicy": "{{ image_pull_policy }}",
                "args": "{{ command }}",
                # Made empty by whoever starts it. Prefect copies the folder it is started in: the whole root, else.
                "workingDir": "/tmp/flow",
                "env": variables,
                "resources": resources("{{ cpu }}", "{{ memory }}"),
                "securityContext": CONTAINER_SECURITY,
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    if broken := violations(pod):
        raise InvariantError(f"a flow pod would break Pod Security restricted: {'; '.join(broken)}")
    return pod
