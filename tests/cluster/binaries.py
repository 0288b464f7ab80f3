"""The programs a real control plane is made of: found, or built once from pinned Go modules into the user's cache.

`python3 -m tests.cluster.binaries` (that is `make cluster-binaries`) brings all of them and says where each is; with
names behind it, only those. It needs nothing but Python's own library, so that it can run before there is an
environment.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

TOOLCHAIN = Path(__file__).parent / "toolchain"
VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
PATIENCE_SECONDS = 120.0  # a busy machine takes long to start a program
KUBERNETES = "-X k8s.io/component-base/version."

Version = tuple[int, int, int]


class MissingBinaryError(Exception):
    """A program is neither here nor can it be built; the text says what to install."""


@dataclass(frozen=True)
class Binary:
    """A program: where its source is pinned, and which of those already on the machine will do.

    `module` is a folder of toolchain/, `package` what is built in it, with what `sets` for the linker. `asks` are the
    arguments that print its version; a program that cannot tell (KubeRay's) is always our own build. `at_least` takes
    any later version; without it, the same minor version as the pinned one is taken.
    """

    name: str
    module: str
    package: str
    sets: str = ""
    asks: tuple[str, ...] = ()
    at_least: Version | None = None


@dataclass(frozen=True)
class Copied:
    """What is installed beside a program and taken out of its module: where it is there, and in our folder of it."""

    title: str
    module: str
    places: Mapping[str, str]

    def path(self) -> Path:
        return cache_folder() / f"{self.module}-{pinned(self.module)}"

    def folder(self) -> Path:
        """Return our folder.

        Raises
        ------
        MissingBinaryError
            If it is not there.
        """
        if not (folder := self.path()).is_dir():
            raise MissingBinaryError(f"{self.title} {pinned(self.module)} are not here yet: make cluster-binaries")
        return folder


def kubernetes_binary(name: str) -> Binary:
    return Binary(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", asks=("--version",))


BINARIES = (
    # An older etcd (Debian 12's) cannot tell how far a watch has come: KWOK's watches fail and reads wait for seconds.
    Binary("etcd", "etcd", "go.etcd.io/etcd/server/v3", asks=("--version",), at_least=(3, 5, 13)),
    Binary(
        "kubectl",
        "kubernetes",
        "k8s.io/kubernetes/cmd/kubectl",
        asks=("version", "--client"),
        at_least=(1, 30, 0),
    ),
    kubernetes_binary("kube-apiserver"),
    kubernetes_binary("kube-controller-manager"),
    kubernetes_binary("kube-scheduler"),
    Binary("ray-operator", "kuberay", "github.com/ray-project/kuberay/ray-operator"),
    Binary(
        "kwok",
        "kwok",
        "sigs.k8s.io/kwok/cmd/kwok",
        sets="-X sigs.k8s.io/kwok/pkg/consts.Version={version}",
        asks=("--version",),
    ),
    Binary(
        "helm",
        "helm",
        "helm.sh/helm/v3/cmd/helm",
        sets="-X helm.sh/helm/v3/internal/version.version={version}",
        asks=("version", "--short"),
    ),
    Binary("kueue", "kueue", "sigs.k8s.io/kueue/cmd/kueue"),
)
KUBERAY = Copied("KubeRay's CRDs", "kuberay", {"config/crd/bases": "crds", "config/rbac/role.yaml": "role.yaml"})
KUEUE = Copied("Kueue's templates", "kueue", {"charts/kueue": "chart"})
COPIED = {"ray-operator": KUBERAY, "kueue": KUEUE}
# What a real node needs beyond the first five of those; `make test-cluster` does without.
NODE_BINARIES = (
    kubernetes_binary("kubelet"),
    kubernetes_binary("kube-proxy"),
    Binary("coredns", "coredns", "github.com/coredns/coredns", asks=("-version",)),
)
# No part of a control plane: tests/contract runs the S3 store on it, a real node's sweeps use it. There are no binaries
# of it any more, only its module.
MINIO = Binary("minio", "minio", "github.com/minio/minio")
BY_NAME = {binary.name: binary for binary in (*BINARIES, *NODE_BINARIES, MINIO)}


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder outside every checkout that keeps what was built."""
    if named := environment.get("BACKSWEEP_CACHE"):
        return Path(named).absolute()
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "backsweep"


def required(module: str) -> tuple[str, str]:
    """Read path and version of a module in its go.mod, the only place that has the latter."""
    text = (TOOLCHAIN / module / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"^require (\S+) (\S+)$", text, re.MULTILINE)
    assert found, f"{module}/go.mod requires no module on a line of its own"
    return found[1], found[2]


def pinned(module: str) -> str:
    return required(module)[1]


def built_path(binary: Binary) -> Path:
    """Name the built program by its version, so that checkouts with other pins do not replace each other's."""
    return cache_folder() / "bin" / f"{binary.name}-{pinned(binary.module)}"


@cache
def version_of(path: Path, asks: tuple[str, ...]) -> Version | None:
    """Ask a program for its version, once; None if it cannot run or says none."""
    try:
        answer = subprocess.run([path, *asks], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = VERSION.search(answer.stdout)
    return (int(found[1]), int(found[2]), int(found[3])) if found and answer.returncode == 0 else None


def fits(binary: Binary, version: Version | None) -> bool:
    """Say whether a program of that version is one our tests can use."""
    if version is None:
        return False
    if binary.at_least:
        return version >= binary.at_least
    found = VERSION.match(pinned(binary.module))
    return found is not None and version[:2] == (int(found[1]), int(found[2]))


def on_machine(binary: Binary) -> Path | None:
    """Look where people put such programs: KUBEBUILDER_ASSETS, then PATH."""
    if not binary.asks:
        return None
    for folders in (os.environ.get("KUBEBUILDER_ASSETS"), os.environ.get("PATH")):
        found = shutil.which(binary.name, path=folders) if folders else None
        if found and fits(binary, version_of(Path(found), binary.asks)):
            return Path(found).absolute()
    return None


def find(name: str) -> Path:
    """Return where a program is, without building anything.

    Raises
    ------
    MissingBinaryError
        If it is not there.
    """
    binary = BY_NAME[name]
    if found := on_machine(binary):
        return found
    if not (path := built_path(binary)).is_file():
        raise MissingBinaryError(f"{name} {pinned(binary.module)} is not built yet: make cluster-binaries")
    return path


@contextmanager
def one_build_at_a_time(module: str) -> Iterator[Path]:
    """Hold the module's lock and give a folder to build in, on the cache's own file system."""
    folder = cache_folder() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".lock-{module}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(f".building-{module}-*"):  # by a build that was killed: nobody else holds the lock
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f".building-{module}-", dir=folder) as scratch:
            yield Path(scratch)


def go(module: str, *arguments: str) -> str:
    """Run Go in a module of toolchain/ and return what it prints.

    Raises
    ------
    MissingBinaryError
        If it fails, with its last lines but without the names of the registries it asked.
    """
    given = os.environ.get("GOFLAGS", "")
    flags = {"GOFLAGS": f"{given} -mod=readonly -buildvcs=false".strip(), "GOWORK": "off", "CGO_ENABLED": "0"}
    command = ["go", *arguments]
    done = subprocess.run(
        command, cwd=TOOLCHAIN / module, env={**os.environ, **flags}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading ")]
        last = without_registries("\n".join(lines[-12:]))
        raise MissingBinaryError(f"Go could not get or build {module} {pinned(module)}; it says:\n{last}")
    return done.stdout


def without_registries(text: str) -> str:
    """Take out where Go's modules come from: that is this machine's own business."""
    shown = subprocess.run(["go", "env", "GOPROXY", "GOSUMDB"], capture_output=True, text=True, check=False).stdout
    hosts = set(re.findall(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", shown))
    text = re.sub(r"[a-z+]+://[^\s\"')]+", "(registry)", text)
    text = re.sub(r"\b(dial|read) (tcp|udp)\b.*", "it cannot be reached", text)
    for host in hosts:
        text = text.replace(host, "(registry)")
    return text


def build(binary: Binary) -> Path:
    """Build one program, unless another build of the same has just done it."""
    path, version = built_path(binary), pinned(binary.module)
    with one_build_at_a_time(binary.module) as scratch:
        if not path.is_file():
            say(f"{binary.name} {version}: building; the first time this takes some minutes")
            number = VERSION.match(version)
            assert number
            sets = binary.sets.format(version=version)
            if binary.module == "kubernetes":
                parts = {"gitVersion": version, "gitMajor": number[1], "gitMinor": number[2], "gitTreeState": "clean"}
                sets = " ".join(f"{KUBERNETES}{name}={value}" for name, value in parts.items())
            made = scratch / binary.name
            go(binary.module, "build", "-trimpath", "-ldflags", f"-s -w {sets}", "-o", str(made), binary.package)
            made.replace(path)
    return path


def files_of(place: Path) -> list[Path]:
    return [place] if place.is_file() else [each for each in sorted(place.rglob("*")) if each.is_file()]


def copy_out(copied: Copied) -> Path:
    """Copy what is installed beside a program out of its module, whose content go.sum pins."""
    folder, module = copied.path(), copied.module
    with one_build_at_a_time(module) as scratch:
        if not folder.is_dir():
            path = required(module)[0]
            go(module, "mod", "download", path)
            source = Path(go(module, "list", "-m", "-f", "{{.Dir}}", path).strip())
            # A module in Go's cache is read-only, and copies of it would be: only the contents are taken.
            made = scratch / module
            for there, here in copied.places.items():
                for each in files_of(source / there):
                    target = made / here / each.relative_to(source / there)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(each, target)
            made.replace(folder)
    return folder


def missing(names: Sequence[str]) -> list[Binary]:
    """List what must be built.

    Raises
    ------
    MissingBinaryError
        If something must be, and there is no Go: before minutes are spent on anything.
    """
    wanted = [BY_NAME[name] for name in names if not (on_machine(BY_NAME[name]) or built_path(BY_NAME[name]).is_file())]
    needed = [f"{each.name} {pinned(each.module)}" for each in wanted]
    needed += [f"{each.title} {pinned(each.module)}" for each in copied_for(names) if not each.path().is_dir()]
    if needed and shutil.which("go") is None:
        text = f"these are not here: {', '.join(needed)}; to build them install Go {newest_go()} or later"
        raise MissingBinaryError(text)
    return wanted


def copied_for(names: Sequence[str]) -> list[Copied]:
    return [COPIED[name] for name in names if name in COPIED]


def newest_go() -> str:
    """Return the Go version all of toolchain/ can be built with."""
    found = [
        re.search(r"^go (\d+)\.(\d+)", each.read_text(encoding="utf-8"), re.MULTILINE)
        for each in TOOLCHAIN.glob("*/go.mod")
    ]
    return ".".join(map(str, max((int(each[1]), int(each[2])) for each in found if each)))


def bring(names: Sequence[str]) -> dict[str, Path]:
    """Build what is missing, and return where each of the programs is and what is installed beside it.

    Raises
    ------
    MissingBinaryError
        If something can neither be found nor built.
    """
    for binary in missing(names):
        build(binary)
    return {name: find(name) for name in names} | {each.title: copy_out(each) for each in copied_for(names)}


def say(line: str) -> None:
    """Write a line at once: what follows may take minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(names: Sequence[str]) -> int:
    """Bring what is missing, then say where everything is."""
    if unknown := sorted(set(names) - set(BY_NAME)):
        sys.stderr.write(f"there is no {', '.join(unknown)}; there are: {', '.join(BY_NAME)}\n")
        return 2
    try:
        places = bring(names)
    except MissingBinaryError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name, place in places.items():
        say(f"{name:24} {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [binary.name for binary in BINARIES]))
