"""Prefect's client in this process: imported once, with its settings, and told nothing it need not know."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

from backsweep.errors import InvariantError, PrefectError
from backsweep.orchestration.server import Endpoint

__all__ = ["FLOW_NAME", "connected", "hush"]

FLOW_NAME = "backsweep-sweep"  # under which Prefect lists the runs of laptops and of pods

# Prefect waits 2, 4, 8 ... seconds without a cap: 4 are half a minute, 12 more than two hours. The keeper waits too.
CLIENT_RETRIES = "4"
# The terminal is the command line's own; these are read when the first flow starts.
QUIET = {f"PREFECT_LOGGING_HANDLERS_{handler}_LEVEL": "CRITICAL" for handler in ("CONSOLE", "DEBUG")}


@contextlib.contextmanager
def connected(endpoint: Endpoint) -> Iterator[None]:
    """Import Prefect so that it speaks to `endpoint`; in the block its flows do.

    The variables are taken out of the environment again, so that no worker process inherits the password.

    Raises
    ------
    PrefectError
        If Prefect is not installed.
    InvariantError
        If it was imported before, with other settings.
    """
    before = dict(os.environ)
    os.environ.update(_settings(endpoint))
    try:
        import prefect.flows
        import prefect.settings
    except ModuleNotFoundError as error:
        message = f"Prefect is not installed ({error}); pip install 'backsweep[prefect]', or run with --no-prefect"
        raise PrefectError(message) from error
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
    if prefect.settings.PREFECT_API_URL.value() != endpoint.api_url:
        raise InvariantError("Prefect was imported before Backsweep could tell it which server to use")
    # Whether this process lives, Backsweep knows by a lock; ending Prefect's heartbeat costs most of a second.
    updates = {} if endpoint.state is None else {prefect.settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    os.environ.update(QUIET)
    if endpoint.state is not None:
        for name in ("NO_PROXY", "no_proxy"):  # this machine is not reached by a proxy
            os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    # Log lines that cannot be sent are no news on a terminal. It stays so until the process ends: Prefect's thread may
    # give up on a line long after the run, and then says so on stderr.
    logging.raiseExceptions = False
    with prefect.settings.temporary_settings(updates=updates):
        try:
            yield
        finally:
            _flush()


def hush() -> None:
    """Tell no more events: the server is lost, and each would be tried for ten seconds."""
    from prefect.events.clients import NullEventsClient
    from prefect.events.worker import EventsWorker

    EventsWorker.set_client_override(NullEventsClient)


def _settings(endpoint: Endpoint) -> dict[str, str]:
    settings = {
        "PREFECT_API_URL": endpoint.api_url,
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLIENT_MAX_RETRIES": os.environ.get("PREFECT_CLIENT_MAX_RETRIES", CLIENT_RETRIES),
    }
    if endpoint.auth is not None:
        settings["PREFECT_API_AUTH_STRING"] = endpoint.auth
    if endpoint.state is not None:
        settings["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"  # ours has none, and is of this version: two requests
        settings["PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"] = "false"  # a client saved
        settings["PREFECT_HOME"] = str(
            endpoint.state.folder / "prefect"
        )  # a profile of the user's names another server
    return settings


def _flush() -> None:
    """Send what is still to be said, for a few seconds at most: logs and events go out in the background."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=5)
    EventsWorker.drain_all(timeout=5)
    EventsWorker.set_client_override(None)
