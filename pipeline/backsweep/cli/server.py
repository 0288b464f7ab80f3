"""Commands on the embedded Prefect server: start, stop, status; and its dashboard."""

from __future__ import annotations

import argparse
import json
import os
import sys
import webbrowser
from typing import Any

__all__ = ["server", "ui"]


def server(options: argparse.Namespace) -> int:
    """Start, stop or describe the embedded server; `status` exits 1 when none answers."""
    from backsweep.orchestration import server as prefect_server

    if options.action == "stop":
        stopped = prefect_server.stop()
        described: dict[str, Any] = {"running": False, "stopped": None if stopped is None else stopped.pid}
        sentence = "no server was running" if stopped is None else f"stopped process {stopped.pid}"
        return _print(options, described, sentence, 0)
    if options.action == "start":
        prefect_server.ensure()
    found = prefect_server.status()
    if found.record is None:
        return _print(options, {"running": False}, "no server is running; the next run starts one", 1)
    described = {"running": True, "answers": found.answers, "pid": found.record.pid, "dashboard": found.record.origin}
    state = "runs" if found.answers else "does not answer yet"
    sentence = f"the server, process {found.record.pid}, {state}: {found.record.origin} (backsweep ui)"
    return _print(options, described, sentence, 0 if found.answers else 1)


def ui(options: argparse.Namespace) -> int:
    """Print the dashboard's address and how to log in, and open it in a browser where there is a screen."""
    from backsweep.orchestration.server import find

    endpoint = find()
    lines = [f"dashboard  {endpoint.dashboard}"]
    if endpoint.auth is not None:
        lines.append(f"log in     {endpoint.auth}    (asked once a browser)")
    described = {"dashboard": endpoint.dashboard, "login": endpoint.auth}
    code = _print(options, described, "\n".join(lines), 0)
    if not options.no_browser and (sys.platform == "darwin" or os.environ.get("DISPLAY")):
        webbrowser.open(endpoint.dashboard)
    return code


def _print(options: argparse.Namespace, described: dict[str, Any], sentence: str, code: int) -> int:
    if options.json:
        json.dump(described, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{sentence}\n")
    return code
