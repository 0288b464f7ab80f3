"""The folder a file store lives in: its places, its format, its locks, and what cannot be one."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backsweep.errors import StoreError
from backsweep.ports import ManifestKey
from backsweep.stores.atomic import create, explained
from backsweep_api.canonical import canonical_json

__all__ = ["DIGEST", "StoreFolder", "locked"]

FORMAT = 1
MARKER = "backsweep-store.json"
DIGEST = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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
        self._object_prefix = str(self.objects)
        self._unit_prefix = str(self.units)
        self._known = False

    def object(self, digest: str) -> Path:
        """Return where an object stands."""
        if not DIGEST.fullmatch(digest):
            raise StoreError(f"{digest!r} is not a digest: 64 hexadecimal digits are expected")
        return Path(f"{self._object_prefix}/{digest[:2]}/{digest}")

    def unit(self, unit_id: str) -> Path:
        """Return where a unit's record stands."""
        if not NAME.fullmatch(unit_id):
            raise StoreError(f"{unit_id!r} cannot be a unit's id; letters, digits, '.', '_' and '-' can")
        return Path(f"{self._unit_prefix}/{unit_id}.json")

    def sweep(self, key: ManifestKey) -> Path:
        """Return where a sweep's manifest and logs stand."""
        for part in (key.namespace, key.name, key.spec_digest):
            if not NAME.fullmatch(part):
                raise StoreError(f"{part!r} cannot be part of a manifest's place; letters, digits, '.', '_', '-' can")
        return self.path / "sweeps" / key.namespace / key.name / key.spec_digest

    def lineage(self, lineage: str) -> Path:
        """Return where a lineage's entries stand; its name may be anything, an address say."""
        return self.path / "lineages" / hashlib.sha256(lineage.encode()).hexdigest()

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
                marker = canonical_json({"format": FORMAT, "kind": "backsweep-store"})
                create(self.path / MARKER, [marker], self.temporary)
                self._check_format()
            yield

    def _check_format(self) -> bool:
        """Return whether the store exists; raise where it is another version's."""
        try:
            data = (self.path / MARKER).read_bytes()
        except FileNotFoundError:
            return False
        try:
            found = json.loads(data)["format"]
        except (ValueError, KeyError, TypeError):
            found = None
        if found != FORMAT:
            raise StoreError(
                f"the store {self.path} has format {found} in {MARKER}; this version reads and writes {FORMAT}"
            )
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
