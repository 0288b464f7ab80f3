"""spec.execution, spec.storage, spec.prefect: how a sweep runs and where it leaves its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import override

from backsweep_api.spec.base import Model, Problem
from backsweep_api.spec.checks import Number, OneOf, Text, Whole
from backsweep_api.spec.names import Namespace, ShortText

__all__ = ["Execution", "Prefect", "SecretReference", "Storage"]


class Execution(Model):
    """How a sweep runs; nothing here but onSolveFailure changes a result."""

    mode: Annotated[Literal["auto", "local", "ray"], OneOf()] = Field(
        "auto", description="local: on this machine; ray: on a cluster; auto: ray from offloadThreshold trials on."
    )
    offload_threshold: Annotated[int, Whole(1, 10_000_000, "trials")] = Field(
        800, description="Distinct, uncached trials from which on auto uses Ray."
    )
    parallelism: Annotated[int, Whole(1, 10_000, "processes")] | None = Field(
        None, description="Processes at once; one a core unless given."
    )
    block_timeout_seconds: Annotated[int, Whole(1, 86_400, "seconds")] = Field(
        600, description="Seconds after which a block of work counts as lost."
    )
    retries: Annotated[int, Whole(0, 20, "times")] = Field(2, description="Times a lost block is run again.")
    max_failed_trials_percent: Annotated[float, Number(0, 100, "percent of the trials")] = Field(
        0.0, description="Percent of trials that may fail before the sweep counts as failed."
    )
    on_solve_failure: Annotated[Literal["fail", "hold"], OneOf()] = Field(
        "fail", description="A window without a solution fails its trial, or does not trade (the first: cash)."
    )


class SecretReference(Model):
    """A Secret in the sweep's namespace."""

    name: Namespace = Field(description="Name of the Secret.")


class Storage(Model):
    """Where units, results and manifests are kept."""

    uri: Annotated[str, Text(r"(file|s3)://[^\s\x00-\x1f\x7f]+", 1_000, "a URI that begins with file:// or s3://")] = (
        Field(description="The store: s3://bucket/prefix or file://folder.")
    )
    endpoint_url: (
        Annotated[str, Text(r"https?://[^\s\x00-\x1f\x7f]+", 1_000, "a URL that begins with https:// or http://")]
        | None
    ) = Field(None, description="Endpoint of an S3 that is not Amazon's.")
    region: ShortText | None = Field(None, description="Region of the bucket.")
    secret_ref: SecretReference | None = Field(None, description="Secret with the keys of the bucket.")
    service_account_name: Namespace | None = Field(None, description="ServiceAccount that may use the bucket.")

    @override
    def rules(self) -> Iterator[Problem]:
        if self.secret_ref is not None and self.service_account_name is not None:
            yield ("secretRef",), "is given beside serviceAccountName; write one of them"
        if self.uri.startswith("file://"):
            for field in ("endpoint_url", "region", "secret_ref", "service_account_name"):
                if getattr(self, field) is not None:
                    alias = type(self).model_fields[field].alias or field
                    yield (alias,), "belongs to a store in s3://; leave it out for a folder"


class Prefect(Model):
    """Where the flow runs; the server's address and credentials belong to the release."""

    work_pool: ShortText = Field(description="Name of the Prefect work pool.")
