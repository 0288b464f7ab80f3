"""Values: a wrong one is refused by its name; every one is described, and docs/install.md has them all."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.rendering import CHART, Helm, HelmError, assignments
from tests.charts.values_page import PAGE, page_with

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is wrong, and what is said about it: by the schema where it can, else by the chart in a sentence of its own.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a value that does not exist": ({"operator.replica": 2}, "'replica' not allowed"),
    "all namespaces": ({"watchNamespaces": ["*"]}, "at '/watchNamespaces/0': '*' does not match pattern"),
    "a namespace twice": ({"watchNamespaces": ["a", "a"]}, "at '/watchNamespaces': items at 0 and 1 are equal"),
    "too many processes": ({"operator.replicas": 4}, "at '/operator/replicas': maximum: got 4, want 3"),
    "text for a number": ({"sweeps.maxConcurrent": "many"}, "at '/sweeps/maxConcurrent': got string, want integer"),
    "root": ({"pods.userId": 0}, "at '/pods/userId': minimum: got 0, want 1"),
    "no quantity": ({"sweeps.flow.memory": "lots"}, "at '/sweeps/flow/memory': 'lots' does not match pattern"),
    "no address": ({"prefect.url": "prefect:4200"}, "at '/prefect/url': 'prefect:4200' does not match pattern"),
    "no cron schedule": ({"guard.schedule": "hourly"}, "at '/guard/schedule': 'hourly' does not match pattern"),
    "another policy": ({"images.pullPolicy": "Sometimes"}, "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    "a server without a password": (
        {"prefect.auth.secretName": ""},
        "prefect.auth.secretName is empty; the Prefect server of this chart is never without a password",
    ),
    "a database of a server that is elsewhere": (
        {"prefect.url": "http://prefect:4200/api", "prefect.server.database.secretName": "pg"},
        'prefect.server.database.secretName is "pg", but prefect.url names another server',
    ),
    "two places for the same data": (
        {"prefect.server.storage.existingClaim": "old", "prefect.server.database.secretName": "pg"},
        "prefect.server.storage.existingClaim and prefect.server.database.secretName are both given",
    ),
    "waits that get shorter": (
        {"sweeps.retrySeconds": 100, "sweeps.longestRetrySeconds": 50},
        "sweeps.longestRetrySeconds is 50, less than sweeps.retrySeconds, 100; make it as long or longer",
    ),
}


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every part of the schema by its path."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}{name}", part
        yield from leaves(part, f"{path}{name}.")


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_value_is_refused_by_its_name(helm: Helm, what: str) -> None:
    values, sentence = REFUSED[what]
    with pytest.raises(HelmError) as refused:
        helm.render(*(f"--set-json={each}" for each in assignments(values)))
    assert sentence in str(refused.value)


def test_every_value_is_described_and_none_is_taken_unseen() -> None:
    for path, part in leaves(schema()):
        assert part.get("description", "").endswith("."), path
        if part["type"] == "object" and path != "global":
            assert "additionalProperties" in part, path


def test_templates_take_the_values_of_the_schema_and_no_other() -> None:
    templates = "".join(path.read_text("utf-8") for path in (CHART / "templates").rglob("*") if path.is_file())
    known = dict(leaves(schema()))
    used = {path.strip(".") for path in re.findall(r"\.Values((?:\.\w+)+)", templates)}
    assert used <= set(known), sorted(used - set(known))
    idle = [path for path, part in known.items() if part["type"] != "object" and not _taken(path, used)]
    assert idle == []


def _taken(path: str, used: set[str]) -> bool:
    """Whether a template takes the value, or the part that it belongs to."""
    return any(path == each or path.startswith(f"{each}.") for each in used)


def test_the_page_has_the_table_of_today() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with(text), "python -m tests.charts.values_page"
