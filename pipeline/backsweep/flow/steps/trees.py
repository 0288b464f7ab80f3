"""Files and folders by content: what a step read, what it wrote, and how that gets into its place in one piece."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from backsweep.errors import CorruptObjectError, StepError, UserError
from backsweep.ports import Store

__all__ = ["Tree", "differs_in_place", "place", "read_tree", "restore", "signature", "store_tree"]

Tree = Mapping[str, str]
"""Path below the place -> sha256; a file is the one path ""."""

BLOCK_BYTES = 1 << 20


def read_tree(path: Path) -> Tree | None:
    """Return what stands at a path by content; None where nothing does.

    Raises
    ------
    UserError
        If a part of it cannot be read.
    """
    return _each(path, _sha256)


def store_tree(store: Store, path: Path, what: str) -> Tree:
    """Store what stands at a path, and return it by content; errors begin with `what`.

    Raises
    ------
    StepError
        If it holds a symbolic link, which would mean something else in another place, or nothing.
    """
    links = [each for each in (path, *(path.rglob("*") if path.is_dir() else ())) if each.is_symlink()]
    if links:
        raise StepError(f"{what}: {links[0].name} is a symbolic link; write the file itself")
    tree = _each(path, lambda file: store.put_object(file.read_bytes()))
    if not tree:
        raise StepError(f"{what}: it is an empty folder; write at least one file, or leave it out")
    return tree


def signature(path: Path) -> Mapping[str, str]:
    """Return size and time of each file at a path: enough to see that a step has changed what it only reads."""

    def look(file: Path) -> str:
        found = file.stat()
        return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"

    return _each(path, look) or {}


def restore(store: Store, tree: Tree, path: Path) -> None:
    """Write a tree of the store to a path where nothing stands.

    Raises
    ------
    MissingObjectError, CorruptObjectError
    """
    for name, digest in tree.items():
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise CorruptObjectError(f"a step's record names {name}, outside its output")
        target = path / name if name else path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(store.get_object(digest))


def differs_in_place(tree: Tree, target: Path) -> bool:
    """Whether something else than the tree, or nothing, stands at a path."""
    return read_tree(target) != dict(tree)


def place(new: Path, target: Path, aside: Path) -> None:
    """Put what stands at `new` to `target`, and what stood there to `aside`, each in one step.

    Of a folder there is a moment without either; there is never a half.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() or (target.exists() and new.is_dir()) or target.is_symlink():
        aside.parent.mkdir(parents=True, exist_ok=True)
        target.rename(aside)
    elif target.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.hardlink_to(target)
        except OSError:
            shutil.copy2(target, aside)
    new.replace(target)


def _each(path: Path, read: Callable[[Path], str]) -> Tree | None:
    """Return what `read` says of each file at a path."""
    try:
        if path.is_file():
            return {"": read(path)}
        if not path.is_dir():
            return None
        files = sorted(each for each in path.rglob("*") if not each.is_dir())
        return {each.relative_to(path).as_posix(): read(each) for each in files}
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}") from error


def _sha256(file: Path) -> str:
    state = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()
