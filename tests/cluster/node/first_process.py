"""Process 1 of a node's namespaces: `python -I -S first_process.py FOLDER` makes their mounts, then only reaps.

Everything the node starts is below this process. When it is killed the kernel kills all of them, containers too, and
with the last of them mounts and network devices are gone: nothing has to be found and taken away one by one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

# The kubelet sets these six for the whole machine. It gets files of its own to write to.
KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def make_mounts(folder: Path) -> None:
    """Let every program have its usual folders, which are ours here and not the machine's."""
    names = Path("/etc/resolv.conf").resolve()
    mount("-t", "proc", "proc", "/proc")
    for private in ("/run", "/var/log"):
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", private)
    upper, work = Path("/run/var-lib/upper"), Path("/run/var-lib/work")
    for each in (upper, work):
        each.mkdir(parents=True)
    mount("-t", "overlay", "-o", f"lowerdir=/var/lib,upperdir={upper},workdir={work}", "overlay", "/var/lib")
    # Large, and a container's file system cannot lie on an overlay.
    for name in ("containerd", "kubelet"):
        Path("/var/lib", name).mkdir(exist_ok=True)
        mount("--bind", folder / name, f"/var/lib/{name}")
    names.parent.mkdir(parents=True, exist_ok=True)
    names.touch()
    mount("--bind", folder / "resolv.conf", names)
    for setting in KERNEL_SETTINGS:
        own = Path("/run/kernel-settings", setting)
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(Path("/proc/sys", setting).read_text(encoding="utf-8"), encoding="utf-8")
        mount("--bind", own, f"/proc/sys/{setting}")
    # Containers see what is mounted into a volume later.
    mount("--make-rshared", "/")


def reap_for_ever() -> None:
    """Take note of the end of processes whose parents are gone, as a process 1 must."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass  # there are none at present
        signal.sigwait({signal.SIGCHLD})


def main(folder: Path) -> None:
    # /proc is still that of the machine: what others know us by is read before it is replaced.
    pid = Path("/proc/self").readlink()
    started = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    make_mounts(folder)
    begun = folder / "first-process.begun"
    begun.write_text(f"{pid} {started}\n", encoding="utf-8")
    begun.replace(folder / "first-process")
    reap_for_ever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
