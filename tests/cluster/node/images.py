"""Images on the node: the one it needs itself, made of Debian's static busybox, and those loaded from archives."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.node.enclosure import Enclosure

BUSYBOX = Path("/bin/busybox")
BUSYBOX_IMAGE = "localhost/busybox:node"
APPLETS = ("cat", "echo", "grep", "httpd", "ls", "mkdir", "nslookup", "ps", "sh", "sleep", "true", "wget")
NOBODY = 65534


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    """Add a file that has no owner and no time, so that the same content is the same archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = 0o755
    for field, value in fields.items():
        setattr(entry, field, value)
    archive.addfile(entry, io.BytesIO(content))


def layer() -> bytes:
    """Return a file system of busybox under the names of some of its programs."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        add(archive, "bin/busybox", BUSYBOX.read_bytes())
        for applet in APPLETS:
            add(archive, f"bin/{applet}", type=tarfile.SYMTYPE, linkname="busybox")
        add(archive, "tmp", type=tarfile.DIRTYPE, mode=0o1777)
    return made.getvalue()


def write_busybox_image(path: Path) -> None:
    """Write an archive of the image whose containers sleep unless told otherwise; pods' networks are held by one."""
    content = layer()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sleep", "2147483647"], "User": str(NOBODY), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [BUSYBOX_IMAGE], "Layers": ["layer.tar"]}]
    with tarfile.open(path, mode="w") as archive:
        add(archive, "config.json", json.dumps(config).encode())
        add(archive, "layer.tar", content)
        add(archive, "manifest.json", json.dumps(manifest).encode())


def load_images(enclosure: Enclosure, archives: Sequence[Path]) -> list[str]:
    """Give the node the images of archives (OCI's or Docker's) and return the names it has them by.

    Raises
    ------
    NotReadyError
        If one is no archive of images; with what was said.
    """
    said = [enclosure.run("ctr", "--namespace=k8s.io", "images", "import", each.absolute()) for each in archives]
    return [line.split()[1] for line in "".join(said).splitlines() if line.startswith("unpacking ")]


def loaded_images(enclosure: Enclosure) -> list[str]:
    """List the names of the images the node has."""
    names = enclosure.run("ctr", "--namespace=k8s.io", "images", "list", "--quiet").split()
    return [name for name in names if "sha256" not in name]
