"""The sweeps that schedules apply, and what their users change."""

from __future__ import annotations

from typing import Any

from backsweep_api.spec.document import API_VERSION, KIND

NAMESPACE = "team"
STORAGE = {"uri": "s3://bucket/prefix", "secretRef": {"name": "bucket-keys"}}
PRICES = {"cpuHour": "1", "memoryGiBHour": "0"}
WORKERS = {"min": 1, "max": 2, "cpu": "1", "memory": "2Gi"}
AXES = {"profile": ["hrp", "min_variance"], "lookback": [126, 252]}

SPECS: dict[str, dict[str, Any]] = {
    "small": {"data": {"name": "sp500-20"}, "axes": AXES, "storage": STORAGE},
    "ray": {
        "data": {"name": "sp500-20"},
        "axes": AXES,
        "storage": STORAGE,
        "execution": {"mode": "ray"},
        "cluster": {"workers": WORKERS, "idleTimeoutSeconds": 60},
        "backoffLimit": 2,
        "ttlSecondsAfterFinished": 30,
    },
    "budget": {
        "data": {"name": "sp500-20"},
        "axes": AXES,
        "storage": STORAGE,
        "execution": {"mode": "ray", "blockTimeoutSeconds": 60},
        "cluster": {"workers": WORKERS},
        "pricing": PRICES,
        "budget": {"maxCost": "0.5"},
    },
    "deadline": {
        "data": {"name": "sp500-20"},
        "axes": AXES,
        "storage": STORAGE,
        "execution": {"mode": "ray", "blockTimeoutSeconds": 60},
        "cluster": {"workers": WORKERS},
        "activeDeadlineSeconds": 150,
    },
}


def manifest(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def changed(spec: dict[str, Any]) -> dict[str, Any]:
    """Another question: results differ, so that it is run anew."""
    lookback = [63] if spec["axes"]["lookback"] != [63] else [42]
    return {**spec, "axes": {**spec["axes"], "lookback": lookback}}


def touched(spec: dict[str, Any]) -> dict[str, Any]:
    """The same question with another limit: nothing starts."""
    return {**spec, "ttlSecondsAfterFinished": spec.get("ttlSecondsAfterFinished", 60) + 1}


def refused(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec that no cluster can run."""
    return {**spec, "storage": {"uri": "file:///tmp/results"}}
