"""Which step needs which: where one is named as an input of another, or writes what another reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from backsweep.errors import UserError
from backsweep.flow.steps.declaration import Step, overlap

__all__ = ["Node", "ordered"]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A step, and the names of the steps that must have ended before it."""

    step: Step
    needs: frozenset[str]


def ordered(steps: Sequence[Step]) -> tuple[Node, ...]:
    """Return all steps, each after those it needs; otherwise in the order given.

    Raises
    ------
    UserError
        Two steps of one name or with outputs in one place, or steps that need each other.
    """
    everything = _with_inputs(steps)
    _check(everything)
    needs = {step.name: _needs(step, everything) for step in everything}
    done: dict[str, Node] = {}
    while len(done) < len(everything):
        ready = [each for each in everything if each.name not in done and needs[each.name] <= done.keys()]
        if not ready:
            circle = ", ".join(each.name for each in everything if each.name not in done)
            raise UserError(f"steps {circle}: each of them needs another one first; no order can run them")
        done[ready[0].name] = Node(ready[0], frozenset(needs[ready[0].name]))
    return tuple(done.values())


def _with_inputs(steps: Sequence[Step]) -> list[Step]:
    """Return the steps and all that are named as inputs, each once."""
    found: dict[int, Step] = {}

    def visit(step: Step) -> None:
        if id(step) in found:
            return
        for each in step.inputs:
            if isinstance(each, Step):
                visit(each)
        found[id(step)] = step

    for step in steps:
        visit(step)
    return list(found.values())


def _needs(step: Step, everything: Sequence[Step]) -> set[str]:
    named = {each.name for each in step.inputs if isinstance(each, Step)}
    return named | {
        other.name
        for other in everything
        if other is not step and any(overlap(path, made) for path in step.input_paths for made in other.output_paths)
    }


def _check(everything: Sequence[Step]) -> None:
    for number, step in enumerate(everything):
        for other in everything[:number]:
            if other.name == step.name:
                raise UserError(f"step {step.name}: another step has this name, too; give one of them name=")
            for path in step.output_paths:
                for made in other.output_paths:
                    if overlap(path, made):
                        raise UserError(
                            f"steps {other.name} and {step.name}: outputs {made} and {path} overlap; "
                            "give each a place of its own"
                        )
        for path in step.input_paths:
            writers = [made for other in everything for made in other.output_paths]
            if any(PurePosixPath(path) in PurePosixPath(made).parents for made in writers):
                raise UserError(
                    f"step {step.name}: input {path} holds outputs of steps and what else lies there; "
                    "name the outputs, or the steps"
                )
