"""The admission policy: what the CustomResourceDefinition cannot say of a sweep, in the sentences of `validate`.

CEL of a CRD sees no field that may be a name or a mapping, a list or a range, and no field it does not know. A
ValidatingAdmissionPolicy sees the object as it was written. It runs after the schema, so a field that is there has the
type the schema gives it. What takes more than CEL (counting trials, what an exclusion matches) the operator tells.
"""

from __future__ import annotations

from typing import Any

from backsweep_api.crd_fields import all_of, field_problems
from backsweep_api.crd_unions import VARIABLES
from backsweep_api.crd_values import ON_ONE_LINE, listed, quoted
from backsweep_api.engines import NATIVE, PEERS
from backsweep_api.nearest import one_of
from backsweep_api.not_built import NOT_BUILT, UNBUILT
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
                    "messageExpression": _message("variables.problems"),
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


def _message(problems: str) -> str:
    """Return the CEL of what the API server passes on: of bounded length, and on one line."""
    cut = f"{problems}.substring(0, {LONGEST_MESSAGE}) + ' ...'"
    return f"({problems}.size() > {LONGEST_MESSAGE} ? {cut} : {problems}){ON_ONE_LINE}"


def _variables() -> dict[str, str]:
    """Return the policy's variables: what the sections hold, then the problems of each, then all of them."""
    fields = {f"fields_{name}": field_problems(name) for name in SECTIONS}
    own = {"unknown_sections": _unknown_sections(), "not_built": _not_built()}
    found = {**own, **{name: text for name, text in fields.items() if text}}
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


def _not_built() -> str:
    """Return the CEL that refuses what this release does not do."""
    sections = [
        f"(has(object.spec.{name}) ? {quoted(f'spec.{name}: {NOT_BUILT}: {instead}')} : '')"
        for name, instead in ((Spec.model_fields[path[0]].alias or path[0], told) for path, told in UNBUILT.items())
    ]
    engines = "object.spec.axes.engine"
    built = [NATIVE, *PEERS]
    told = f"'spec.axes.engine[' + string(i) + ']: ' + {engines}[i] + {quoted(f' {NOT_BUILT}; write {one_of(built)}')}"
    unbuilt = f"variables.indices.filter(i, i < {engines}.size() && !({engines}[i] in {listed(built)}))"
    there = "has(object.spec.axes) && has(object.spec.axes.engine)"
    return all_of([*sections, f"({there} ? {unbuilt}.map(i, {told}).join('; ') : '')"])
