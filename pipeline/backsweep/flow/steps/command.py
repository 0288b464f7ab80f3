"""The command a step runs, and the code it consists of: files among its arguments, or the module of its function."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from backsweep.errors import UserError
from backsweep.flow.steps.declaration import Step, overlap

__all__ = ["Command", "command_of"]

CALLER = Path(__file__).with_name("call.py")
PYTHON = ("python", "python3")


@dataclass(frozen=True, slots=True)
class Command:
    """What is run.

    Parameters
    ----------
    arguments : as subprocess takes them, the program found.
    identity : what of it decides the outputs, as JSON types: arguments or function, parameters, digests of the code.
    files : code below the pipeline's folder, which a scratch folder must show.
    """

    arguments: tuple[str, ...]
    identity: Mapping[str, Any]
    files: tuple[str, ...]


def command_of(step: Step, folder: Path) -> Command:
    """Return the step's command.

    Raises
    ------
    UserError
        There is no such program, or a function stands in no file.
    """
    return _of_script(step, step.work, folder) if isinstance(step.work, tuple) else _of_function(step, folder)


def _of_script(step: Step, work: tuple[str, ...], folder: Path) -> Command:
    data = (*step.input_paths, *step.output_paths)
    code = {}
    for part in work:
        path = folder / part
        is_data = any(overlap(part, each) for each in data)
        if not is_data and not Path(part).is_absolute() and ".." not in PurePosixPath(part).parts and path.is_file():
            code[PurePosixPath(part).as_posix()] = _sha256(path)
    missing = next((part for part in work if part.endswith((".py", ".sh")) and not (folder / part).is_file()), None)
    if missing is not None:
        raise UserError(f"step {step.name}: there is no script {folder / missing}; scripts are named from the folder")
    options = [text for name, value in step.parameters.items() for text in _option(name, value)]
    identity = {"arguments": [*work, *options], "code": code}
    return Command((_program(step, work[0], code), *work[1:], *options), identity, tuple(code))


def _of_function(step: Step, folder: Path) -> Command:
    """A function is called in a process of its own: it can be stopped, and what it prints is its own."""
    function: Any = step.work
    file = Path(function.__code__.co_filename)
    if not file.is_file():
        raise UserError(f"step {step.name}: {function.__name__} stands in no file; write it into a module")
    call = {
        "file": str(file),
        "module": function.__module__,
        "function": function.__name__,
        "path": [str(folder), *(place for place in sys.path if place)],
        "paths": [*step.input_paths, *step.output_paths],
        "parameters": dict(step.parameters),
    }
    identity = {
        "function": function.__name__,
        "code": {file.name: _sha256(file)},
        "parameters": dict(step.parameters),
    }
    return Command((sys.executable, "-P", str(CALLER), json.dumps(call)), identity, ())


def _program(step: Step, name: str, code: Mapping[str, str]) -> str:
    """Return the program to start: this Python for python, a script of the folder, or what PATH has."""
    if name in PYTHON:
        return sys.executable
    if PurePosixPath(name).as_posix() in code:
        return f"./{PurePosixPath(name).as_posix()}"
    found = shutil.which(name)
    if found is None:
        raise UserError(f"step {step.name}: there is no program {name}, neither in the folder nor on PATH")
    return found


def _option(name: str, value: str | int | float | bool) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else []
    return [option, str(value)]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
