"""Programs are found by version and built once, under a lock; what is missing is said exactly. Go is a fake here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cluster import binaries
from tests.cluster.binaries import BINARIES, BY_NAME, MissingBinaryError, find, fits, pinned

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = [binary.name for binary in BINARIES]
PROXY = "https://modules.example.test/go"


def program(folder: Path, name: str, *lines: str) -> Path:
    """Write a program of a few lines of shell."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    binaries.version_of.cache_clear()  # another program is at the same place
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty cache and a PATH with a shell's own programs in it: return the folder of the latter."""
    path = tmp_path / "path"
    path.mkdir()
    for name in ("sh", "cat", "sleep", "mkdir", "cp"):
        (path / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("BACKSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return path


def fake_go(machine: Path, *building: str) -> None:
    """Install a Go that notes its calls, and builds by the lines given with the output's path in $out."""
    program(
        machine,
        "go",
        f'if [ "$1" = env ]; then echo {PROXY}; exit; fi',
        f'echo "$GOFLAGS" "$@" >> {machine}/calls',
        'while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done',
        *building,
    )


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("kube-apiserver", (1, 34, 9), True),
        ("kube-apiserver", (1, 33, 9), False),
        ("kube-apiserver", (1, 35, 0), False),
        ("etcd", (3, 4, 23), False),
        ("etcd", (3, 5, 16), True),
        ("etcd", (3, 7, 0), True),
        ("helm", (3, 21, 0), True),
        ("helm", (4, 0, 0), False),
        ("kubectl", (1, 36, 0), True),
        ("kubectl", (1, 20, 0), False),
        ("kwok", None, False),
    ],
)
def test_what_is_taken_from_the_machine(name: str, version: tuple[int, int, int] | None, expected: bool) -> None:
    assert fits(BY_NAME[name], version) is expected


def test_kubebuilder_assets_come_before_the_path_and_the_path_before_the_cache(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = binaries.built_path(BY_NAME["kube-apiserver"])
    built.parent.mkdir(parents=True)
    built.touch()
    assert find("kube-apiserver") == built
    on_path = program(machine, "kube-apiserver", "echo Kubernetes v1.34.0")
    assert find("kube-apiserver") == on_path
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    old = program(tmp_path / "assets", "kube-apiserver", "echo Kubernetes v1.30.0")
    assert find("kube-apiserver") == on_path
    old.unlink()
    assert find("kube-apiserver") == on_path
    fitting = program(tmp_path / "assets", "kube-apiserver", "echo Kubernetes v1.34.2")
    assert find("kube-apiserver") == fitting


def test_a_program_that_cannot_run_here_is_passed_over(machine: Path) -> None:
    broken = machine / "helm"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o755)
    with pytest.raises(MissingBinaryError, match=r"helm v3\.\S+ is not built yet: make cluster-binaries"):
        find("helm")


def test_without_go_one_is_told_what_to_install_for_what(machine: Path) -> None:
    program(machine, "kubectl", "echo Client Version: v1.34.1")
    program(machine, "etcd", "echo etcd Version: 3.4.23")
    with pytest.raises(MissingBinaryError) as refused:
        binaries.missing(CLUSTER)
    said = re.fullmatch(r"these are not here: (.*); to build them install Go 1\.\d+ or later", str(refused.value))
    assert said is not None
    names = [each.rpartition(" ")[0] for each in said[1].split(", ")]
    built = [each.name for each in BINARIES if each.name != "kubectl"]
    assert names == built + [each.title for each in binaries.COPIED.values()]


def test_what_is_there_is_not_built(machine: Path) -> None:
    fake_go(machine)
    assert binaries.missing(CLUSTER) == list(BINARIES)
    program(machine, "helm", f"echo {pinned('helm')}+g1234")
    assert "helm" not in [binary.name for binary in binaries.missing(CLUSTER)]


