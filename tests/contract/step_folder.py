"""A pipeline's folder for tests of steps: a script that adds a word to a file and counts how often it ran."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backsweep.flow import Attempts, Step, step
from backsweep.flow.steps.attempt import StepDone
from backsweep.flow.steps.graph import ordered
from backsweep.flow.steps.running import StepListener, run_steps, try_plainly
from backsweep.stores.opening import AnyStore

ONCE = Attempts(retries=0)
# Counts how often it ran, outside of all scratch folders.
SCRIPT = """
import os, pathlib, sys, time
source, target, word = sys.argv[1:4]
with open(os.environ["COUNTER"], "a") as counter:
    counter.write(word + "\\n")
pathlib.Path(target).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(target).write_text(pathlib.Path(source).read_text() + word)
print("made", target)
"""


class StepFolder:
    """A pipeline's folder with its store."""

    def __init__(self, folder: Path, store: AnyStore) -> None:
        self.folder = folder
        self.store = store
        self.said: list[str] = []
        self.counter = folder / "counter"
        (folder / "add.py").write_text(SCRIPT)
        (folder / "raw.txt").write_text("raw ")

    def run(self, *steps: Step, again: Sequence[str] = ()) -> dict[str, StepDone]:
        listener = StepListener(lambda name, line: self.said.append(f"{name}: {line}"), lambda done: None)
        done = run_steps(ordered(steps), self.folder, self.store, listener, try_plainly, again)
        return {each.name: each for each in done}

    def ran(self) -> list[str]:
        """Return which scripts ran since the last look, and forget them."""
        words = self.counter.read_text().split() if self.counter.exists() else []
        self.counter.unlink(missing_ok=True)
        return words

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


def add(source: str, target: str, word: str, *inputs: Any, **declared: Any) -> Step:
    return step(
        ["python", "add.py", source, target, word],
        inputs=inputs or [source],
        outputs=[target],
        name=word,
        **{"attempts": ONCE, **declared},
    )


def chain() -> list[Step]:
    one = add("raw.txt", "build/one.txt", "one")
    two = add("build/one.txt", "build/two.txt", "two", one)
    return [one, two, add("raw.txt", "build/side.txt", "side")]
