"""A cluster whose pods are real: this checkout's node, or the one BACKSWEEP_TEST_KUBECONFIG names."""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cluster import images
from tests.cluster.clusters import Cluster, given_cluster
from tests.cluster.node.enclosure import Enclosure
from tests.cluster.node.images import BUSYBOX_IMAGE, load_images, loaded_images
from tests.cluster.node.node import Node, down, up
from tests.cluster.node.places import node_folder
from tests.e2e.releases import Release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIVEN = "BACKSWEEP_TEST_KUBECONFIG"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Use what is up, or start the node and stop it afterwards."""
    if given := os.environ.get(GIVEN):
        yield given_cluster(tmp_path_factory.mktemp("given"), Path(given).absolute())
        return
    folder = node_folder()
    was_up = Enclosure(folder).pid is not None
    yield up(folder, lambda _: None)
    if not was_up:
        down(folder)


@pytest.fixture(scope="session")
def node(real: Cluster) -> Node:
    """The node itself, for tests of what no cluster of somebody else lets us do."""
    assert isinstance(real, Node), f"this test stops programs of the cluster: run it without {GIVEN}"
    return real


@pytest.fixture(scope="session")
def busybox() -> str:
    """Name an image with busybox that the cluster has or can pull."""
    there = os.environ.get("BACKSWEEP_TEST_BUSYBOX_IMAGE", "busybox:1.37")
    return there if os.environ.get(GIVEN) else BUSYBOX_IMAGE


@pytest.fixture(scope="session")
def image(real: Cluster) -> Callable[[str], str]:
    """Give the reference of one of the images of images/, which the cluster then has or can pull."""

    @cache
    def reference(name: str) -> str:
        if not isinstance(real, Node):
            variable = f"BACKSWEEP_TEST_{name.upper()}_IMAGE"
            assert variable in os.environ, f"{variable} must name an image that the cluster of {GIVEN} has"
            return os.environ[variable]
        built = images.build(name)
        if built.reference not in loaded_images(real.enclosure):
            load_images(real.enclosure, [built.archive])
        return built.reference

    return reference


@pytest.fixture(scope="session")
def release(real: Cluster, image: Callable[[str], str]) -> Iterator[Release]:
    """Install one release for all who share it; installing takes half a minute."""
    key = secrets.token_hex(3)
    made = Release(real, image, f"backsweep-{key}", f"quant-{key}")
    made.install()
    yield made
    for namespace in (made.team, made.own):
        real.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def namespace(real: Cluster) -> Iterator[str]:
    """Make a namespace that enforces restricted Pod Security, as ours do, and begin its deletion afterwards."""
    name = f"e2e-{secrets.token_hex(4)}"
    real.make_namespace(name, {"pod-security.kubernetes.io/enforce": "restricted"})
    yield name
    real.kubectl("delete", "namespace", name, "--wait=false")
