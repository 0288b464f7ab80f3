"""One real control plane and one real Prefect server for the session; a namespace of its own for each test."""

from __future__ import annotations

import itertools
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cluster.api_calls import ApiCalls
from tests.cluster.control_plane import ControlPlane, control_plane
from tests.cluster.processes import Ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.chains import Chain
    from tests.cluster.prefect_server import PrefectServer

NAMES = itertools.count(1)
LONGEST_SECONDS = 600
# The files that take a minute or more, so that no worker begins one of them when the others have nothing left.
FIRST = (
    "test_operator_killed",
    "test_kueue",
    "test_chain_limits",
    "test_chain_disturbances",
    "test_operator_process",
    "test_fuzz_operator",
    "test_writes",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test here time for what starts with the first one, on a machine that is busy; long files come first."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(FIRST)))
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Start the control plane; after failures its folder stays, with the log of each program."""
    folder = tmp_path_factory.mktemp("control-plane")
    with control_plane(folder) as started:
        yield started
    if request.session.testsfailed:
        sys.stderr.write(f"the logs of the control plane are in {folder}\n")
    else:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """Start a Prefect server of the session's own."""
    from tests.cluster.prefect_server import PrefectServer

    ports = Ports()
    found = PrefectServer(tmp_path_factory.mktemp("prefect"), ports.claim())
    try:
        found.start()
        yield found
    finally:
        found.process.kill()
        ports.release()


@pytest.fixture(scope="module")
def chain(plane: ControlPlane, prefect_server: PrefectServer) -> Iterator[Chain]:
    """Start an operator with a work pool on that server, for the tests of one file."""
    from tests.cluster.chains import new_chain

    with new_chain(plane, prefect_server) as found:
        yield found


@pytest.fixture
def calls(plane: ControlPlane) -> Iterator[ApiCalls]:
    """Open a connection to the API server, as its administrator."""
    found = ApiCalls(plane)
    yield found
    found.close()


@pytest.fixture
def ports() -> Iterator[Ports]:
    """Ports that nobody else of ours takes during a test."""
    found = Ports()
    yield found
    found.release()


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """Make a namespace that enforces restricted Pod Security, as ours do, and begin its deletion afterwards."""
    name = f"team-{next(NAMES)}"
    plane.make_namespace(name, {"pod-security.kubernetes.io/enforce": "restricted"})
    yield name
    plane.kubectl("delete", "namespace", name, "--wait=false")
