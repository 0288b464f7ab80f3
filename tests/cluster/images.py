"""The images of images/, built without a container engine, and kept outside the checkout by what they are made of.

`python3 -m tests.cluster.images` builds what is missing and says where each archive is; with names behind it, only
those. `ctr images import` takes the archives. It needs root, buildah and debootstrap (.ci/cluster-packages brings
them), and nothing of Python but its own library.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.binaries import cache_folder, one_build_at_a_time, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("operator", "pipeline", "prefect")
SUITE = "bookworm"
BASE = f"localhost/debian-python:{SUITE}"
BASE_PACKAGES = "ca-certificates,python3,python3-venv"
# What a slim image leaves out: the lists and packages of apt with their hosts, logs, pages, languages.
BASE_WITHOUT = (
    "etc/apt/sources.list",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
)
TIMESTAMP = "315532800"  # 1980, the first that zip knows: the same content gives the same image
KEPT_ARCHIVES = 4  # of one image: those of other checkouts, and of what one may go back to
COPIED = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)
SETTINGS = ("PIP_", "UV_", "SSL_CERT_")  # of the environment: where packages come from, and whom to trust


class ImageError(Exception):
    """An image cannot be built; the text says why."""


@dataclass(frozen=True)
class Image:
    """An image as a pod names it, and the file it is loaded from."""

    name: str
    reference: str
    archive: Path


def image(name: str) -> Image:
    """Name an image by all it is made of, so that a changed line gives another one and no cluster has a stale one."""
    made_of = hashlib.sha256("\0".join([base_image(), SUITE, BASE_PACKAGES, *BASE_WITHOUT, TIMESTAMP]).encode())
    for path in sources(name):
        made_of.update(f"\0{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    tag = made_of.hexdigest()[:16]
    archive = cache_folder() / "images" / f"{name}-{tag}.tar"
    return Image(name, f"localhost/backsweep-{name}:{tag}", archive)


def base_image() -> str:
    """Return the base: our own Debian, unless BACKSWEEP_BASE_IMAGE names one, with a Python of the same version."""
    return os.environ.get("BACKSWEEP_BASE_IMAGE") or BASE


def dockerfile(name: str) -> Path:
    return ROOT / "images" / name / "Dockerfile"


def sources(name: str) -> Iterator[Path]:
    """Yield the Dockerfile and every file it copies, in a fixed order."""
    yield dockerfile(name)
    yield ROOT / ".dockerignore"
    for line in COPIED.findall(dockerfile(name).read_text(encoding="utf-8")):
        for each in line.split():
            place = ROOT / each
            found = sorted(place.rglob("*")) if place.is_dir() else [place]
            yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def build(name: str) -> Image:
    """Build an image and its archive, unless the same is there.

    Raises
    ------
    ImageError
        If it cannot be built.
    """
    wanted = image(name)
    with one_build_at_a_time("images") as scratch:
        if not wanted.archive.is_file():
            say(f"{name}: building; without a layer of it this takes minutes")
            if base_image() == BASE and not run([*buildah(), "images", "--quiet", "--filter", f"reference={BASE}"]):
                build_base(scratch)
            run([*buildah(), "bud", *build_arguments(wanted, scratch), str(ROOT)])
            # Of Docker's format, whose layers are not compressed: of OCI's, each changed line packs a gigabyte.
            made = scratch / "archive.tar"
            run([*buildah(), "push", "--quiet", wanted.reference, f"docker-archive:{made}:{wanted.reference}"])
            wanted.archive.parent.mkdir(exist_ok=True)
            made.replace(wanted.archive)
        wanted.archive.touch()
        forget_old_archives(name)
    return wanted


def build_base(scratch: Path) -> None:
    """Make the base out of Debian's packages, as its slim images are made."""
    say(f"{BASE}: building, once")
    root = scratch / "root"
    run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", SUITE, str(root), debian_mirror()])
    run(["rm", "-rf", *(str(root / each) for each in BASE_WITHOUT)])
    container = run([*buildah(), "from", "scratch"]).strip()
    run([*buildah(), "add", "--quiet", container, str(root), "/"])
    run([*buildah(), "commit", "--quiet", "--rm", "--timestamp", TIMESTAMP, container, BASE])


def debian_mirror() -> str:
    """Return where this machine's own Debian packages come from."""
    asks = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Codename: {SUITE}"]
    found = run(asks).split()
    if not found:
        raise ImageError(f"apt has no source of Debian {SUITE}; name a base that is there: BACKSWEEP_BASE_IMAGE=...")
    return found[0]


def buildah() -> list[str]:
    """Return the command with a store of its own, whose layers last."""
    store = cache_folder() / "containers"
    return ["buildah", "--root", str(store / "storage"), "--runroot", str(store / "run")]


def build_arguments(wanted: Image, scratch: Path) -> list[str]:
    """Return how it is built: with this machine's ways to its packages, of which nothing stays in the image."""
    settings = package_settings(os.environ)
    secret = scratch / "packages"
    secret.write_text("".join(f"export {key}='{value}'\n" for key, value in settings.items()), encoding="utf-8")
    places = {value for value in settings.values() if value.startswith("/") and Path(value).exists()}
    return [
        *("--layers", "--isolation", "chroot", "--network", "host", "--timestamp", TIMESTAMP),
        *("--build-arg", f"BASE_IMAGE={base_image()}", "--secret", f"id=packages,src={secret}"),
        *(f"--volume={place}:{place}:ro" for place in sorted(places)),
        *("--tag", wanted.reference, "--file", str(dockerfile(wanted.name))),
    ]


def package_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in sorted(environment.items()) if key.startswith(SETTINGS)}


def run(command: Sequence[str]) -> str:
    """Run a command and return what it prints.

    Raises
    ------
    ImageError
        If it is not there or fails: with its last lines, without where packages come from.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise ImageError(f"{command[0]} is not here: sh .ci/cluster-packages brings it") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise ImageError(f"{command[0]} failed; it says:\n{without_hosts(last)}")
    return done.stdout


def without_hosts(text: str) -> str:
    """Take out where packages come from: that is this machine's own business."""
    text = re.sub(r"[a-z+]+://[^\s\"')\]]+", "(package index)", text)
    return re.sub(r"\b([a-z0-9-]+\.)+(org|com|net|io|dev|internal|local|lan)\b(:\d+)?", "(package index)", text)


def forget_old_archives(name: str) -> None:
    """Remove all but the archives used last."""
    found = sorted((cache_folder() / "images").glob(f"{name}-*.tar"), key=lambda each: each.stat().st_mtime)
    for each in found[:-KEPT_ARCHIVES]:
        each.unlink()


def main(names: Sequence[str]) -> int:
    """Build what is missing, then say where everything is."""
    if unknown := sorted(set(names) - set(NAMES)):
        sys.stderr.write(f"there is no image {', '.join(unknown)}; there are: {', '.join(NAMES)}\n")
        return 2
    try:
        for each in map(build, names):
            say(f"{each.name:10} {each.reference:50} {each.archive}")
    except ImageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or NAMES))
