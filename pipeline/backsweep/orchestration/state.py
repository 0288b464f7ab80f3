"""The user's state folder: where the embedded server keeps its database, its address and its password."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from backsweep.errors import PrefectError

__all__ = ["ServerRecord", "StateFolder"]

VARIABLE = "BACKSWEEP_STATE"


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """Which process serves, and where; written by the server itself. Process 0: it was stopped on purpose."""

    pid: int
    port: int

    @property
    def origin(self) -> str:
        """Address of the dashboard."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped on purpose, so that nobody need start it again."""
        return self.pid == 0


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder's files; nobody but the user may read them."""

    folder: Path

    @classmethod
    def of_user(cls) -> StateFolder:
        """Return the state folder: BACKSWEEP_STATE, or backsweep/ in XDG_STATE_HOME or ~/.local/state; made if absent.

        Raises
        ------
        PrefectError
            If it cannot be made.
        """
        given, base = os.environ.get(VARIABLE), os.environ.get("XDG_STATE_HOME")
        folder = Path(given) if given else Path(base or Path.home() / ".local/state") / "backsweep"
        folder = folder.absolute()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, "made", error) from error
        return cls(folder)

    @property
    def log(self) -> Path:
        """What the server printed since it started."""
        return self.folder / "server.log"

    @property
    def lock(self) -> Path:
        """The file the server holds a lock on for as long as it lives; a process id alone may be another's by now."""
        return self.folder / "server.lock"

    def record(self) -> ServerRecord | None:
        """Return where the server is, or was last; None before the first start."""
        try:
            found = json.loads((self.folder / "server.json").read_text(encoding="utf-8"))
            return ServerRecord(int(found["pid"]), int(found["port"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_record(self, record: ServerRecord) -> None:
        """Replace the record in one step."""
        draft = self.folder / f".server.json.{os.getpid()}"
        draft.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
        draft.replace(self.folder / "server.json")

    def auth(self) -> str:
        """Return the server's user and password, made once; of two who make one at once, one wins.

        Raises
        ------
        PrefectError
            If the folder cannot be written.
        """
        path = self.folder / "server.auth"
        try:
            with contextlib.suppress(FileNotFoundError):
                return path.read_text(encoding="ascii").strip()
            draft = self.folder / f".server.auth.{os.getpid()}"
            draft.touch(mode=0o600)
            draft.write_text(f"backsweep:{secrets.token_urlsafe(24)}\n", encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # appears whole, and never over another's
            draft.unlink()
            return path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise _unusable(self.folder, "written", error) from error

    def is_served(self) -> bool:
        """Whether a server lives."""
        with hold(self.lock, shared=True) as held:
            return not held


def _unusable(folder: Path, what: str, error: OSError) -> PrefectError:
    """Return the error of a folder that cannot be made or written."""
    reason = error.strerror or str(error)
    return PrefectError(
        f"the state folder of the Prefect server, {folder}, cannot be {what} ({reason}); "
        f"set {VARIABLE} to another, or run with --no-prefect"
    )


@contextlib.contextmanager
def hold(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Try to lock a file, without waiting; yields whether it is ours. Those who only look share the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
