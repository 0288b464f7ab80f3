"""The commands of README's section on clusters, as they stand there, and what README says they print."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.releases import ROOT

if TYPE_CHECKING:
    from tests.e2e.releases import Release

INDENT = "    "
PROMPT = f"{INDENT}$ "
LEFT_OUT = "..."
VARYING = {  # in the order in which they are taken out of a line
    r"LAST DEPLOYED: .*": "LAST DEPLOYED: then",
    r"s3://\S+": "s3://there",
    r"\b(created|configured|unchanged)\b": "applied",
    r"\b[0-9a-f]{12,}\b(\.\.\.)?": "digest",
    r"(\d[\d.,]*[smhd%]?)+": "1",
    r"\s+": " ",
}


@dataclass(frozen=True)
class Shown:
    """A command of README, and the lines it says are printed; what `...` stands for is not among them."""

    command: str
    lines: tuple[str, ...]

    def missing(self, said: str) -> list[str]:
        """Return the lines that were not said, whatever the numbers, digests and times in them."""
        found = {shape(line) for line in said.splitlines()}
        return [line for line in self.lines if shape(line) not in found]


def section() -> str:
    """Return what README says of a cluster."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition("\n## On a cluster\n")[2].partition("\n## ")[0]


def shown() -> list[Shown]:
    """Return the commands and what they print, in their order."""
    found: list[tuple[str, list[str]]] = []
    for line in section().splitlines():
        if line.startswith(PROMPT):
            found.append((line.removeprefix(PROMPT), []))
        elif line.startswith(INDENT) and line.strip() != LEFT_OUT:
            found[-1][1].append(line.removeprefix(INDENT))
    return [Shown(command, tuple(lines)) for command, lines in found]


def shape(line: str) -> str:
    """Return a line without what is another each time."""
    for varying, instead in VARYING.items():
        line = re.sub(varying, instead, line)
    return line.strip()


def run_here(release: Release, command: str, manifest: str) -> str:
    """Run a command with the names of a release and return what it prints, with README's names.

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
        said = release.helm(*arguments, namespace="default" if "backsweep-crds" in arguments else release.own)
    else:
        said = release.run(program, *arguments, environment=release.storage())
    return said.replace(release.own, "backsweep-system").replace(release.team, "quant")
