"""Helm as tests use it.

`python -m tests.charts.rendering` writes the golden renderings anew; read what changed before you commit it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tests.cluster import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "backsweep"
VALUES = Path(__file__).parent / "values"
GOLDEN = ROOT / "tests" / "golden" / "charts"
CASES = tuple(sorted(path.stem for path in VALUES.glob("*.yaml")))
RELEASE = ("backsweep", "backsweep-system")  # its name and its namespace

Object = dict[str, Any]


class HelmError(Exception):
    """What helm says against a chart or its values."""


@dataclass(frozen=True)
class Helm:
    """The program, away from the user's own configuration."""

    program: Path

    def run(self, *arguments: str) -> str:
        """Run it and return what it prints.

        Raises
        ------
        HelmError
            If it fails; with its own words.
        """
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [str(self.program), *arguments],
                env={"HOME": home, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        if done.returncode:
            raise HelmError(done.stderr.strip() + done.stdout.strip())
        return done.stdout

    def render(self, *arguments: str, version: str = "1.34.4") -> str:
        """Return a rendering of the chart as text."""
        name, namespace = RELEASE
        chart = ("template", name, str(CHART), f"--namespace={namespace}", f"--kube-version={version}")
        return self.run(*chart, *arguments)

    def case(self, name: str) -> str:
        """Return the rendering by one of our files of values."""
        return self.render(f"--values={VALUES / name}.yaml")

    def objects(self, values: Mapping[str, Any]) -> list[Object]:
        """Return the objects rendered by these values, given as a dict."""
        return list(parsed(self.render(f"--set-json={','.join(assignments(values))}") if values else self.render()))


def assignments(values: Mapping[str, Any]) -> list[str]:
    """Return values as Helm takes them behind --set-json."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


def parsed(rendering: str) -> Iterator[Object]:
    """Yield the objects of a rendering."""
    yield from (each for each in yaml.safe_load_all(rendering) if each)


def of_kind(objects: list[Object], kind: str, part: str = "") -> list[Object]:
    """Return the objects of a kind, of one part of the release or of all."""
    component = "app.kubernetes.io/component"
    return [
        each for each in objects if each["kind"] == kind and part in ("", each["metadata"]["labels"].get(component))
    ]


def pod_specs(objects: list[Object]) -> dict[str, Object]:
    """Return the spec of every pod that the rendered objects make, by kind and name."""
    specs = {}
    for each in objects:
        spec = each.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            specs[f"{each['kind']} {each['metadata']['name']}"] = template["spec"]
    return specs


def variables_of(objects: list[Object]) -> dict[str, str]:
    """Return the operator's environment, with a password where there would be a Secret."""
    (deployment,) = of_kind(objects, "Deployment", "operator")
    found = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    given = {"metadata.namespace": deployment["metadata"]["namespace"]}
    sources = {each["name"]: each.get("valueFrom", {}) for each in found}
    fields = {name: given[source["fieldRef"]["fieldPath"]] for name, source in sources.items() if "fieldRef" in source}
    secrets = {name: "user:password" for name, source in sources.items() if "secretKeyRef" in source}
    return {each["name"]: each["value"] for each in found if "value" in each} | fields | secrets


def main() -> None:
    """Write the golden renderings."""
    helm = Helm(binaries.find("helm"))
    GOLDEN.mkdir(exist_ok=True)
    for case in CASES:
        (GOLDEN / f"{case}.yaml").write_text(helm.case(case), encoding="utf-8")


if __name__ == "__main__":
    main()
