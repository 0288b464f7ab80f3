"""Volumes for who claims one: folders of the node, made before they are asked for and each given once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 20
CLASS = "folders"


def make_folders(folder: Path) -> None:
    """Make a folder for each volume, that any user may write to: the kubelet does not change who owns such a one."""
    for number in range(COUNT):
        volume = folder / "volumes" / str(number)
        volume.mkdir(parents=True)
        volume.chmod(0o777)


def volumes(folder: Path) -> list[dict[str, Any]]:
    """Return the storage class claims have unless they name one, and its volumes."""
    marked = {"storageclass.kubernetes.io/is-default-class": "true"}
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": marked},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    return [storage_class, *(volume(number, folder / "volumes" / str(number)) for number in range(COUNT))]


def volume(number: int, folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"folder-{number}"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "20Gi"},
            "hostPath": {"path": str(folder), "type": "Directory"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": CLASS,
        },
    }
