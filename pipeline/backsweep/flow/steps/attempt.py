"""One step of a pipeline, once: looked up by what it is made of, or run in a scratch folder and stored.

The scratch folder shows the step's inputs and code under their own paths, as links, and nothing else of the pipeline's
folder. What it writes there becomes its outputs only when it has ended well, so that whatever is killed, and whenever,
no half of an output stands in its place.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backsweep.errors import CorruptObjectError, MissingObjectError, StepError, UserError
from backsweep.flow.data_sets import export_data, import_data, publish_again
from backsweep.flow.steps.command import Command, command_of
from backsweep.flow.steps.declaration import Step, StoredData, overlap, path_of
from backsweep.flow.steps.process import Limits, Lines, run_command
from backsweep.flow.steps.trees import Tree, differs_in_place, place, read_tree, restore, signature, store_tree
from backsweep.stores.data_versions import find_version
from backsweep.stores.opening import AnyStore
from backsweep_api.canonical import digest

__all__ = ["StepDone", "StepPlace", "attempt"]

REVISION = 1  # of what a step's identity consists of


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step whose outputs stand in their places.

    Parameters
    ----------
    identity : hash of inputs, code, command and parameters; its record is the unit `step-<identity>`.
    is_cached : whether its outputs were known, and it did not run.
    seconds : by the clock, looking up and restoring included.
    outputs : path -> what stands there.
    """

    name: str
    identity: str
    is_cached: bool
    seconds: float
    outputs: Mapping[str, Tree]


@dataclass(frozen=True, slots=True)
class StepPlace:
    """Where a pipeline's steps run.

    Parameters
    ----------
    folder : of the pipeline; all paths of its steps begin there.
    scratch : for scratch folders; on the same filesystem.
    logs : for what the steps said when they ran last.
    kept : where outputs go that stood in the way and are not in the store.
    hear : is told each line a step says, after the step's name.
    again : names of the steps that run whatever is stored.
    """

    folder: Path
    scratch: Path
    logs: Path
    kept: Path
    store: AnyStore
    hear: Callable[[str, str], None]
    again: frozenset[str]

    def log_of(self, name: str) -> Path:
        """Return where what a step said stands, when it ran last."""
        return self.logs / f"{name}.log"


def attempt(step: Step, at: StepPlace, limits: Limits) -> StepDone:
    """Put the step's outputs in their places: from the store where they are known, else by running it.

    Raises
    ------
    StepError
        It ended badly; nothing of it is in place.
    UserError
        An input is missing, or the store cannot be used.
    """
    started = time.perf_counter()
    command = command_of(step, at.folder)
    with tempfile.TemporaryDirectory(dir=at.scratch, prefix=f"{step.name}-", ignore_cleanup_errors=True) as scratch:
        run = _Attempt(step, command, at, Path(scratch))
        identity = digest(run.identity())
        record = None if step.name in at.again else run.known(identity)
        outputs = run.compute(identity, limits) if record is None else record
    return StepDone(step.name, identity, record is not None, time.perf_counter() - started, outputs)


