"""One Ray for one sweep: started for this process or joined by address, and ended in all ways out."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from backsweep.errors import InvariantError, TransientError, UserError
from backsweep.settings import NUMERIC_VARIABLES, pin_numeric_environment

__all__ = ["LOGGER", "Demand", "RaySession", "ray_is_installed"]

LOGGER = logging.getLogger("backsweep.ray")  # what workers print and what Ray says of them
LOGGER.addHandler(logging.NullHandler())  # silent unless someone wants it
LOG_LINES = 20_000  # after so many of a session the rest stays in Ray's own files
LONGEST_FOLDER = 40  # Ray's sockets lie below it, and the kernel takes paths of 107 bytes
FOLDERS = "backsweep-ray-"
LOOK_SECONDS = 1.0
LOOKS_AT_A_COMMAND_LINE = 100  # in a second
KNOCK_SECONDS = 5.0
MIB = 1 << 20
SLOW_START = "timed out during startup"  # what Ray says when its node is not there in 30 s, which nothing can change
# Set before Ray is imported, which reads some of them then.
QUIET_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # otherwise a warning about GPUs at each start
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # a job's driver names the same variables as the job
}
# Ray listens on all interfaces even when told a loopback address, and whoever reaches it runs code: a secret of this
# process, in no file. One for the life of the process, because Ray reads it once.
PROCESS_TOKEN = secrets.token_hex(32)


def ray_is_installed() -> bool:
    """Whether the extra `ray` is there, without importing it."""
    return importlib.util.find_spec("ray") is not None


@dataclass(frozen=True, slots=True)
class Demand:
    """What Ray reserves for a block."""

    cpus: float = 1.0
    memory_bytes: int = 0

    def slots(self, resources: Mapping[str, float]) -> int:
        """Return how many blocks a node with these resources can run at once."""
        slots = int(resources.get("CPU", 0.0) // self.cpus)
        if self.memory_bytes:
            slots = min(slots, int(resources.get("memory", 0.0) // self.memory_bytes))
        return slots


class RaySession:
    """A context in which Ray can be used; several executors may share one, one after the other or at once.

    Parameters
    ----------
    address : None starts a Ray of this machine that ends with the context. "auto" joins the cluster this process
        runs in, as RAY_ADDRESS names it to a driver of the Jobs API; host:port the one with that address here.
    cpus : how many blocks a Ray started here runs at once.
    dashboard : whether a Ray started here shows its dashboard, on a free port of the loopback.
    object_store_mib : memory a Ray started here may hold arrays in.
    join_seconds : how long a joined cluster may lack a node that can run a block: its workers may be starting.
    """

    _token_is_read: ClassVar[bool] = False

    def __init__(
        self,
        address: str | None = None,
        *,
        cpus: int | None = None,
        dashboard: bool = False,
        object_store_mib: int = 512,
        join_seconds: float = 120.0,
    ) -> None:
        self._address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
        self._cpus = cpus
        self._dashboard = dashboard
        self._object_store_mib = object_store_mib
        self._join_seconds = join_seconds
        self._way_out: contextlib.ExitStack | None = None
        self.dashboard_url: str | None = None

    def __enter__(self) -> RaySession:
        """Start or join Ray.

        Raises
        ------
        UserError
            If Ray is not installed, is in use in this process, or the address is none a block can be sent to.
        TransientError
            If it does not start, or no cluster answers.
        """
        self._refuse()
        pin_numeric_environment()
        with contextlib.ExitStack() as started:
            started.enter_context(_environment({**QUIET_VARIABLES, **self._own_variables()}))
            sigterm = _Sigterm()
            started.callback(sigterm.give_back)
            arguments = self._joining(self._address) if self._address else self._starting(started)
            import ray

            RaySession._token_is_read = RaySession._token_is_read or self._address is None

            started.enter_context(_worker_output_logged())
            started.callback(ray.shutdown)
            context = self._begin(arguments)
            sigterm.take()
            self.dashboard_url = f"http://{context.dashboard_url}" if context.dashboard_url else None
            self._way_out = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End Ray, or leave the cluster, whatever happened; blocks that run are killed."""
        way_out, self._way_out = self._way_out, None
        if way_out is not None:
            way_out.close()

    @property
    def is_open(self) -> bool:
        """Whether Ray can be used now."""
        return self._way_out is not None

    def slots(self, demand: Demand) -> int:
        """Return how many blocks the cluster can run at once, as it is now."""
        return sum(demand.slots(resources) for resources in self._nodes())

    def wait_for_slots(self, demand: Demand) -> int:
        """Return `slots` once there is one.

        Raises
        ------
        UserError
            If no node can run a block: Ray itself would wait for one forever.
        """
        deadline = time.monotonic() + (self._join_seconds if self._address else 0.0)
        while not (slots := self.slots(demand)):
            if time.monotonic() >= deadline:
                raise UserError(self._infeasible(demand))
            time.sleep(LOOK_SECONDS)
        return slots

    # Inside

    def _nodes(self) -> list[Mapping[str, float]]:
        if not self.is_open:
            raise InvariantError("Ray is used outside of its session")
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return [node["Resources"] for node in nodes if node["Alive"]]

    def _refuse(self) -> None:
        if not ray_is_installed():
            raise UserError("Ray is not installed; install backsweep[ray], or write execution.mode: local")
        if self._address and "://" in self._address:
            message = (
                f"{self._address}: blocks cannot be sent to this address; to a Ray elsewhere a sweep is handed as a "
                f"job: give the http:// or https:// URL of its Jobs API in spec.cluster.existing.address"
            )
            raise UserError(message)
        ray = sys.modules.get("ray")
        if ray is not None and ray.is_initialized():
            raise UserError("Ray is in use in this process; end that with ray.shutdown() first")
        if ray is not None and self._address is None and not RaySession._token_is_read:
            message = (
                "Ray was imported in this process before the sweep, without a token, and reads one only then; start "
                "Python anew, or write execution.mode: local"
            )
            raise UserError(message)

    def _own_variables(self) -> dict[str, str]:
        if self._address:
            return {}
        # Ray's workers are nicer than all else, 15, unless told: on a busy machine they would do next to nothing.
        return {"RAY_worker_niceness": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": PROCESS_TOKEN}

    def _joining(self, address: str) -> dict[str, Any]:
        _knock(address)  # Ray itself would try for many minutes
        return {"address": address, "runtime_env": {"env_vars": dict(NUMERIC_VARIABLES)}}

    def _starting(self, started: contextlib.ExitStack) -> dict[str, Any]:
        """Return the arguments of a Ray of our own; its ports are free ones, its files go with it.

        Its processes are our children and inherit the numeric environment.
        """
        _remove_left()
        folder = Path(tempfile.mkdtemp(prefix=f"{FOLDERS}{os.getpid()}-", dir=_short_folder()))
        started.callback(shutil.rmtree, folder, ignore_errors=True)
        return {
            "address": "local",  # never one that is found running: it may be another checkout's
            "num_cpus": self._cpus,
            "num_gpus": 0,
            "include_dashboard": self._dashboard,
            "dashboard_host": "127.0.0.1",
            "object_store_memory": self._object_store_mib * MIB,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": str(folder),
        }

    def _begin(self, arguments: Mapping[str, Any]) -> Any:
        """Start or join Ray; a start that a busy machine was too slow for is tried once more."""
        try:
            return self._init(arguments)
        except TransientError as error:
            if self._address or SLOW_START not in str(error):
                raise
            LOGGER.warning("%s: it is started once more", error)
        return self._init(arguments)

    def _init(self, arguments: Mapping[str, Any]) -> Any:
        """Start or join Ray once; of a start that fails nothing is left."""
        import ray

        try:
            return ray.init(configure_logging=False, log_to_driver=True, **arguments)
        except Exception as error:
            ray.shutdown()
            if not self._address:
                _kill_left(arguments["_temp_dir"])
            raise self._not_started(error) from error

    def _not_started(self, error: Exception) -> TransientError:
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        if self._address:
            return TransientError(f"no Ray cluster could be joined at {self._address}: {reason}")
        return TransientError(f"Ray could not be started: {reason}; execution.mode: local needs none")

    def _infeasible(self, demand: Demand) -> str:
        nodes = self._nodes()
        cpus = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
        memory = max((node.get("memory", 0.0) for node in nodes), default=0.0)
        return (
            f"no node of the Ray cluster can run a block: it needs {demand.cpus:g} CPUs and "
            f"{demand.memory_bytes / MIB:,.0f} MiB, the largest of {len(nodes)} nodes has {cpus:g} CPUs and "
            f"{memory / MIB:,.0f} MiB; give the workers more (spec.cluster.workers), or ask for less"
        )


def _knock(address: str) -> None:
    """Find out whether anything listens at host:port.

    Raises
    ------
    UserError, TransientError
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"{address}: no Ray cluster is named; write host:port, or start this as a job of a cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise TransientError(f"no Ray cluster could be joined at {address}: {error}") from error


def _remove_left() -> None:
    """Remove the folders of processes that were killed and could not do it themselves."""
    for folder in Path(_short_folder()).glob(f"{FOLDERS}*-*"):
        owner = folder.name.removeprefix(FOLDERS).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _kill_left(folder: str) -> None:
    """Kill the processes of a Ray in this folder: of a start that failed Ray keeps no list."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(folder) in _command_line(place):
                os.kill(int(place.name), signal.SIGKILL)
        except OSError:
            continue  # it has ended, or is another user's


def _command_line(place: Path) -> bytes:
    """Return what the process of a folder in /proc runs, empty if it never says so.

    For milliseconds after a program was started, longer on a busy machine, it is there without its command line.

    Raises
    ------
    OSError
        If the process has ended, is another user's, or is a thread of the kernel.
    """
    for _ in range(LOOKS_AT_A_COMMAND_LINE):
        if line := (place / "cmdline").read_bytes():
            return line
        (place / "exe").readlink()  # what has none will never have a command line either: OSError
        time.sleep(0.01)
    return b""


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    return usual if len(usual) <= LONGEST_FOLDER else "/tmp"


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and put back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Sigterm:
    """SIGTERM in a session: whoever handled it before does, otherwise the session ends in order and the process exits.

    Ray's own handler lies below Python's: it aborts the process three seconds after the signal, ended or not.
    """

    def __init__(self) -> None:
        self._is_ours = threading.current_thread() is threading.main_thread()  # the others may not set handlers
        self._before = signal.getsignal(signal.SIGTERM)

    def take(self) -> None:
        """Replace the handler that Ray has set."""
        if self._is_ours:
            signal.signal(signal.SIGTERM, self._before if callable(self._before) else _exit)

    def give_back(self) -> None:
        """Put back the handler that was there before Ray."""
        if self._is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if self._before is None else self._before)


def _exit(signum: int, frame: Any) -> None:
    sys.exit(128 + signum)


@contextlib.contextmanager
def _worker_output_logged() -> Iterator[None]:
    """Send what Ray would print to stdout, where a summary in JSON may go, to our logger."""
    from ray._private import worker

    left = LOG_LINES

    def log(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        nonlocal left
        if data.get("pid") == "autoscaler":
            return  # tables of its state every few seconds, of a cluster that does not scale
        level = logging.WARNING if data.get("is_err") or data.get("pid") == "raylet" else logging.INFO
        for line in data.get("lines", ())[: max(left, 0)]:
            left -= 1
            LOGGER.log(level, "%s %s: %s", data.get("ip", ""), data.get("pid", ""), line)
        if left == 0:
            left = -1
            LOGGER.warning("more than %d lines of workers: the rest is in Ray's own files", LOG_LINES)

    printed = worker.print_to_stdstream
    worker.print_to_stdstream = log
    try:
        yield
    finally:
        worker.print_to_stdstream = printed
