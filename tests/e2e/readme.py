"""The commands of README's section on clusters, as they stand there."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from tests.e2e.releases import ROOT

if TYPE_CHECKING:
    from tests.e2e.releases import Release

PROMPT = "    $ "


def section() -> str:
    """Return what README says of a cluster."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition("\n## On a cluster\n")[2].partition("\n## ")[0]


def commands() -> list[str]:
    return [line.removeprefix(PROMPT) for line in section().splitlines() if line.startswith(PROMPT)]


def run_here(release: Release, command: str, manifest: str) -> str:
    """Run a command with the names of a release and return what it prints.

    What is installed is upgraded, which takes the same arguments; `manifest` is what stands for README's own.
    """
    names = {
        "helm install": "helm upgrade --install",
        "backsweep-system": release.own,
        " quant": f" {release.team}",
        "charts/": f"{ROOT}/charts/",
        "examples/": f"{ROOT}/examples/",
        "values.yaml": str(release.values_file),
    }
    here = re.sub("|".join(names), lambda found: names[found[0]], command)
    here = re.sub(r"s3://\S+", manifest, here)
    program, *arguments = shlex.split(here)
    if program == "helm":
        return release.helm(*arguments, namespace="default" if "backsweep-crds" in arguments else release.own)
    return release.run(program, *arguments, environment=release.storage())
