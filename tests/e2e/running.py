"""A sweep that runs on a cluster, as who disturbs it sees it: its pods, how far it is, and whether it goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.cluster.clusters import wait_until
from tests.e2e.releases import condition

from backsweep_api.conditions import ConditionType, State
from backsweep_api.names import LABEL_ROLE, LABEL_SWEEP
from backsweep_operator.model import PodRole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.clusters import Object
    from tests.e2e.releases import Release

SECONDS_TO_GO_ON = 300.0
ENDED = (State.SUCCEEDED, State.FAILED)


@dataclass(frozen=True)
class RunningSweep:
    """A sweep of a release, by its name."""

    release: Release
    name: str

    def status(self) -> Object:
        found: Object = self.release.sweep(self.name).get("status", {})
        return found

    def done(self) -> int:
        """Return how many trials are done."""
        return int((self.status().get("trials") or {}).get("done", 0))

    def state(self) -> str:
        return str(condition(self.release.sweep(self.name), ConditionType.COMPLETE).get("reason", ""))

    def message(self) -> str:
        """Return the sentence by which it says how it is."""
        return str(condition(self.release.sweep(self.name), ConditionType.COMPLETE).get("message", ""))

    def until(self, holds: Callable[[], bool], what: str, seconds: float = SECONDS_TO_GO_ON) -> None:
        """Wait for something that comes to be before the sweep is over."""

        def comes() -> bool:
            held, state = holds(), self.state()
            assert held or state not in ENDED, f"{self.name} is {state} ({self.message()}) before {what}"
            return held

        wait_until(comes, what, seconds)

    def await_more(self) -> None:
        """Wait until more is done than now."""
        before = self.done()
        self.until(lambda: self.state() == State.RUNNING and self.done() > before, f"more than {before} trials done")

    def await_state(self, state: State) -> None:
        self.until(lambda: self.state() == state, f"{self.name} to be {state}")

    def pods(self, role: PodRole) -> list[Object]:
        """Return its pods of a role that are ready and stay."""
        selector = f"{LABEL_SWEEP}={self.name},{LABEL_ROLE}={role}"
        found = self.release.cluster.all("pods", self.release.team, selector)
        return [each for each in found if is_ready(each) and "deletionTimestamp" not in each["metadata"]]

    def change(self, **spec: Any) -> None:
        """Change its spec, as `kubectl patch` does."""
        self.release.cluster.kubectl(
            "patch",
            "backtestsweep",
            self.name,
            f"--namespace={self.release.team}",
            "--type=merge",
            f"--patch={json.dumps({'spec': spec})}",
        )


def is_ready(pod: Object) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
