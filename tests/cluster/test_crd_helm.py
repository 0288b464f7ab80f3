"""Helm installs the definition and tells of a bad sweep what kubectl tells."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml
from tests.cluster.binaries import find
from tests.cluster.control_plane import ControlPlane, wait_until
from tests.cluster.test_crd_admission import ROOT, document

CHART = ROOT / "charts" / "backsweep-crds"


def helm(*arguments: str) -> tuple[int, str]:
    """Return helm's exit code and what it said."""
    done = subprocess.run([str(find("helm")), *arguments], check=False, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_the_chart_renders_the_generated_files() -> None:
    code, said = helm("template", "crds", str(CHART), "--kube-version=1.34.0")
    assert code == 0, said
    rendered = [each for each in yaml.safe_load_all(said) if each]
    generated = [
        each for path in sorted((ROOT / "crds").glob("*.yaml")) for each in yaml.safe_load_all(path.read_text())
    ]
    assert sorted(map(json.dumps, rendered)) == sorted(map(json.dumps, generated))


def test_helm_tells_of_a_bad_sweep_what_validate_tells(plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: sweep\nversion: 0.1.0\n")
    sweep = tmp_path / "templates" / "sweep.yaml"

    def told(spec: dict[str, object]) -> str:
        sweep.write_text(yaml.safe_dump(document(spec)))
        where = (f"--kubeconfig={plane.kubeconfig}", f"--namespace={namespace}")  # helm's dry run admits nothing
        code, said = helm("upgrade", "--install", "sweep", str(tmp_path), *where)
        if code:
            return said
        helm("uninstall", "sweep", *where)  # what is stored once, before the policy is in force, stays allowed
        return ""

    step = "found 20, more than test 10: rows between windows would be in none; write 10 or fewer"
    wait_until(lambda: step in told({"walkForward": {"test": 10, "step": 20}}), "the definition's word", 30)
    neither = "spec.data: found neither name nor uri; write name for a bundled data set or uri for a table"
    wait_until(lambda: neither in told({"data": {"kind": "prices"}}), "the policy's word", 30)
