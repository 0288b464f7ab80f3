"""A pipeline's file, read; its steps, run; the sweep at its end, made ready."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backsweep.errors import BacksweepError, UserError
from backsweep.flow.finish import Finished
from backsweep.flow.prepare import LOCAL_STORE, read_sweep, store_address
from backsweep.flow.steps.attempt import StepDone
from backsweep.flow.steps.declaration import Pipeline
from backsweep.flow.steps.graph import Node, ordered
from backsweep.flow.steps.running import StepListener, TryStep, run_steps
from backsweep.stores.opening import AnyStore, StoreAddress, open_store
from backsweep_api.spec.document import BacktestSweep

__all__ = ["PipelineDone", "PipelineRun", "read_pipeline"]

VARIABLE = "pipeline"
MODULE = "pipeline_of_steps"


@dataclass(frozen=True, slots=True, eq=False)
class PipelineDone:
    """A pipeline that ran: its steps in order, and its sweep (None: it has none)."""

    steps: tuple[StepDone, ...]
    sweep: Finished | None
    store: AnyStore


@dataclass(frozen=True, slots=True, eq=False)
class PipelineRun:
    """A pipeline that is read and checked; nothing has run yet.

    Parameters
    ----------
    name : the sweep's, or else the folder's.
    folder : where all paths of its steps begin.
    document : of the sweep at its end; None where it has none.
    sweep_folder : where relative paths of the document begin.
    store : the sweep's, which keeps the steps' outputs, too.
    again : names of steps that run whatever is stored.
    """

    name: str
    folder: Path
    nodes: tuple[Node, ...]
    document: BacktestSweep | None
    sweep_folder: Path
    store: AnyStore
    again: tuple[str, ...]

    def steps(self, listener: StepListener, try_step: TryStep) -> tuple[StepDone, ...]:
        """Bring the outputs of all steps into their places; see `run_steps`."""
        return run_steps(self.nodes, self.folder, self.store, listener, try_step, self.again)

    def done(self, steps: tuple[StepDone, ...], sweep: Finished | None) -> PipelineDone:
        """Return what the pipeline came to."""
        return PipelineDone(steps, sweep, self.store)


def read_pipeline(path: Path, sets: Sequence[str], again: Sequence[str]) -> PipelineRun:
    """Read a pipeline's file, and the document of its sweep with `sets` applied.

    Raises
    ------
    UserError
        The file cannot be run or has no pipeline, or what it says cannot be run.
    """
    folder = path.resolve().parent
    found = _load(path)
    nodes = ordered(found.steps)
    unknown = sorted(set(again) - {node.step.name for node in nodes})
    if unknown:
        there = ", ".join(node.step.name for node in nodes)
        raise UserError(f"--again {unknown[0]}: {path} has no such step; it has {there}")
    document, sweep_folder, address = None, folder, StoreAddress(LOCAL_STORE)
    if found.sweep is None and sets:
        raise UserError(f"--set {sets[0]}: {path} ends in no sweep whose field that could be")
    if found.sweep is not None:
        file = folder / found.sweep
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: its sweep {file} cannot be read ({error})") from error
        document = read_sweep(text, sets)
        sweep_folder, address = file.parent, store_address(document.normalised()["spec"])
    store = open_store(*address)
    store.probe()
    name = folder.name if document is None else document.metadata.name
    return PipelineRun(name, folder, nodes, document, sweep_folder, store, tuple(again))


def _load(path: Path) -> Pipeline:
    """Run a pipeline's file and return the pipeline it defines."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; name the Python file that defines the pipeline")
    spec = importlib.util.spec_from_file_location(MODULE, path.resolve())
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except BacksweepError:
        raise
    except Exception as error:  # it is the user's own code, which may raise anything
        raise UserError(f"{path}: {_where(error, path)}{type(error).__name__}: {error}") from error
    found: Any = getattr(module, VARIABLE, None)
    if not isinstance(found, Pipeline):
        raise UserError(f"{path}: it defines no pipeline; write {VARIABLE} = Pipeline([...], sweep=...)")
    return found


def _where(error: Exception, path: Path) -> str:
    """Return the line of the file at which it went wrong."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename == str(path.resolve())]
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: "
    return f"line {frames[-1].lineno}: " if frames else ""
