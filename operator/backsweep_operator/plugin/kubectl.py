"""kubectl as a subprocess: it has the user's contexts, logins and certificates, so that nothing here needs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from backsweep_api.errors import UserError

__all__ = ["Kubectl", "KubectlError", "WatchEvent", "read_events"]

RESOURCE = "backtestsweeps.backsweep.dev"
LOG_LINE = re.compile(r"[EFIW][0-9]{4} [0-9:.]+ ")
Raw = Mapping[str, Any]


class KubectlError(UserError):
    """kubectl is not there, or refuses; in its own words."""

    reason = "KubectlFailed"


class WatchEvent(NamedTuple):
    """One change of an object, as kubectl tells it: ADDED, MODIFIED or DELETED."""

    type: str
    object: Raw


class Kubectl:
    """Calls kubectl with the options that say where: namespace, context, kubeconfig.

    Raises
    ------
    KubectlError
        If there is no kubectl on the path.
    """

    def __init__(self, options: tuple[str, ...]) -> None:
        found = shutil.which("kubectl")
        if found is None:
            raise KubectlError("kubectl is not on the path; install it, this command calls it")
        self._program = found
        self._options = options

    def sweep(self, name: str) -> Raw:
        """Return one sweep.

        Raises
        ------
        KubectlError
            If there is none, or it may not be read.
        """
        found: Raw = json.loads(self._answer("get", RESOURCE, name, "--output=json"))
        return found

    def sweeps(self, *, everywhere: bool) -> list[Raw]:
        """Return all sweeps of the namespace, or of all namespaces."""
        where = ("--all-namespaces",) if everywhere else ()
        found: list[Raw] = json.loads(self._answer("get", RESOURCE, *where, "--output=json"))["items"]
        return found

    def pods(self, selector: str) -> list[str]:
        """Name the pods with these labels."""
        return self._answer("get", "pods", f"--selector={selector}", "--output=name").split()

    def suspend(self, name: str, *, suspended: bool) -> None:
        """Write spec.suspend, and nothing else."""
        patch = json.dumps({"spec": {"suspend": suspended}})
        self._answer("patch", RESOURCE, name, "--type=merge", f"--patch={patch}")

    @contextmanager
    def watch(self, name: str) -> Iterator[Iterator[WatchEvent]]:
        """Give the changes of one sweep as they happen, its present state first, until the API server ends the watch.

        Raises
        ------
        KubectlError
            If kubectl fails.
        """
        arguments = ("get", RESOURCE, name, "--watch", "--output-watch-events", "--output=json")
        process = subprocess.Popen(
            self._command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        try:
            yield self._events(process)
        finally:
            process.terminate()
            process.communicate()

    def pass_on(self, *arguments: str) -> int:
        """Run kubectl in this terminal and return its exit code."""
        return subprocess.run(self._command(*arguments), check=False).returncode

    def _events(self, process: subprocess.Popen[str]) -> Iterator[WatchEvent]:
        if process.stdout is None or process.stderr is None:
            return
        yield from read_events(process.stdout)
        if process.wait():
            raise KubectlError(_said(process.stderr.read()) or "the watch of kubectl ended")

    def _answer(self, *arguments: str) -> str:
        done = subprocess.run(self._command(*arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise KubectlError(_said(done.stderr) or f"kubectl {arguments[0]} ended with {done.returncode}")
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        return [self._program, *arguments, *self._options]


def _said(text: str) -> str:
    """Return what kubectl says to people, without the lines of its log."""
    return "\n".join(line for line in text.strip().splitlines() if not LOG_LINE.match(line))


def read_events(lines: Iterator[str]) -> Iterator[WatchEvent]:
    """Yield the events of a stream of JSON objects, each over as many lines as kubectl likes."""
    decoder, text = json.JSONDecoder(), ""
    for line in lines:
        text = (text + line).lstrip()
        while text:
            try:
                found, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break  # the rest of it comes with the next lines
            text = text[end:].lstrip()
            yield WatchEvent(found["type"], found["object"])