class _Attempt:
    """An attempt's scratch folder: `here` is the step's, `new` for outputs on their way, `old` for those replaced."""

    def __init__(self, step: Step, command: Command, at: StepPlace, scratch: Path) -> None:
        self._step = step
        self._command = command
        self._at = at
        self._here = scratch / "here"
        self._new = scratch / "new"
        self._old = scratch / "old"
        self._data = {
            each.folder: find_version(at.store, each.name) for each in step.inputs if isinstance(each, StoredData)
        }

    def identity(self) -> dict[str, Any]:
        """Return all that decides the outputs: the name does not."""
        return {
            "kind": "step",
            "revision": REVISION,
            "command": self._command.identity,
            "inputs": {path: self._content(path) for path in self._step.input_paths},
            "outputs": [
                [path_of(each), each.name] if isinstance(each, StoredData) else path_of(each)
                for each in self._step.outputs
            ],
        }

    def known(self, identity: str) -> Mapping[str, Tree] | None:
        """Put the outputs that are stored in their places and return them; None where they are not, or damaged."""
        record = self._at.store.get_unit(_unit(identity))
        if record is None:
            return None
        outputs: dict[str, Tree] = record["outputs"]
        try:
            self._restore(outputs)
            for each in self._step.outputs:
                if isinstance(each, StoredData):  # another version may have become the newest since it ran
                    publish_again(
                        self._at.store, each.name, outputs[path_of(each)], _iso(time.time()), f"step {self._step.name}"
                    )
        except (MissingObjectError, CorruptObjectError) as error:
            self._hear(f"{error}; it runs again")
            self._at.store.discard_unit(_unit(identity))
            return None
        return outputs

    def compute(self, identity: str, limits: Limits) -> Mapping[str, Tree]:
        """Run the step, store what it wrote, and put that in its place."""
        step, store = self._step, self._at.store
        before = self._signatures()
        self._lay_out()
        lines = Lines(self._hear)
        started = time.time()
        try:
            run_command(step.name, self._command.arguments, self._here, lines, limits)
        finally:
            self._at.log_of(step.name).write_bytes(lines.log)
        seconds = time.time() - started
        self._refuse_changed(before)
        outputs = self._take()
        if step.name in self._at.again:
            store.discard_unit(_unit(identity))
        at = _iso(started)
        for each in step.outputs:
            if isinstance(each, StoredData):
                import_data(store, self._here / each.folder, each.name, at, f"step {step.name}")
        record = {
            "kind": "step",
            "status": "ok",
            "name": step.name,
            "command": step.command,
            "startedAt": at,
            "seconds": round(seconds, 3),
            "outputs": outputs,
            "objects": {"outputs": outputs, "log": store.put_object(lines.log)},
        }
        store.put_unit(_unit(identity), record)
        first = store.get_unit(_unit(identity))
        if first is not None and first["outputs"] != outputs:  # another run of the same was faster: its outputs count
            outputs = dict(first["outputs"])
            self._restore(outputs)
            return outputs
        for path, tree in outputs.items():
            self._put(path, tree, self._here / path)
        return outputs

    # Before it runs

    def _content(self, path: str) -> Any:
        if path in self._data:
            return self._data[path].version
        tree = read_tree(self._at.folder / path)
        if tree is None:
            raise UserError(
                f"step {self._step.name}: there is no input {self._at.folder / path}; give it, or name the step that "
                "makes it"
            )
        return digest(tree)

    def _lay_out(self) -> None:
        """Make the folder that the step sees."""
        inputs = [path for path in self._step.input_paths if not Path(path).is_absolute()]
        for path, version in self._data.items():
            export_data(self._at.store, version.version, self._here / path)
        linked: list[str] = [*self._data]
        for path in sorted([*inputs, *self._command.files]):
            if any(overlap(path, each) for each in linked):
                continue
            linked.append(path)
            (self._here / path).parent.mkdir(parents=True, exist_ok=True)
            (self._here / path).symlink_to(self._at.folder / path)
        for path in self._step.output_paths:
            (self._here / path).parent.mkdir(parents=True, exist_ok=True)

    def _signatures(self) -> dict[str, Mapping[str, str]]:
        paths = [path for path in self._step.input_paths if path not in self._data]
        return {path: signature(self._at.folder / path) for path in paths}

    # After it has ended well

    def _refuse_changed(self, before: Mapping[str, Mapping[str, str]]) -> None:
        changed = next((path for path, found in before.items() if signature(self._at.folder / path) != found), None)
        if changed is not None:
            raise StepError(
                f"step {self._step.name}: its input {changed} changed while it ran; a step that repairs its input "
                "writes the result to an output of its own"
            )

    def _take(self) -> dict[str, Tree]:
        """Return what the step wrote, stored."""
        outputs: dict[str, Tree] = {}
        for path in self._step.output_paths:
            if not (self._here / path).exists():
                wrote = [each.relative_to(self._here).as_posix() for each in self._files()]
                found = f"it wrote {', '.join(wrote[:5])}" if wrote else "it wrote nothing"
                raise StepError(f"step {self._step.name}: it ended well and did not write its output {path}; {found}")
            outputs[path] = store_tree(self._at.store, self._here / path, f"step {self._step.name}: output {path}")
        return outputs

    def _files(self) -> list[Path]:
        """Return the files the step left in its folder."""
        return sorted(each for each in self._here.rglob("*") if each.is_file() and not each.is_symlink())

    def _restore(self, outputs: Mapping[str, Tree]) -> None:
        """Put stored outputs in their places, those that do not stand there already."""
        for path, tree in outputs.items():
            if differs_in_place(tree, self._at.folder / path):
                shutil.rmtree(self._new, ignore_errors=True)
                restore(self._at.store, tree, self._new / path)
                self._put(path, tree, self._new / path)

    def _put(self, path: str, tree: Tree, new: Path) -> None:
        """Put one output in its place; what stood there is kept where the store does not hold it."""
        target, aside = self._at.folder / path, self._old / path
        if not differs_in_place(tree, target):
            return
        try:
            place(new, target, aside)
            if any(not self._at.store.has_object(each) for each in (read_tree(aside) or {}).values()):
                kept = self._at.kept / f"{self._step.name}-{time.time_ns()}" / path
                kept.parent.mkdir(parents=True)
                aside.rename(kept)
                self._hear(f"{path} held what no step wrote; it is kept at {kept}")
        except OSError as error:
            raise UserError(
                f"step {self._step.name}: output {target} cannot be put in place: {error.strerror}"
            ) from error

    def _hear(self, line: str) -> None:
        self._at.hear(self._step.name, line)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def _unit(identity: str) -> str:
    return f"step-{identity}"
