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

SECONDS_TO_GO_ON = 900.0  # a bound for what hangs; on a busy machine a cluster alone takes minutes to come up
PAUSE_SECONDS = 1.0  # kubectl takes a fifth of a second of a core, and the sweep needs all of them
ENDED = (State.SUCCEEDED, State.FAILED)


@dataclass(frozen=True)
class RunningSweep:
    """A sweep of a release, by its name."""

    release: Release
    name: str

    def status(self) -> Object:
        found: Object = self.release.sweep(self.name).get("status", {})
        return found

    def until(self, holds: Callable[[Object], bool], what: str, seconds: float = SECONDS_TO_GO_ON) -> None:
        """Wait for something that comes to be before the sweep is over; it is given the sweep's status."""

        def comes() -> bool:
            status = self.status()
            held = holds(status)
            assert held or state(status) not in ENDED, f"{self.name} is over before {what}: {status}"
            return held

        wait_until(comes, what, seconds, PAUSE_SECONDS)

    def await_more(self) -> None:
        """Wait until more is done than now."""
        before = done(self.status())
        self.until(lambda now: state(now) == State.RUNNING and done(now) > before, f"more than {before} trials done")

    def await_state(self, wanted: State) -> None:
        self.until(lambda now: state(now) == wanted, f"{self.name} to be {wanted}")

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


def done(status: Object) -> int:
    """Return how many trials are done."""
    return int((status.get("trials") or {}).get("done", 0))


def state(status: Object) -> str:
    return str(condition({"status": status}, ConditionType.COMPLETE).get("reason", ""))
