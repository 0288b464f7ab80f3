"""What the Dockerfiles promise, read from them and from the locks they install; tests/e2e looks into what is built."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("operator", "pipeline", "prefect")


def dockerfile(root: Path, name: str) -> str:
    return (root / "images" / name / "Dockerfile").read_text(encoding="utf-8")


def extras(root: Path, name: str) -> list[str]:
    found = re.search(r'^ARG EXTRAS="(.+)"$', dockerfile(root, name), re.MULTILINE)
    return found[1].split() if found else []


def locked(root: Path, name: str) -> dict[str, str]:
    """Return the versions that the image's build installs, as its own uv reads them from the lock."""
    project = root / "images" / name if name == "prefect" else root
    options = [option for extra in extras(root, name) for option in ("--extra", extra)]
    uv = str(root / ".tools/uv/bin/uv")
    asks = [uv, "export", "--quiet", "--frozen", "--offline", "--no-emit-project", "--no-hashes", "--project"]
    said = subprocess.run([*asks, str(project), *options], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", said, re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_an_image_stands_on_a_slim_python_or_on_any_other_and_runs_as_uid_1000(root: Path, name: str) -> None:
    lines = dockerfile(root, name).splitlines()
    assert "ARG BASE_IMAGE=python:3.11-slim-bookworm" in lines
    assert {line for line in lines if line.startswith("FROM ")} <= {
        "FROM ${BASE_IMAGE} AS dependencies",
        "FROM dependencies AS code",
        "FROM ${BASE_IMAGE}",
    }
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000:1000"]
    assert [line for line in lines if line.startswith("ENTRYPOINT")] == []  # Prefect's worker gives whole commands


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_labelled_with_the_version_it_holds(root: Path, name: str) -> None:
    labels = dict(re.findall(r'(org\.opencontainers\.image\.\w+)="(.*?)"', dockerfile(root, name)))
    ours = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    version = locked(root, name)["prefect"] if name == "prefect" else ours
    assert labels["org.opencontainers.image.title"] == f"backsweep-{name}"
    assert labels["org.opencontainers.image.version"] == version


def test_the_operators_image_has_neither_ray_nor_numpy_nor_prefect(root: Path) -> None:
    found = locked(root, "operator")
    assert {"kopf", "aiohttp", "pydantic", "pyyaml"} <= set(found)
    heavy = {"ray", "numpy", "prefect", "pandas", "pyarrow", "scipy", "kubernetes", "kubernetes-asyncio", "boto3"}
    assert heavy & set(found) == set()


def test_the_pipelines_image_has_what_flow_and_ray_pods_import(root: Path) -> None:
    needed = {"ray", "prefect", "boto3", "numpy", "scipy", "pandas", "pyarrow", "daqp", "optuna", "pillow"}
    assert needed <= set(locked(root, "pipeline"))


def test_flows_and_the_server_are_of_one_prefect(root: Path) -> None:
    ours, theirs = locked(root, "pipeline"), locked(root, "prefect")
    assert "prefect-kubernetes" in theirs
    assert (theirs["prefect"], theirs["fastapi"]) == (ours["prefect"], ours["fastapi"])


def test_images_are_built_by_the_uv_of_the_environment(root: Path) -> None:
    ours = re.search(r"^UV_VERSION=(\S+)$", (root / ".ci/bootstrap").read_text(encoding="utf-8"), re.MULTILINE)
    theirs = re.search(r"^uv==(\S+)", (root / "images/build-tools.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert ours
    assert theirs
    assert ours[1] == theirs[1]


def test_the_chart_runs_the_ray_of_the_pipelines_image(root: Path) -> None:
    values = (root / "charts/backsweep/values.yaml").read_text(encoding="utf-8")
    assert f"rayVersion: {locked(root, 'pipeline')['ray']}\n" in values


def test_what_each_image_holds_is_listed_without_time_or_chance(root: Path) -> None:
    said = subprocess.run(["sh", root / "images/sbom.sh"], capture_output=True, text=True, check=True).stdout
    assert said.split() == [f"build/sbom/{name}.cdx.json" for name in NAMES]
    for name in NAMES:
        listed = json.loads((root / "build/sbom" / f"{name}.cdx.json").read_text(encoding="utf-8"))
        assert listed["bomFormat"] == "CycloneDX"
        assert {"serialNumber", "timestamp"} & {*listed, *listed["metadata"]} == set()
        assert {part["name"] for part in listed["components"]} >= set(locked(root, name))
