"""Which engine solves what: a trial that a peer cannot solve is not made, and the plan says so.

Operator and pipeline count trials by the same table. A peer keeps its own defaults; what is asked of it is the
profile, the estimators, the lookback and the linkage. Limits on weights are native's own, because every library
means something else by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backsweep_api.canonical import canonical_json
from backsweep_api.choices import Block, choice_blocks, split_profile
from backsweep_api.exclusions import Excluded, excluded_values
from backsweep_api.nearest import one_of
from backsweep_api.spec.axes import Axes
from backsweep_api.spec.sampling import Strategy

__all__ = [
    "ABILITIES",
    "NATIVE",
    "PEERS",
    "Ability",
    "EngineGap",
    "engine_gaps",
    "gap_sentences",
    "not_made",
    "useless_engines",
]

NATIVE = "native"
CONSTRAINED = "is not asked for constraints, which every library reads its way"


@dataclass(frozen=True, slots=True)
class Ability:
    """What a peer can be asked for, by the names of the document.

    Parameters
    ----------
    profiles : what it solves; hrp, herc and nco with any linkage.
    covariances, expected_returns : estimators it has.
    refused_parameters : profile -> values of its own parameters that it has no way to follow.
    leaf_order : whether it orders the leaves of hrp optimally, as it then always does.
    """

    profiles: frozenset[str]
    covariances: frozenset[str]
    expected_returns: frozenset[str]
    refused_parameters: Mapping[str, Mapping[str, Any]]
    leaf_order: bool


ABILITIES: Mapping[str, Ability] = {
    "skfolio": Ability(
        profiles=frozenset(
            {
                "equal_weight",
                "inverse_volatility",
                "min_variance",
                "max_sharpe",
                "max_diversification",
                "risk_parity",
                "hrp",
                "herc",
                "nco",
                "min_cvar",
            }
        ),
        covariances=frozenset({"sample", "ledoit_wolf", "oas", "ewma", "denoised", "gerber"}),
        expected_returns=frozenset({"mean", "ewma", "bayes_stein"}),
        refused_parameters={},
        leaf_order=True,
    ),
    "pyportfolioopt": Ability(
        profiles=frozenset({"min_variance", "max_sharpe", "hrp", "min_cvar"}),
        covariances=frozenset({"sample", "ledoit_wolf", "oas", "ewma"}),
        expected_returns=frozenset({"mean", "ewma"}),
        refused_parameters={"hrp": {"risk": "std"}},
        leaf_order=False,
    ),
}
PEERS = tuple(ABILITIES)


@dataclass(frozen=True, slots=True)
class EngineGap:
    """Trials that are not made: those of an engine that have all of `values`.

    Parameters
    ----------
    lacks : what the engine does not have, where that is the reason.
    habit : what it does whatever it is asked, where that is the reason.
    """

    engine: str
    values: Mapping[str, Any]
    lacks: str = ""
    habit: str = ""

    @property
    def reason(self) -> str:
        """Why, in a few words."""
        return f"{self.engine} has no {self.lacks}" if self.lacks else f"{self.engine} {self.habit}"


def engine_gaps(axes: Axes, strategy: Strategy | None) -> tuple[EngineGap, ...]:
    """Return what the engines of the document cannot solve of its axes, each said once."""
    blocks = choice_blocks(axes, strategy, None)
    found: dict[bytes, EngineGap] = {}
    for engine in axes.engine:
        if engine in ABILITIES:
            for block in blocks:
                for gap in _block_gaps(engine, block):
                    found.setdefault(canonical_json([gap.engine, dict(gap.values)]), gap)
    return tuple(found.values())


def not_made(axes: Axes, strategy: Strategy | None) -> Excluded:
    """Return what is not run: what the document excludes, and what an engine cannot solve."""
    gaps = engine_gaps(axes, strategy)
    return excluded_values(axes) + tuple(
        {axis: canonical_json(value) for axis, value in {"engine": gap.engine, **gap.values}.items()} for gap in gaps
    )


def gap_sentences(gaps: Iterable[EngineGap]) -> list[str]:
    """Return one sentence for all that an engine lacks, and one for each of its habits."""
    found: dict[tuple[str, str], list[str]] = {}
    for gap in gaps:
        found.setdefault((gap.engine, gap.habit), []).append(gap.lacks)
    return [
        f"{engine} {habit or f'has no {one_of(lacks)}'}; those trials are not made"
        for (engine, habit), lacks in found.items()
    ]


def useless_engines(axes: Axes, strategy: Strategy | None) -> Iterator[int]:
    """Yield the places in axes.engine of peers that solve none of the profiles."""
    blocks = choice_blocks(axes, strategy, None)
    for index, engine in enumerate(axes.engine):
        if engine in ABILITIES and all(_profile_gap(engine, block) is not None for block in blocks):
            yield index


def _block_gaps(engine: str, block: Block) -> Iterator[EngineGap]:
    whole = _profile_gap(engine, block)
    if whole is not None:
        yield whole
        return
    ability = ABILITIES[engine]
    for axis, able in (("covariance", ability.covariances), ("expectedReturns", ability.expected_returns)):
        for value in _values_of(block, axis):
            name = value if isinstance(value, str) else value["name"]
            if name not in able:
                yield EngineGap(engine, {axis: value}, lacks=f"{axis} {name}")
    for value in _values_of(block, "constraints"):
        if value is not None:
            yield EngineGap(engine, {"constraints": value}, habit=CONSTRAINED)
    orders = _values_of(block, "leafOrder")
    if orders and not ability.leaf_order and True in orders:
        yield EngineGap(engine, {"leafOrder": True}, lacks="optimal leaf order")
    if len(orders) > 1 and ability.leaf_order:
        yield EngineGap(engine, {"leafOrder": False}, habit="always takes the optimal leaf order")


def _profile_gap(engine: str, block: Block) -> EngineGap | None:
    """Return why an engine solves nothing of a profile; None where it does."""
    name, ability = block.profile.name, ABILITIES[engine]
    value, _ = split_profile(block.profile)
    if name not in ability.profiles:
        return EngineGap(engine, {"profile": value}, lacks=name)
    for parameter, refused in ability.refused_parameters.get(name, {}).items():
        if block.profile.written.get(parameter) == refused:
            return EngineGap(engine, {"profile": value}, lacks=f"{name} with {parameter} {refused}")
    return None


def _values_of(block: Block, axis: str) -> tuple[Any, ...]:
    values = block.values.get(axis, ())
    return values if isinstance(values, tuple) else ()
