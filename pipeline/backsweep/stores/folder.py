"""The folder a file store lives in: its places, its format, its locks, and what cannot be one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backsweep.errors import StoreError
from backsweep.ports import ManifestKey
from backsweep.stores.atomic import create, explained
from backsweep.stores.layout import (
    FORMAT_BYTES,
    FORMAT_NAME,
    check_format,
    lineage_name,
    object_name,
    sweep_name,
    unit_name,
)

__all__ = ["StoreFolder", "locked"]


def absolute_folder(location: str | Path) -> Path:
    """Return the absolute folder a path or a file:// address means."""
    text = str(location)
    if "://" not in text:
        return Path(text).expanduser().absolute()
    address = urlsplit(text)
    if address.scheme != "file" or address.netloc not in ("", "localhost") or not address.path:
        raise StoreError(f"the store {text} is not a folder: a path or file:///absolute/path is expected")
    return Path(unquote(address.path))


class StoreFolder:
    """Where everything stands; nothing outside the folder can be named, whatever an id says.

    Parameters
    ----------
    location : a path, or a file:// address.

    Raises
    ------
    StoreError : the location is an address of another kind, or of another host.
    """

    def __init__(self, location: str | Path) -> None:
        self.path = absolute_folder(location)
        self.temporary = self.path / "tmp"
        self.objects = self.path / "objects" / "sha256"
        self.units = self.path / "units"
        self._root = str(self.path)
        self._known = False

    def object(self, digest: str) -> Path:
        """Return where an object stands."""
        return Path(f"{self._root}/{object_name(digest)}")

    def unit(self, unit_id: str) -> Path:
        """Return where a unit's record stands."""
        return Path(f"{self._root}/{unit_name(unit_id)}")

    def sweep(self, key: ManifestKey) -> Path:
        """Return where a sweep's manifest and logs stand."""
        return self.path / sweep_name(key)

    def lineage(self, lineage: str) -> Path:
        """Return where a lineage's entries stand; its name may be anything, an address say."""
        return self.path / lineage_name(lineage)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Explain what goes wrong inside; a folder that does not exist yet is an empty store."""
        with explained(self.path):
            if not self._known:
                self._check_format()
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Explain what goes wrong inside; a store that does not exist yet is made."""
        with explained(self.path):
            if not self._known and not self._check_format():
                create(self.path / FORMAT_NAME, [FORMAT_BYTES], self.temporary)
                self._check_format()
            yield

    def _check_format(self) -> bool:
        """Return whether the store exists; raise where it is another version's."""
        try:
            data = (self.path / FORMAT_NAME).read_bytes()
        except FileNotFoundError:
            return False
        check_format(data, str(self.path))
        self._known = True
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel gives back when the process ends, however it ends."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
