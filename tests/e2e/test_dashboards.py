"""What docs/dashboards.md says to do is done as it stands there, with the names of this release."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cluster.clusters import wait_until
from tests.e2e import visitor
from tests.e2e.releases import ROOT, condition
from tests.e2e.sweeps import slow_sweep

if TYPE_CHECKING:
    from tests.e2e.releases import Release

pytestmark = pytest.mark.timeout(1800)  # images may have to be built, and the machine is shared

PAGE = ROOT / "docs" / "dashboards.md"
WATCHED = "watched"
SECONDS_TO_START = 300.0


def block(chapter: str) -> list[str]:
    """Return the commands of the first block of a chapter."""
    text = PAGE.read_text(encoding="utf-8").partition(f"## {chapter}\n")[2]
    found = re.search(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
    assert found, f"{chapter} shows no command"
    return [line.strip() for line in found[0].splitlines()]


def visit(release: Release, chapter: str, *asked: str) -> dict[str, list[list[object]]]:
    """Do what a chapter says, and ask through the forwarded port without the password it gave and with it."""
    names = {"backsweep-system": release.own, "quant": release.team, "sp500-tournament": WATCHED}
    script = ["set -e"]
    for line in block(chapter):
        here = re.sub("|".join(names), lambda found: names[found[0]], line)
        if here.startswith("kubectl get secret"):
            here = f"export PASSWORD=$({here})"
        if here.startswith("kubectl port-forward"):
            here = f"{here} >&2 &\ntrap 'kill $!' EXIT"
        script.append(here)
    script.append(f"{sys.executable} -I {Path(visitor.__file__)} {' '.join(asked)}")
    found: dict[str, list[list[object]]] = json.loads(release.run("sh", "-c", "\n".join(script)))
    return found


def test_prefect_is_reached_with_its_password(release: Release) -> None:
    asked = ("http://127.0.0.1:4200", "basic", "/", "/ui-settings", "POST:/api/flows/count")
    found = visit(release, "Prefect", *asked)
    (_, page), (_, settings) = found["/"][1], found["/ui-settings"][1]
    assert "<title>Prefect" in str(page)
    assert json.loads(str(settings))["api_url"] == "http://127.0.0.1:4200/api"
    assert [status for status, _ in found["/api/flows/count"]] == [401, 200]


def test_the_ray_of_a_running_sweep_is_reached_with_its_token(release: Release) -> None:
    release.apply(slow_sweep(WATCHED, "2004-01-02", 32))
    ready = partial(is_ready, release)
    wait_until(ready, "its cluster to be ready", SECONDS_TO_START)
    found = visit(release, "Ray", "http://127.0.0.1:8265", "bearer", "/", "/api/jobs/")
    assert ready(), "it runs meanwhile"
    release.cluster.kubectl("delete", "backtestsweep", WATCHED, f"--namespace={release.team}")
    assert "<title>Ray Dashboard" in str(found["/"][1][1])
    assert [status for status, _ in found["/api/jobs/"]] == [401, 200]


def is_ready(release: Release) -> bool:
    return condition(release.sweep(WATCHED), "ClusterReady").get("reason") == "Ready"
