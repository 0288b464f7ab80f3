"""The rules of `spec` as CEL of the CustomResourceDefinition, each with the sentence of the model it stands for.

The API server writes the path before a sentence: `spec.walkForward.step: Invalid value: ...: found 20, more than ...`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backsweep_api.crd_values import good, listed, quoted, refusal
from backsweep_api.instance_types import LIST_CURRENCY
from backsweep_api.nearest import one_of
from backsweep_api.spec.base import Model
from backsweep_api.spec.checks import Check, RowsOrDay
from backsweep_api.spec.cluster import Cluster, EnvironmentVariable, Toleration, Workers
from backsweep_api.spec.constraints import ConstraintSet, GroupCap
from backsweep_api.spec.document import Spec
from backsweep_api.spec.execution import Storage
from backsweep_api.spec.money import Pricing
from backsweep_api.spec.sampling import USES, Sampling, Strategy
from backsweep_api.spec.walk_forward import LOWER_IS_BETTER, Objective, WalkForward

__all__ = ["LIST_KEYS", "RULES", "Rule", "name_rule", "scalar_rules"]

Plain = dict[str, str]

LIST_KEYS: Mapping[type[Model], str] = {EnvironmentVariable: "name", GroupCap: "name"}
"""Lists whose values server-side apply merges by a name, which the API server then keeps unique."""


@dataclass(frozen=True)
class Rule:
    """What must hold of an object.

    Parameters
    ----------
    holds : CEL over self.
    sentence : CEL that gives the sentence's end, or the end itself where nothing in it changes.
    field : the field that is to blame; the object itself unless given.
    """

    holds: str
    sentence: str
    field: str = ""

    def plain(self) -> Plain:
        """Return it as a value of x-kubernetes-validations."""
        says = "messageExpression" if "'" in self.sentence or "string(" in self.sentence else "message"
        blame = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.holds, says: self.sentence, **blame}


def scalar_rules(check: Check) -> list[Plain]:
    """Return what must hold of a single value beyond its type."""
    holds = None if isinstance(check, RowsOrDay) else good(check, "self")  # a text of any length costs too much
    return [] if holds is None else [{"rule": holds, "messageExpression": refusal(check, "self")}]


def name_rule(check: Check) -> Plain:
    """Return what must hold of metadata.name, which only the document's root sees."""
    name = "self.metadata.name"
    says = f"'metadata.name: ' + {refusal(check, name)}"
    return {"rule": good(check, name) or "true", "messageExpression": says}


def _sampling() -> tuple[Rule, ...]:
    rules = []
    for field in ("count", "seed", "rounds"):
        users = tuple(method for method, used in USES.items() if field in used)
        says = f"'found ' + string(dyn(self.{field})) + ', which ' + self.method + ' does not use; "
        says += f"write method {one_of(users)}, or leave it out'"
        rules.append(Rule(f"!has(self.{field}) || self.method in {listed(users)}", says, field))
    missing = "'is missing; ' + self.method + ' needs the number of points to draw'"
    return (*rules, Rule("self.method == 'grid' || has(self.count)", missing, "count"))


def _existing() -> tuple[Rule, ...]:
    says = "describes a cluster to create, but existing names one; leave it or existing out"
    fields = ("image", "head", "workers", "queueName", "rayVersion")
    return tuple(Rule(f"!has(self.existing) || !has(self.{field})", says, field) for field in fields)


def _constraints() -> tuple[Rule, ...]:
    absolute = "(self.net < 0.0 ? -self.net : self.net)"
    size = "so write the sum of absolute weights"
    return (
        Rule(
            "self.minWeight <= self.maxWeight",
            "'found ' + string(dyn(self.minWeight)) + ', above maxWeight ' + string(dyn(self.maxWeight)) "
            "+ '; write no more than maxWeight'",
            "minWeight",
        ),
        Rule(
            "self.minWeight < 0.0 || self.net > 0.0",
            "'found ' + string(dyn(self.net)) "
            "+ ', which weights of 0 or more cannot sum to; write minWeight below 0, too'",
            "net",
        ),
        Rule(
            f"!has(self.gross) || self.gross >= {absolute}",
            "'found ' + string(dyn(self.gross)) + ', less than the net of ' + string(dyn(self.net)) "
            "+ '; write at least ' "
            f"+ string(dyn({absolute}))",
            "gross",
        ),
        Rule(
            "self.net != 0.0 || has(self.gross)",
            f"is missing; a net of 0 says nothing about size, {size}",
            "gross",
        ),
        Rule(
            "!has(self.beta) || has(self.gross)",
            f"is missing; market neutrality says nothing about size, {size}",
            "gross",
        ),
    )


