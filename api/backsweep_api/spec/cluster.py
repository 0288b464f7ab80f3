"""spec.cluster and spec.nodePool: the Ray cluster a sweep runs on, and the nodes under it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Flag, OneOf, Text, Whole
from backsweep_api.spec.names import LabelText, Namespace, Quantity, ShortText

__all__ = ["Cluster", "NodePool"]

LabelKey = Annotated[str, Text(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?", 317, "a label's key")]
Labels = Annotated[dict[LabelKey, LabelText], Field(max_length=50)]


class SecretKey(Model):
    """A key of a Secret in the sweep's namespace."""

    name: Namespace = Field(description="Name of the Secret.")
    key: LabelText = Field(description="Key in the Secret.")


class Toleration(Model):
    """A taint that pods tolerate."""

    key: LabelKey | None = Field(None, description="Key of the taint; every taint without it.")
    operator: Annotated[Literal["Exists", "Equal"], OneOf()] = Field(
        "Equal", description="How the taint's value is compared."
    )
    value: LabelText | None = Field(None, description="Value of the taint.")
    effect: Annotated[Literal["NoSchedule", "PreferNoSchedule", "NoExecute"], OneOf()] | None = Field(
        None, description="Effect of the taint; every effect without it."
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.key is None and self.operator == "Equal":
            yield ("operator",), "found Equal without a key; write Exists, or a key"
        if self.operator == "Exists" and self.value is not None:
            yield ("value",), "is given, but Exists compares no value; write operator Equal, or leave it out"


class EnvironmentVariable(Model):
    """An environment variable, by value or from a Secret."""

    name: Annotated[str, Text(r"[A-Za-z_][A-Za-z0-9_]*", 200, "a variable's name: letters, digits and underscores")] = (
        Field(description="Name.")
    )
    value: Annotated[str, Text(r"[\s\S]+", 4_000, "a text of up to 4,000 characters")] | None = Field(
        None, description="Value."
    )
    secret_key_ref: SecretKey | None = Field(None, description="Where the value is kept, if it is a secret.")

    def rules(self) -> Iterator[Problem]:
        if (self.value is None) == (self.secret_key_ref is None):
            yield (), f"{self.name} needs value or secretKeyRef; write one of them"


class PodTemplate(Model):
    """The fields of a pod that a sweep may set."""

    labels: Labels = Field({}, description="Labels of the pods.")
    annotations: Annotated[dict[LabelKey, ShortText], Field(max_length=50)] = Field(
        {}, description="Annotations of the pods."
    )
    node_selector: Labels = Field({}, description="Labels that nodes must have.")
    tolerations: tuple[Toleration, ...] = Field((), max_length=20, description="Taints the pods tolerate.")
    priority_class_name: Namespace | None = Field(None, description="Priority class of the pods.")
    service_account_name: Namespace | None = Field(None, description="ServiceAccount of the pods.")
    image_pull_secrets: tuple[Namespace, ...] = Field((), max_length=10, description="Secrets to pull the image with.")
    env: tuple[EnvironmentVariable, ...] = Field((), max_length=50, description="Environment variables.")


class Head(Model):
    """The head of the Ray cluster, which runs no work."""

    cpu: Quantity = Field("1", description="Cores.")
    memory: Quantity = Field("2Gi", description="Memory.")
    pod_template: PodTemplate | None = Field(None, description="More about its pod.")


class Workers(Model):
    """The workers of the Ray cluster: a fixed number, chosen from the plan."""

    min: Annotated[int, Whole(1, 1_000, "workers")] = Field(1, description="Fewest workers.")
    max: Annotated[int, Whole(1, 1_000, "workers")] = Field(4, description="Most workers.")
    cpu: Quantity = Field("1", description="Cores of a worker.")
    memory: Quantity = Field("2Gi", description="Memory of a worker.")
    pod_template: PodTemplate | None = Field(None, description="More about their pods.")

    def rules(self) -> Iterator[Problem]:
        if self.min > self.max:
            yield ("min",), f"found {self.min}, more than max {self.max}; write no more than max"


class ExistingCluster(Model):
    """A Ray cluster that is already there."""

    address: Annotated[
        str, Text(r"https?://[^\s\x00-\x1f\x7f]+", 500, "a URL that begins with https:// or http://")
    ] = Field(description="URL of its Jobs API.")
    token_secret_ref: SecretKey | None = Field(None, description="Its token.")
    ca_secret_ref: SecretKey | None = Field(None, description="The certificate authority of its certificate.")


class Cluster(Model):
    """The Ray cluster of one sweep."""

    ray_version: Annotated[str, Text(r"[0-9]+\.[0-9]+\.[0-9]+", 20, "a version such as 2.60.0")] | None = Field(
        None, description="Version of Ray in the image; the release's own unless given."
    )
    image: ShortText | None = Field(None, description="Image of head and workers; the release's own unless given.")
    head: Head | None = Field(None, description="The head.")
    workers: Workers | None = Field(None, description="The workers.")
    idle_timeout_seconds: Annotated[int, Whole(10, 86_400, "seconds")] = Field(
        600, description="Seconds without a finished block after which the cluster is deleted."
    )
    queue_name: LabelText | None = Field(None, description="Kueue LocalQueue that admits the cluster.")
    existing: ExistingCluster | None = Field(None, description="A cluster that is already there; nothing is created.")

    @override
    def rules(self) -> Iterator[Problem]:
        if self.existing is not None:
            for name in ("image", "head", "workers", "queueName", "rayVersion"):
                if name in self.normalised():
                    yield (name,), "describes a cluster to create, but existing names one; leave it or existing out"


class NodePool(Model):
    """Nodes made for one sweep and taken away after it."""

    provisioner: Annotated[Literal["SkyPilot"], OneOf()] = Field("SkyPilot", description="What makes the nodes.")
    cloud: LabelText | None = Field(None, description="Cloud, such as aws.")
    region: LabelText | None = Field(None, description="Region.")
    instance_type: LabelText | None = Field(None, description="Instance type.")
    nodes: Annotated[int, Whole(1, 1_000, "nodes")] = Field(1, description="Number of nodes.")
    spot: Annotated[bool, Flag()] = Field(False, description="Whether spot instances are used.")
