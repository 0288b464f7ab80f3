"""Steps of a whole pipeline: a script or a function, and what it reads and writes. Declared here, run by `running`.

scan = step(["python", "scan.py", "raw", "build/scan.json"], inputs=["raw"], outputs=["build/scan.json"])
ingest = step(["python", "ingest.py", "raw", "build/lake"], inputs=[scan, "raw"], outputs=["build/lake"])
pipeline = Pipeline([scan, ingest], sweep="sweep.yaml")
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from backsweep.errors import UserError
from backsweep.stores.data_versions import check_name

__all__ = ["Attempts", "Pipeline", "Step", "StoredData", "Work", "overlap", "path_of", "step"]

Work = tuple[str, ...] | Callable[..., Any]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
OWN_FOLDER = ".backsweep"
PROGRAMS = ("python", "python3", "sh", "bash")
NO_PARAMETERS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often a step that failed is tried again, and how long one attempt may take (None: as long as it likes)."""

    retries: int = 1
    pause_seconds: float = 2.0
    timeout_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if (
            self.retries < 0
            or self.pause_seconds < 0
            or (self.timeout_seconds is not None and self.timeout_seconds <= 0)
        ):
            raise UserError(f"{self}: retries and pause_seconds are 0 or more, timeout_seconds is more than 0")


ONCE_MORE = Attempts()


@dataclass(frozen=True, slots=True)
class StoredData:
    """A named data set of the store, in a folder of the pipeline.

    As an input, NAME or NAME@version is laid out in `folder` before the step runs. As an output, what the step wrote
    into `folder` (Parquet files) becomes the newest version of NAME.
    """

    name: str
    folder: str


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A step as it was declared; made by `step`."""

    name: str
    work: Work
    inputs: tuple[str | StoredData | Step, ...]
    outputs: tuple[str | StoredData, ...]
    parameters: Mapping[str, Any]
    attempts: Attempts

    @property
    def output_paths(self) -> tuple[str, ...]:
        """The paths it writes, in the order declared."""
        return tuple(path_of(each) for each in self.outputs)

    @property
    def input_paths(self) -> tuple[str, ...]:
        """The paths it reads, in the order declared; a step stands for all that it writes."""
        paths: list[str] = []
        for each in self.inputs:
            paths += each.output_paths if isinstance(each, Step) else [path_of(each)]
        return tuple(dict.fromkeys(paths))

    @property
    def command(self) -> str:
        """What it runs, in a few words."""
        return " ".join(self.work) if isinstance(self.work, tuple) else f"{self.work.__name__}()"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps, and the sweep at their end; `backsweep pipeline FILE` runs the one that FILE calls `pipeline`.

    Parameters
    ----------
    steps : in any order; those that others name as inputs need not be listed.
    sweep : a BacktestSweep document, beside the pipeline's file.
    """

    steps: Sequence[Step]
    sweep: str | None = None


def step(
    work: Sequence[str] | Callable[..., Any],
    inputs: Sequence[str | StoredData | Step] = (),
    outputs: Sequence[str | StoredData] = (),
    parameters: Mapping[str, Any] = NO_PARAMETERS,
    name: str | None = None,
    attempts: Attempts = ONCE_MORE,
) -> Step:
    """Declare a step: it runs where its outputs for these inputs, this code and these parameters are not stored yet.

    Parameters
    ----------
    work : the arguments of a command, as subprocess takes them (["python", "scan.py", "raw", "build/scan.json"]), or
        a function of a module, called with the paths of its inputs, those of its outputs, and the parameters by name.
    inputs : files and folders, `StoredData`, or other steps (all they write). Paths begin at the pipeline's folder;
        only what is declared can be seen there.
    outputs : files and folders it writes; they appear, whole, when it has ended well.
    parameters : strings, numbers and booleans; a command gets them as --name value (true: --name).
    name : the script's or the function's own unless given.

    Raises
    ------
    UserError
        A declaration that cannot be run, in one sentence.
    """
    made = work if callable(work) else tuple(str(each) for each in work)
    named = name or _own_name(made)
    if not NAME.fullmatch(named):
        raise UserError(f'step "{named}": a name is up to 63 letters, digits and - _ .; give name=')
    _check_work(named, made)
    for key, value in parameters.items():
        if not (isinstance(value, str | int | float | bool) and key.isidentifier()):
            raise UserError(
                f"step {named}: parameter {key} is {value!r}; a parameter is a string, a number or a boolean"
            )
    found = Step(named, made, tuple(inputs), tuple(outputs), dict(parameters), attempts)
    _check_paths(found)
    return found


def path_of(place: str | StoredData) -> str:
    """Return the path of an input or output."""
    return PurePosixPath(place.folder if isinstance(place, StoredData) else place).as_posix()


def _own_name(work: Work) -> str:
    """Return the function's name, or that of the script that is run."""
    if callable(work):
        return getattr(work, "__name__", "step")
    names = [PurePosixPath(part) for part in work if not part.startswith("-")]
    script = next((each for each in names if each.name not in PROGRAMS), PurePosixPath("step"))
    return script.stem


def _check_work(name: str, work: Work) -> None:
    if not callable(work):
        if not work:
            raise UserError(f'step {name}: it has no command; write its arguments, ["python", "scan.py"] say')
        return
    if not inspect.isfunction(work) or "<" in work.__qualname__ or "." in work.__qualname__:
        raise UserError(f"step {name}: {work!r} is no function of a module; write it with def at the top of a file")


def _check_paths(step: Step) -> None:
    """Refuse paths that no scratch folder could stand for."""
    name = step.name
    if not step.outputs:
        raise UserError(f"step {name}: it declares no outputs; name what it writes, a log file if nothing else")
    for place in (*step.inputs, *step.outputs):
        if isinstance(place, StoredData):
            check_name(place.name.partition("@")[0])
    for path in step.output_paths:
        _check_inside(name, "output", path)
    for path in step.input_paths:
        if not PurePosixPath(path).is_absolute():
            _check_inside(name, "input", path)
    versioned = [each.name for each in step.outputs if isinstance(each, StoredData) and "@" in each.name]
    if versioned:
        raise UserError(
            f"step {name}: output {versioned[0]} names a version; its content decides that, so leave it out"
        )
    paths = [(path, "output") for path in step.output_paths]
    for number, (path, _) in enumerate(paths):
        for other, kind in [*paths[:number], *((each, "input") for each in step.input_paths)]:
            if overlap(path, other):
                raise UserError(f"step {name}: output {path} and {kind} {other} overlap; write to a place of its own")


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same or one lies in the other."""
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first == second or first in second.parents or second in first.parents


def _check_inside(name: str, kind: str, path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or PurePosixPath(path).is_absolute() or parts[0] == OWN_FOLDER:
        raise UserError(f'step {name}: {kind} "{path}" is not inside the pipeline\'s folder; write a path below it')
