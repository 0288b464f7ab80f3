"""What is in the built images: they start as uid 1000, and hold what they should and nothing heavy beside it."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.cluster import images

from backsweep_operator.build.flow import FLOW_CONTAINER, base_job_template
from backsweep_operator.model import Release

if TYPE_CHECKING:
    from collections.abc import Iterator

ARE_THERE = "import importlib.util as u, json, sys; print(json.dumps([n for n in sys.argv[1:] if u.find_spec(n)]))"
# By its hash and unchecked (flags 1): the times of files are not those they were compiled with.
FLAGS = "import importlib.util as u, sys; print(open(u.find_spec(sys.argv[1]).cached, 'rb').read(8)[4:].hex())"
# Prefect's worker refuses a template whose Job lacks what it builds on; only its own code knows what that is.
TAKE_TEMPLATE = """
import json, sys
from prefect.utilities.templating import apply_values
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
template = json.loads(sys.argv[1])
examples = {"string": "x", "integer": 1, "boolean": True, "object": {}, "array": []}
values = {name: examples[schema["type"]] for name, schema in template["variables"]["properties"].items()}
KubernetesWorkerJobConfiguration.model_validate(apply_values(template["job_configuration"], values))
"""


class Container:
    """A place where commands of an image run, as its own user."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        inside = [*images.buildah(), "run", "--isolation", "chroot", self._name, "--", *command]
        return subprocess.run(inside, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)

    def modules(self, *names: str) -> set[str]:
        """Return those of them that can be imported."""
        return set(json.loads(self.run("python", "-c", ARE_THERE, *names).stdout))


@contextmanager
def container(name: str) -> Iterator[Container]:
    made = images.run([*images.buildah(), "from", images.build(name).reference]).strip()
    try:
        yield Container(made)
    finally:
        images.run([*images.buildah(), "rm", made])


@pytest.mark.parametrize("name", images.NAMES)
def test_an_image_runs_as_a_user_with_a_name_but_no_rights(name: str) -> None:
    with container(name) as place:
        assert place.run("id", "-u").stdout == "1000\n"
        assert place.run("python", "-c", "import getpass; getpass.getuser()").returncode == 0
        assert place.run("touch", "/opt/anything").returncode == 1


@pytest.mark.parametrize("name", images.NAMES)
def test_an_image_does_not_tell_where_its_packages_came_from(name: str) -> None:
    with container(name) as place:
        assert place.run("test", "-e", "/run/secrets").returncode == 1
        assert place.run("sh", "-c", "cat /etc/pip.conf /etc/apt/sources.list").stdout == ""
        assert {line.partition("=")[0] for line in place.run("env").stdout.splitlines()} <= {
            *("DO_NOT_TRACK", "HOME", "HOSTNAME", "PATH", "PREFECT_SERVER_ANALYTICS_ENABLED", "PWD"),
            *("PYTHONUNBUFFERED", "RAY_USAGE_STATS_ENABLED", "SHLVL", "_"),
        }


def test_the_operators_image_starts_the_operator_and_holds_nothing_that_computes() -> None:
    with container("operator") as place:
        started = place.run("python", "-m", "backsweep_operator")
        assert (started.returncode, "BACKSWEEP_NAMESPACE is not set" in started.stderr) == (2, True)
        assert place.modules("backsweep_operator", "kopf", "ray", "numpy", "prefect", "pandas", "kubernetes") == {
            "backsweep_operator",
            "kopf",
        }


def test_the_pipelines_image_has_the_program_ray_and_the_flow() -> None:
    with container("pipeline") as place:
        assert place.run("backsweep", "validate", "--help").returncode == 0
        assert "2.60.0" in place.run("ray", "--version").stdout
        flow = place.run("python", "-c", "import backsweep.orchestration.pod, backsweep.orchestration.pod_run")
        assert flow.stderr == ""
        stages = "import scipy.stats, scipy.optimize, pandas, pyarrow.parquet, daqp, optuna, boto3, PIL.Image, ray"
        assert place.run("python", "-c", stages).stderr == ""


def test_the_image_of_prefect_has_the_server_and_the_kubernetes_worker() -> None:
    with container("prefect") as place:
        assert place.run("prefect", "server", "start", "--help").returncode == 0
        assert place.modules("prefect_kubernetes", "asyncpg", "ray", "backsweep") == {"prefect_kubernetes", "asyncpg"}


def test_the_kubernetes_worker_takes_the_job_template_of_flows() -> None:
    with container("prefect") as place:
        good = base_job_template(Release(""))
        assert place.run("python", "-c", TAKE_TEMPLATE, json.dumps(good)).stderr == ""
        bad = json.dumps(good).replace(FLOW_CONTAINER, "flow")
        assert "must have value 'prefect-job'" in place.run("python", "-c", TAKE_TEMPLATE, bad).stderr


@pytest.mark.parametrize(("name", "module"), [("operator", "kopf"), ("pipeline", "prefect"), ("prefect", "prefect")])
def test_what_a_read_only_root_could_not_keep_is_compiled(name: str, module: str) -> None:
    with container(name) as place:
        assert place.run("python", "-c", FLAGS, module).stdout == "01000000\n"
