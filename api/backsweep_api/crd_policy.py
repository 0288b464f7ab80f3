"""The admission policy: what the CustomResourceDefinition cannot say of a sweep, in the sentences of `validate`.

CEL of a CRD sees no field that may be a name or a mapping, a list or a range, and no field it does not know. A
ValidatingAdmissionPolicy sees the object as it was written. It runs after the schema, so a field that is there has the
type the schema gives it. What takes more than CEL (counting trials, what an exclusion matches) the operator tells.
"""

from __future__ import annotations

from typing import Any

from backsweep_api.crd_fields import field_problems
from backsweep_api.crd_unions import VARIABLES
from backsweep_api.crd_values import quoted
from backsweep_api.spec.document import API_VERSION, Spec

__all__ = ["POLICY", "policy_documents"]

POLICY = "backtestsweeps.backsweep.dev"
MOST_INDICES = 200  # values of an axis that are looked at; the operator looks at all
LONGEST_MESSAGE = 4_000  # the API server passes over what has more than 5 KiB
SECTIONS = tuple(field.alias or name for name, field in Spec.model_fields.items())


def policy_documents() -> list[dict[str, Any]]:
    """Return the ValidatingAdmissionPolicy and the binding that puts it into force in every namespace."""
    api_group, version = API_VERSION.split("/")
    metadata = {"name": POLICY, "annotations": {"helm.sh/resource-policy": "keep"}}
    rules = [
        {
            "apiGroups": [api_group],
            "apiVersions": [version],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["backtestsweeps"],
        }
    ]
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": rules},
            # What was stored under older rules can still be labelled, finalised and deleted.
            "matchConditions": [
                {"name": "spec-changes", "expression": "oldObject == null || object.spec != oldObject.spec"}
            ],
            "variables": [{"name": name, "expression": expression} for name, expression in _variables().items()],
            "validations": [
                {
                    "expression": "variables.problems == ''",
                    "messageExpression": f"variables.problems.size() > {LONGEST_MESSAGE} ? "
                    f"variables.problems.substring(0, {LONGEST_MESSAGE}) + ' ...' : variables.problems",
                    "message": "the document is not right; `backsweep validate` says where",
                }
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {"policyName": POLICY, "validationActions": ["Deny"]},
    }
    return [policy, binding]


def _variables() -> dict[str, str]:
    """Return the policy's variables: what the sections hold, then the problems of each, then all of them."""
    fields = {f"fields_{name}": field_problems(name) for name in SECTIONS}
    found = {"unknown_sections": _unknown_sections(), **{name: text for name, text in fields.items() if text}}
    told = [name for name in VARIABLES if name.endswith("_problems")]
    everything = ", ".join(f"string(variables.{name})" for name in (*found, *told))
    return {
        "indices": str(list(range(MOST_INDICES))),
        **VARIABLES,
        **found,
        "problems": f"[{everything}].filter(text, text != '').join('; ')",
    }


def _unknown_sections() -> str:
    """Return the CEL that names fields of spec nobody knows."""
    return field_problems("", only_own=True) or quoted("")
