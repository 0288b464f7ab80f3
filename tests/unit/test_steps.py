"""What a pipeline's declarations mean, which are refused, and in which order steps run."""

from __future__ import annotations

import time
from typing import Any

import pytest

from backsweep.errors import BacksweepError, DataError, UserError
from backsweep.flow import Attempts, Step, StoredData, step
from backsweep.flow.steps.declaration import overlap
from backsweep.flow.steps.graph import ordered


def select(lake: str, prices: str) -> None:
    raise NotImplementedError


def script(stem: str, **declared: Any) -> Step:
    return step(["python", f"{stem}.py"], **{"outputs": [f"build/{stem}"], **declared})


def names(*steps: Step) -> list[str]:
    return [node.step.name for node in ordered(steps)]


def test_a_step_is_called_like_its_script_or_function_and_stands_for_all_it_writes() -> None:
    scan = step(["python", "-u", "scripts/scan.py", "raw"], inputs=["raw/"], outputs=["./build/scan.json", "build/log"])
    lake = step(select, inputs=[scan, "raw"], outputs=[StoredData("prices", "lake")])
    assert (scan.name, scan.output_paths) == ("scan", ("build/scan.json", "build/log"))
    assert (lake.name, lake.output_paths) == ("select", ("lake",))
    assert lake.input_paths == ("build/scan.json", "build/log", "raw")
    assert step(["./tool", "x"], outputs=["x"]).name == "tool"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no outputs": ({"outputs": []}, "step a: it declares no outputs; name what it writes"),
    "a path outside": ({"inputs": ["../raw"]}, 'step a: input "../raw" is not inside the pipeline\'s folder'),
    "an absolute output": ({"outputs": ["/tmp/x"]}, 'step a: output "/tmp/x" is not inside the pipeline\'s folder'),
    "the folder itself": ({"outputs": ["."]}, 'step a: output "." is not inside the pipeline\'s folder'),
    "our own folder": ({"outputs": [".backsweep/x"]}, 'step a: output ".backsweep/x" is not inside'),
    "an output in an input": (
        {"inputs": ["lake"], "outputs": ["lake/new"]},
        "step a: output lake/new and input lake overlap; write to a place of its own",
    ),
    "outputs in each other": ({"outputs": ["x", "x/y"]}, "step a: output x/y and output x overlap"),
    "a parameter that is a list": ({"parameters": {"p": [1]}}, "step a: parameter p is [1]; a parameter is a string"),
    "a name that is none": ({"name": "a b"}, 'step "a b": a name is up to 63 letters'),
    "an output's version": (
        {"outputs": [StoredData("p@0123abcd", "p")]},
        "step a: output p@0123abcd names a version; its content decides that",
    ),
    "a data set's name": ({"inputs": [StoredData("P", "p")]}, '"P" cannot be the name of a data set'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_declaration_that_cannot_be_run_is_refused_in_a_sentence(case: str) -> None:
    declared, sentence = REFUSED[case]
    with pytest.raises((UserError, DataError)) as refused:
        script("a", **declared)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("function", [lambda: None, print, Attempts, []])
def test_what_is_no_function_of_a_module_and_no_command_is_refused(function: Any) -> None:
    with pytest.raises(UserError):
        step(function, outputs=["x"], name="a")


def test_attempts_that_mean_nothing_are_refused() -> None:
    for wrong in ({"retries": -1}, {"pause_seconds": -1.0}, {"timeout_seconds": 0.0}):
        with pytest.raises(UserError, match="0 or more"):
            Attempts(**wrong)


def test_steps_follow_what_they_name_and_what_they_read() -> None:
    first = script("first")
    second = script("second", inputs=["build/first/part.csv"])  # by path
    third = script("third", inputs=[first])  # by name
    assert names(third, second, first) == ["first", "third", "second"]
    assert names(third) == ["first", "third"]  # what is named as an input need not be listed
    needs = {node.step.name: node.needs for node in ordered([second, third, first])}
    assert needs == {"first": set(), "second": {"first"}, "third": {"first"}}


def test_orders_that_do_not_exist_are_refused() -> None:
    cases: list[tuple[list[Step], str]] = [
        ([script("a"), script("a", outputs=["b"])], "another step has this name"),
        ([script("a"), script("b", outputs=["build/a/x"])], "steps a and b: outputs build/a and build/a/x overlap"),
        ([script("a", inputs=["build/b"]), script("b", inputs=["build/a"])], "steps a, b: each of them needs another"),
        (
            [script("a"), script("b", inputs=["build"], outputs=["x"])],
            "input build holds outputs of steps and what else",
        ),
    ]
    for steps, sentence in cases:
        with pytest.raises(BacksweepError) as refused:
            ordered(steps)
        assert sentence in str(refused.value)


def test_a_long_chain_is_ordered_at_once() -> None:
    chain = [script("s0")]
    for number in range(1, 150):
        chain.append(script(f"s{number}", inputs=[chain[-1]]))
    started = time.perf_counter()
    assert names(chain[-1]) == [f"s{number}" for number in range(150)]
    assert time.perf_counter() - started < 5.0


def test_paths_overlap_where_one_lies_in_the_other() -> None:
    assert overlap("a/b", "a")
    assert overlap("a", "a/")
    assert not overlap("a/b", "a/bc")