def test_a_build_is_pinned_reproducible_and_named_by_its_version(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-p=1")
    fake_go(machine, 'echo built > "$out"')
    path = binaries.build(BY_NAME["kube-scheduler"])
    assert path.name == f"kube-scheduler-{pinned('kubernetes')}"
    assert path.read_text(encoding="utf-8") == "built\n"
    call = (machine / "calls").read_text(encoding="utf-8")
    assert call.startswith("-p=1 -mod=readonly -buildvcs=false build -trimpath -ldflags -s -w ")
    assert f"version.gitVersion={pinned('kubernetes')} " in call
    assert call.endswith(" k8s.io/kubernetes/cmd/kube-scheduler\n")
    binaries.build(BY_NAME["kube-scheduler"])
    assert (machine / "calls").read_text(encoding="utf-8") == call


def test_a_build_that_fails_leaves_nothing_and_names_no_registry(machine: Path) -> None:
    fake_go(
        machine,
        'echo half > "$out"',
        f'echo "go: k8s.io/api@v0.34.4: Get \\"{PROXY}/k8s.io/api\\": dial tcp: lookup modules.example.test" >&2',
        "exit 1",
    )
    with pytest.raises(MissingBinaryError) as refused:
        binaries.build(BY_NAME["helm"])
    said = 'go: k8s.io/api@v0.34.4: Get "(registry)": it cannot be reached'
    assert str(refused.value) == f"Go could not get or build helm {pinned('helm')}; it says:\n{said}"
    left = [each.name for each in (binaries.cache_folder() / "bin").iterdir()]
    assert left == [".lock-helm"]


def test_one_may_ask_for_some_alone(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_go(machine, 'echo built > "$out"')
    assert binaries.main(["minio"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"{'minio':24} {binaries.built_path(binaries.MINIO)}"
    assert binaries.main(["minion"]) == 2
    assert capsys.readouterr().err.startswith("there is no minion; there are: etcd, kubectl, ")


def test_what_is_installed_beside_a_program_is_copied_out_of_its_module(machine: Path, tmp_path: Path) -> None:
    source = tmp_path / "module"
    for name in ("config/crd/bases/one.yaml", "config/rbac/role.yaml", "config/rbac/other.yaml"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name, encoding="utf-8")
        (source / name).chmod(0o444)
    with pytest.raises(MissingBinaryError, match=r"KubeRay's CRDs v\S+ are not here yet: make cluster-binaries"):
        binaries.KUBERAY.folder()
    program(machine, "go", f'[ "$1" = list ] && echo {source}', "true")
    folder = binaries.copy_out(binaries.KUBERAY)
    assert folder == binaries.KUBERAY.folder()
    assert [str(each.relative_to(folder)) for each in binaries.files_of(folder)] == ["crds/one.yaml", "role.yaml"]
    assert (folder / "role.yaml").stat().st_mode & 0o200


def test_two_builds_at_once_build_once(machine: Path) -> None:
    fake_go(machine, "sleep 0.5", 'echo built > "$out"')
    script = "from tests.cluster.binaries import *; print(build(BY_NAME['kwok']).read_text().strip())"
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [each.communicate(timeout=60)[0].splitlines()[-1] for each in both]
    assert outputs == ["built", "built"]
    assert len((machine / "calls").read_text(encoding="utf-8").splitlines()) == 1


def test_what_a_killed_build_left_is_cleared_by_the_next(machine: Path) -> None:
    fake_go(machine, 'echo half > "$out"', f"[ -e {machine}/killed ] || sleep 300", 'echo built > "$out"')
    script = "from tests.cluster.binaries import *; build(BY_NAME['kwok'])"
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    ) as first:
        folder = binaries.cache_folder() / "bin"
        deadline = time.monotonic() + 30
        while not list(folder.glob(".building-kwok-*/kwok")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(first.pid, 9)
    (machine / "killed").touch()
    assert binaries.build(BY_NAME["kwok"]).read_text(encoding="utf-8") == "built\n"
    assert list(folder.glob(".building-*")) == []


def test_the_pins_of_kubernetes_own_modules_go_with_its_version() -> None:
    text = (binaries.TOOLCHAIN / "kubernetes" / "go.mod").read_text(encoding="utf-8")
    replaced = set(re.findall(r"^\tk8s\.io/\S+ => k8s\.io/\S+ (\S+)$", text, re.MULTILINE))
    assert replaced == {pinned("kubernetes").replace("v1.", "v0.")}
