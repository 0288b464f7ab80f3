"""The node's control groups: one of its name in each hierarchy, below which the kubelet puts every pod."""

from __future__ import annotations

from pathlib import Path


def hierarchies(mounts: Path = Path("/proc/self/mounts")) -> list[Path]:
    """Return where control groups of version 1 are mounted, and that of version 2 beside them."""
    lines = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    first = [Path(place) for place, kind in lines if kind == "cgroup"]
    return first + [Path(place) for place, kind in lines if kind == "cgroup2"] if first else []


# Of the machine's processors; a process outside has 1024. With as little a busy machine starves all pods together, and
# their probes fail.
SHARES = "16384"


def make(name: str) -> None:
    for hierarchy in hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        if (shares := hierarchy / name / "cpu.shares").exists():
            shares.write_text(SHARES, encoding="ascii")


def entrances(name: str) -> list[Path]:
    """Return the files that take the number of a process and count it, and all it will start, as the node's."""
    groups = [hierarchy / name for hierarchy in hierarchies()]
    # One of cpusets would first have to be told its processors; the kubelet does that for its pods.
    return [group / "cgroup.procs" for group in groups if not (group / "cpuset.cpus").exists()]


def present(name: str) -> list[Path]:
    """Return the node's control groups and all below them, the deepest first."""
    tops = [hierarchy / name for hierarchy in hierarchies()]
    found = [path for top in tops for path in (top, *top.rglob("*/")) if path.is_dir()]
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def remove(name: str) -> None:
    """Remove them; no process may be left in one."""
    for group in present(name):
        group.rmdir()
