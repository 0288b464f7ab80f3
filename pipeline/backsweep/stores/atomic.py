"""Writes a file whole or not at all, whenever the process is killed, and says in a sentence why it cannot.

Bytes go to a temporary file of the same filesystem, which then gets its name in one step. What a killed
process leaves is a temporary file nobody reads; garbage collection removes it later.

Nothing but manifests is flushed to the disk (fsync): the kernel keeps what a killed process wrote, and
flushing 64 KiB takes five times as long as writing it (0.36 ms against 0.07 on a virtual disk that
promises little; tens of ms on one that keeps its word). A power cut can therefore leave names of its last half
minute with empty or partial bytes behind them. Every read compares bytes with their hash, so that is
an error and never a wrong number; see `FileStore.discard_unit`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from backsweep.errors import BacksweepError, StoreError, TransientError

__all__ = ["create", "explained", "replace", "store_error"]

Parts = Sequence[bytes | memoryview]

FULL = {errno.ENOSPC, errno.EDQUOT}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
NOT_A_FOLDER = {errno.ENOTDIR, errno.EISDIR}
NOT_A_STORE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.ENAMETOOLONG}
PAUSE_SECONDS = 30.0  # a full or failing disk does not mend itself in a second


def store_error(error: OSError, folder: Path) -> BacksweepError:
    """Return the sentence for what the operating system said, as the error of who must act on it."""
    where = f"the store {folder}"
    said = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in FULL:
        sentence = f"{where} has no space left; free some and run the same command again, nothing finished is lost"
        return TransientError(sentence, retry_after_seconds=PAUSE_SECONDS)
    if error.errno in FORBIDDEN:
        return StoreError(f"{where} cannot be used: {said} at {error.filename}; give a folder you can write to")
    if error.errno in NOT_A_FOLDER:
        return StoreError(f"{where} cannot be used: it, or a part of its path, is a file; give a folder")
    if error.errno in NOT_A_STORE:
        return StoreError(
            f"{where} is on a filesystem that cannot keep it ({said}); give a folder on a local filesystem"
        )
    return TransientError(f"{where} failed: {said} at {error.filename}", retry_after_seconds=PAUSE_SECONDS)


@contextlib.contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn the operating system's errors of the block into `store_error`'s."""
    try:
        yield
    except OSError as error:
        raise store_error(error, folder) from error


def replace(target: Path, parts: Parts, temporary: Path, *, durable: bool = False) -> None:
    """Write `target`, over what is there; `durable`: on the disk when this returns."""
    draft = _draft(parts, temporary, durable)
    try:
        try:
            draft.rename(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.rename(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        _flush(target.parent)


def create(target: Path, parts: Parts, temporary: Path) -> bool:
    """Write `target` unless it is there; return whether it was written. One of several writers wins."""
    draft = _draft(parts, temporary, durable=False)
    try:
        try:
            target.hardlink_to(draft)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _draft(parts: Parts, temporary: Path, durable: bool) -> Path:
    """Write a temporary file and return its path; nothing is left behind where that fails."""
    path = Path(f"{temporary}/{os.urandom(12).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o666)
    except FileNotFoundError:
        temporary.mkdir(parents=True, exist_ok=True)
        file = os.open(path, flags, 0o666)
    try:
        for part in parts:
            left = memoryview(part).cast("B")
            while left:
                left = left[os.write(file, left) :]
        if durable:
            os.fsync(file)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
    return path


def _flush(folder: Path) -> None:
    """Put a folder's own entries on the disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
