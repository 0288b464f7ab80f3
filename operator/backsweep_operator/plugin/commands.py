"""The command line: status, logs, results, suspend, resume."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from backsweep_api.conditions import State
from backsweep_api.errors import UserError
from backsweep_api.names import LABEL_ATTEMPT, LABEL_ROLE, LABEL_SWEEP
from backsweep_operator.build.flow import FLOW_CONTAINER
from backsweep_operator.plugin.kubectl import Kubectl, Raw
from backsweep_operator.plugin.stored_logs import copy_stored_log
from backsweep_operator.plugin.texts import details, one_line, result, state_of, status_of, table

__all__ = ["build_parser", "main"]

ENDED, NOT_YET, USER, INTERRUPTED = 0, 1, 2, 130
ENDS = {State.SUCCEEDED: ENDED, State.FAILED: NOT_YET}
CONTAINERS = {"flow": FLOW_CONTAINER, "head": "ray-head", "worker": "ray-worker"}
MOST_LOGS = 50
BACK = "\x1b[{}F\x1b[J"  # to the first of so many lines, and what is below it is cleared


def main(arguments: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Run one command and return its exit code.

    0 if it did what it says; 1 where a sweep failed, is gone or has no result; 2 where kubectl or an argument is wrong.
    """
    asked = build_parser().parse_args(arguments)
    shown = sys.stdout if out is None else out
    try:
        code: int = asked.run(asked, Kubectl(_options(asked)), shown)
    except UserError as error:
        sys.stderr.writelines(f"{line}\n" for line in str(error).splitlines())
        return USER
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `kubectl backtest`."""
    parser = argparse.ArgumentParser(prog="kubectl backtest", description="Look at sweeps, and stop or resume them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("-n", "--namespace", help="the sweep's namespace; else that of the context")
    where.add_argument("--context", help="the context of the kubeconfig")
    where.add_argument("--kubeconfig", help="the kubeconfig")

    status = commands.add_parser("status", parents=[where], help="how far sweeps are; live with --watch")
    status.add_argument("name", nargs="?", metavar="NAME", help="one sweep; else all")
    status.add_argument("-w", "--watch", action="store_true", help="go on showing NAME until it has ended")
    status.add_argument("-A", "--all-namespaces", action="store_true", help="all namespaces; not with NAME")
    status.set_defaults(run=_status)

    logs = commands.add_parser("logs", parents=[where], help="what its pods wrote; once they are gone, from the store")
    logs.add_argument("name", metavar="NAME")
    logs.add_argument("-f", "--follow", action="store_true", help="go on")
    logs.add_argument("--role", choices=tuple(CONTAINERS), default="flow", help="whose: flow (default), head or worker")
    logs.add_argument("--attempt", type=int, help="which attempt's; else the latest")
    logs.add_argument("--tail", type=int, default=-1, help="only so many of the last lines")
    logs.set_defaults(run=_logs)

    results = commands.add_parser("results", parents=[where], help="what it found, and where")
    results.add_argument("name", metavar="NAME")
    results.add_argument("-o", "--output", choices=("text", "json"), default="text")
    results.set_defaults(run=_results)

    for verb, suspended, text in (("suspend", True, "stop it, at no cost"), ("resume", False, "go on with it")):
        command = commands.add_parser(verb, parents=[where], help=text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(run=_suspend, suspended=suspended)
    return parser


def _options(asked: argparse.Namespace) -> tuple[str, ...]:
    """Return what kubectl is told of where."""
    given = ((option, getattr(asked, option)) for option in ("namespace", "context", "kubeconfig"))
    return tuple(f"--{option}={value}" for option, value in given if value)


def _status(asked: argparse.Namespace, kubectl: Kubectl, out: TextIO) -> int:
    """Show all sweeps, or one, once or live."""
    if asked.name is None:
        if asked.watch:
            raise UserError("--watch shows one sweep; name it")
        sweeps = kubectl.sweeps(everywhere=asked.all_namespaces)
        out.write(table(sweeps, time.time(), everywhere=asked.all_namespaces))
        return ENDED
    if asked.all_namespaces:
        raise UserError("--all-namespaces shows all sweeps; leave out the name, or give its --namespace")
    if asked.watch:
        return _live(asked.name, kubectl, out)
    out.write(details(kubectl.sweep(asked.name), time.time()))
    return ENDED


def _live(name: str, kubectl: Kubectl, out: TextIO) -> int:
    """Show a sweep until it has ended: redrawn in a terminal, a line for each change elsewhere."""
    shown = ""
    kubectl.sweep(name)  # one that is not there is an error now, and not waited for
    while True:
        with kubectl.watch(name) as events:
            for event in events:
                if event.type == "DELETED":
                    out.write(f"{name} was deleted\n")
                    return NOT_YET
                text = details(event.object, time.time()) if out.isatty() else f"{one_line(event.object)}\n"
                if text != shown:
                    out.write(BACK.format(shown.count("\n")) + text if shown and out.isatty() else text)
                    out.flush()
                    shown = text
                if (end := _end(event.object)) is not None:
                    return end


def _end(sweep: Raw) -> int | None:
    """Return the exit code of a sweep that has ended by its latest spec; None while it goes on."""
    status = status_of(sweep)
    if status.state is None or status.observed_generation != sweep["metadata"].get("generation"):
        return None
    return ENDS.get(status.state)


def _logs(asked: argparse.Namespace, kubectl: Kubectl, out: TextIO) -> int:
    """Show what the pods of an attempt wrote; of the latest, once they are gone, what the store has of it."""
    sweep = kubectl.sweep(asked.name)
    status = status_of(sweep)
    run = status.run
    attempt = asked.attempt or (None if run is None else run.attempt)
    if attempt is None:
        out.write(f"{asked.name} has written nothing yet; it is {state_of(sweep)}\n")
        return NOT_YET
    labels = {LABEL_SWEEP: asked.name, LABEL_ATTEMPT: str(attempt), LABEL_ROLE: asked.role}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    if not kubectl.pods(selector):
        out.write(f"attempt {attempt} of {asked.name} has no {asked.role} pod; the newest log in its store:\n")
        return copy_stored_log(status, asked.role, asked.tail, out)
    more = ["--follow"] if asked.follow else []
    if asked.role == "worker":
        more += ["--prefix", f"--max-log-requests={MOST_LOGS}"]
    container = CONTAINERS[asked.role]
    return kubectl.pass_on("logs", f"--selector={selector}", f"--container={container}", f"--tail={asked.tail}", *more)


def _results(asked: argparse.Namespace, kubectl: Kubectl, out: TextIO) -> int:
    """Show what a sweep has found."""
    sweep = kubectl.sweep(asked.name)
    text = result(sweep)
    if not text:
        out.write(f"{asked.name} has no result: {one_line(sweep)}\n")
        return NOT_YET
    if asked.output == "json":
        parts = ("trials", "best", "overfitting", "speedup", "computed", "cost", "manifest")
        found = status_of(sweep).plain()
        text = json.dumps({part: found[part] for part in parts if part in found}, indent=2, sort_keys=True) + "\n"
    out.write(text)
    return ENDED


def _suspend(asked: argparse.Namespace, kubectl: Kubectl, out: TextIO) -> int:
    """Suspend or resume a sweep; the operator does the rest."""
    sweep = kubectl.sweep(asked.name)
    if bool(sweep["spec"].get("suspend")) is asked.suspended:
        out.write(f"{asked.name} is {'' if asked.suspended else 'not '}suspended already; it is {state_of(sweep)}\n")
        return ENDED
    kubectl.suspend(asked.name, suspended=asked.suspended)
    if asked.suspended:
        out.write(f"{asked.name} is to be suspended: its pods go, what is finished stays in the store\n")
    else:
        out.write(f"{asked.name} is to go on: a new attempt computes what is missing\n")
    return ENDED