def _storage() -> tuple[Rule, ...]:
    folder = "belongs to a store in s3://; leave it out for a folder"
    alone = ("endpointUrl", "region", "secretRef", "serviceAccountName")
    return (
        *(Rule(f"!self.uri.startsWith('file://') || !has(self.{field})", folder, field) for field in alone),
        Rule(
            "!has(self.secretRef) || !has(self.serviceAccountName)",
            "is given beside serviceAccountName; write one of them",
            "secretRef",
        ),
        Rule(
            "!self.uri.startsWith('file://')",
            "self.uri + ' is a folder of one machine; a cluster needs an s3:// URI'",
            "uri",
        ),
    )


def _pricing() -> tuple[Rule, ...]:
    parts = "(has(self.cpuHour) || has(self.memoryGiBHour))"
    both = "cpuHour and memoryGiBHour"
    return (
        Rule(
            f"!has(self.instanceType) || !{parts}",
            f"is given beside prices of parts; write instanceType, or {both}",
            "instanceType",
        ),
        Rule(f"has(self.instanceType) || {parts}", f"found no price; write instanceType, or {both}"),
        Rule(
            f"!self.spot || !{parts}",
            f"belongs to instanceType; write spot prices as {both} and leave it out",
            "spot",
        ),
        Rule(
            f"!has(self.instanceType) || self.currency == {quoted(LIST_CURRENCY)}",
            f"'found ' + self.currency + ', but instance types are listed in {LIST_CURRENCY}; "
            f"write {LIST_CURRENCY}, or {both}'",
            "currency",
        ),
    )


RULES: Mapping[type[Model], tuple[Rule, ...]] = {
    WalkForward: (
        Rule(
            "!has(self.step) || self.step <= self.test",
            "'found ' + string(dyn(self.step)) + ', more than test ' + string(dyn(self.test)) "
            "+ ': rows between windows would be in none; write ' + string(dyn(self.test)) + ' or fewer'",
            "step",
        ),
    ),
    Sampling: _sampling(),
    Objective: (
        Rule(
            f"!(self.metric in {listed(LOWER_IS_BETTER)}) || self.goal in ['minimize', 'minimise']",
            "'found maximize, but the less ' + self.metric + ' the better; write minimize'",
            "goal",
        ),
    ),
    Strategy: (
        Rule(
            "self.kind != 'backtest' || !self.usesPrevious",
            "found true with kind backtest, which holds all its windows itself; leave it out",
            "usesPrevious",
        ),
    ),
    Cluster: _existing(),
    Toleration: (
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            "found Equal without a key; write Exists, or a key",
            "operator",
        ),
        Rule(
            "self.operator == 'Equal' || !has(self.value)",
            "is given, but Exists compares no value; write operator Equal, or leave it out",
            "value",
        ),
    ),
    Workers: (
        Rule(
            "self.min <= self.max",
            "'found ' + string(dyn(self.min)) + ', more than max ' + string(dyn(self.max)) "
            "+ '; write no more than max'",
            "min",
        ),
    ),
    EnvironmentVariable: (
        Rule(
            "has(self.value) != has(self.secretKeyRef)",
            "self.name + ' needs value or secretKeyRef; write one of them'",
        ),
    ),
    ConstraintSet: _constraints(),
    GroupCap: (
        Rule(
            "has(self.min) || has(self.max)",
            "'found neither min nor max for the group ' + self.name + '; write at least one'",
        ),
        Rule(
            "!has(self.min) || !has(self.max) || self.min <= self.max",
            "'found ' + string(dyn(self.min)) + ', above max ' + string(dyn(self.max)) "
            "+ '; write min no larger than max'",
            "min",
        ),
    ),
    Storage: _storage(),
    Pricing: _pricing(),
    Spec: (
        Rule("!has(self.budget) || has(self.pricing)", "is given without prices; write pricing, too", "budget"),
        Rule(
            "self.sampling.method != 'search' || self.objective.metric != 'dsr'",
            "found dsr, which no trial has before all are known, so that a search cannot follow it; write psr",
            "objective.metric",
        ),
    ),
}
