"""The process of the embedded server: ``python -m backsweep.orchestration.service FOLDER``.

It takes the lock first, so of two that start at once one serves and the other ends; and it binds its port before
Prefect is imported, so nobody can take the port in between.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from backsweep.orchestration.state import ServerRecord, StateFolder, hold

__all__ = ["main"]

LOCK_TRIES = 20
QUIET = "warning"


def main(folder: Path) -> int:
    """Serve until told to stop; return 0 at once when another serves already."""
    state = StateFolder(folder)
    for _ in range(LOCK_TRIES):
        with hold(state.lock) as held:
            if held:
                _serve(state)
                return 0
        time.sleep(0.05)  # one who only looks whether a server lives holds the lock for a moment
    return 0


def _bind(last: ServerRecord | None) -> socket.socket:
    """Bind the port of last time, so that a bookmark holds; any free one when another program has it."""
    for port in ([last.port] if last else []) + [0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            return listener
    raise AssertionError("the last port tried is any")


def _settings(state: StateFolder, record: ServerRecord) -> dict[str, str]:
    """Return Prefect's settings; nothing leaves the machine, and services for deployments, of which there are none."""
    services = ("SCHEDULER", "LATE_RUNS", "FOREMAN")
    return {
        "PREFECT_HOME": str(state.folder / "prefect"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{state.folder / 'prefect.db'}",
        "PREFECT_SERVER_API_AUTH_STRING": state.auth(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_UI_API_URL": f"{record.origin}/api",
        "PREFECT_UI_STATIC_DIRECTORY": str(state.folder / "dashboard"),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": QUIET.upper(),
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in services},
    }


def _serve(state: StateFolder) -> None:
    """Serve until told to stop."""
    with _bind(state.record()) as listener:
        record = ServerRecord(os.getpid(), listener.getsockname()[1])
        os.environ.update(_settings(state, record))
        state.write_record(record)
        _run(listener)


def _run(listener: socket.socket) -> None:
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app, factory=True, log_level=QUIET, access_log=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
