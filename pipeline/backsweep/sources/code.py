"""The digest of the user's own code: what decides whether a strategy's results are still its results."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from backsweep.errors import UserError

__all__ = ["code_digest"]


def code_digest(entrypoint: str, folders: Sequence[Path]) -> str:
    """Return the sha256 hex of all Python files of the entrypoint's top-level package, or of its single module.

    Parameters
    ----------
    entrypoint : "package.module:function".
    folders : looked in first, in this order; they stay on the import path.

    Raises
    ------
    UserError
        If the package cannot be found.
    """
    for folder in reversed(folders):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    package = entrypoint.partition(":")[0].partition(".")[0]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        places = ", ".join(str(folder) for folder in folders)
        message = (
            f"spec.strategy.entrypoint: no module {package!r} beside the document or installed (looked in {places}); "
            f"write package.module:function of a module that can be imported"
        )
        raise UserError(message)
    origin = Path(found.origin)
    root = origin.parent if found.submodule_search_locations else origin
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    state = hashlib.sha256()
    for file in files:
        name = file.relative_to(origin.parent).as_posix().encode()
        content = file.read_bytes()
        state.update(len(name).to_bytes(8, "little") + name + len(content).to_bytes(8, "little") + content)
    return state.hexdigest()
