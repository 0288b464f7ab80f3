"""Objects of Kubernetes and Prefect as plain values: pure, the same for the same input."""

from backsweep_operator.build.flow import base_job_template, deployment, flow_run_request, work_pool
from backsweep_operator.build.pod_security import violations
from backsweep_operator.build.raycluster import head_address, network_policy, ray_cluster, ray_sizes

__all__ = [
    "base_job_template",
    "deployment",
    "flow_run_request",
    "head_address",
    "network_policy",
    "ray_cluster",
    "ray_sizes",
    "violations",
    "work_pool",
]
