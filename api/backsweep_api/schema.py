"""JSON Schema of the document, for editors."""

from __future__ import annotations

from typing import Any

from backsweep_api.spec.document import API_VERSION, KIND, BacktestSweep

__all__ = ["json_schema"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXAMPLE: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"name": "first-tournament"},
    "spec": {
        "data": {"name": "sp500-20"},
        "axes": {
            "profile": ["hrp", "min_variance", "risk_parity"],
            "covariance": ["sample", "ledoit_wolf"],
            "lookback": [126, 252],
        },
    },
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a BacktestSweep; rules between fields are left to `validate`."""
    schema = BacktestSweep.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": DIALECT,
        "$id": "https://backsweep.dev/schemas/v1alpha1/backtestsweep.json",
        **schema,
        "examples": [EXAMPLE],
    }
