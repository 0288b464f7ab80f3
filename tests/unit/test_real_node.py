"""What of the tests' node needs neither root nor a cluster: names, records, and what is said when it is unfit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.cluster.node import cgroups, images, machine
from tests.cluster.node.__main__ import main
from tests.cluster.node.enclosure import Enclosure, Identity
from tests.cluster.node.machine import UnfitMachineError, check_machine
from tests.cluster.node.node import MARK, prepare, remove
from tests.cluster.node.places import node_folder, node_name

PROCESSES = Path("/proc")
VERSION_1 = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0"
VERSION_2 = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0"


def test_a_node_is_named_by_its_folder_and_a_folder_by_its_checkout() -> None:
    folder = node_folder({"BACKSWEEP_CACHE": "/cache"})
    assert folder.parent == Path("/cache")
    assert node_folder({"BACKSWEEP_CACHE": "/cache", "BACKSWEEP_NODE": "/elsewhere"}) == Path("/elsewhere")
    assert node_name(folder) != node_name(Path("/elsewhere"))


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([VERSION_1, VERSION_2], ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"]),
        ([VERSION_2], []),
        (["proc /proc proc rw 0 0"], []),
    ],
)
def test_control_groups_of_version_1_are_found_and_those_of_version_2_beside_them(
    mounts: list[str], expected: list[str], tmp_path: Path
) -> None:
    table = tmp_path / "mounts"
    table.write_text("\n".join(mounts), encoding="utf-8")
    assert [str(each) for each in cgroups.hierarchies(table)] == expected


def test_a_process_is_known_by_number_and_start_and_a_later_one_of_its_number_is_another(tmp_path: Path) -> None:
    own = Identity.of(os.getpid(), PROCESSES)
    assert own is not None
    own.write(tmp_path / "record")
    assert Identity.read(tmp_path / "record") == own
    assert Identity.read(tmp_path / "none") is None
    Identity(own.pid, own.started - 1).write(tmp_path / "first-process")
    assert Enclosure(tmp_path).pid is None
    own.write(tmp_path / "first-process")
    assert Enclosure(tmp_path).pid == own.pid


def test_a_process_that_has_ended_is_none_even_before_anybody_takes_note() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Identity.of(child.pid, PROCESSES) is None
    assert Identity.of(child.pid, PROCESSES) is None


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let this machine be one that lacks nothing."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path: name)
    monkeypatch.setattr(machine, "FILES", ())
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [Path("/sys/fs/cgroup/memory")])
    monkeypatch.setattr(machine, "SEPARATED", ("env",))
    return monkeypatch


def test_who_is_not_root_is_told_so(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_machine(tmp_path)
    fit.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnfitMachineError, match=r"only root can start a node; there is kind-config\.yaml"):
        check_machine(tmp_path)


def test_missing_programs_are_named_with_what_installs_them(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr(shutil, "which", lambda name, path: None if name in ("runc", "ip") else name)
    fit.setattr(machine, "FILES", (tmp_path / "ptp",))
    said = f"there is no ip, runc, {tmp_path}/ptp: `sh .ci/cluster-packages` installs them (Debian)"
    with pytest.raises(UnfitMachineError) as refused:
        check_machine(tmp_path)
    assert str(refused.value) == said


def test_a_machine_with_control_groups_of_version_2_alone_is_sent_to_kind(
    fit: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fit.setattr(cgroups, "hierarchies", list)
    with pytest.raises(UnfitMachineError, match=r"version 2 alone.*: use kind-config\.yaml"):
        check_machine(tmp_path)


def test_a_container_that_may_make_no_namespaces_is_told_so(fit: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fit.setattr(machine, "SEPARATED", ("sh", "-c", "echo 'unshare failed: Operation not permitted' >&2; exit 1"))
    with pytest.raises(UnfitMachineError, match=r"not even by root: unshare failed: Operation not permitted$"):
        check_machine(tmp_path)


def test_a_folder_the_node_has_its_own_of_is_refused(fit: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnfitMachineError, match=r"/var/lib/nodes/a is below /var/lib.*: set BACKSWEEP_NODE"):
        check_machine(Path("/var/lib/nodes/a"))


def test_a_folder_with_somebody_elses_files_is_neither_used_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UnfitMachineError, match="holds files that are no node's"):
        prepare(tmp_path)
    remove(tmp_path)
    assert (tmp_path / "thesis.tex").exists()
    (tmp_path / MARK).touch()
    remove(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize("arguments", [[], ["fly"], ["load"], ["run"], ["up", "now"]])
def test_a_command_line_that_means_nothing_is_answered_by_what_there_is(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    usage = "usage: python -m tests.cluster.node check|up|down|status|load FILE...|run COMMAND...\n"
    assert capsys.readouterr().err == usage


@pytest.mark.parametrize("arguments", [["load", "a.tar"], ["run", "true"]])
def test_without_a_node_one_is_told_how_to_start_it(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKSWEEP_NODE", str(tmp_path / "none"))
    assert main(arguments) == 1
    assert capsys.readouterr().err == "the node is not up: make cluster-up\n"
    assert main(["status"]) == 1
    assert capsys.readouterr().out == "the node is not up\n"


def test_the_nodes_own_image_is_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "busybox").write_bytes(b"a program")
    monkeypatch.setattr(images, "BUSYBOX", tmp_path / "busybox")
    paths = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for path in paths:
        images.write_busybox_image(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tarfile.open(paths[0]) as archive:
        assert archive.getnames() == ["config.json", "layer.tar", "manifest.json"]
