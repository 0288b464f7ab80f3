"""The generated definition: structural, bounded, small, and the same as the files that are shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from backsweep_api.crd import LARGEST_BYTES, crd, crd_text, policy_text
from backsweep_api.crd_rules import RULES
from backsweep_api.crd_status import status_schema
from backsweep_api.documents import document_from_tree
from backsweep_api.spec.base import Model
from backsweep_api.spec.constraints import Universe
from backsweep_api.spec.data import DataSet
from backsweep_api.status import SweepStatus
from backsweep_api.validation import validate

ROOT = Path(__file__).parents[2]
SHIPPED = {"backsweep.dev_backtestsweeps.yaml": crd_text, "backsweep.dev_admission.yaml": policy_text}
FREE = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string")


def root_schema() -> dict[str, Any]:
    schema: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every node of a schema with its path."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[{key}]")


SPEC = list(nodes(root_schema()["properties"]["spec"], "spec"))


@pytest.mark.parametrize("folder", ["crds", "charts/backsweep-crds/templates"])
@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shipped_is_what_the_models_say(folder: str, name: str) -> None:
    assert (ROOT / folder / name).read_text("utf-8") == SHIPPED[name](), "run `make crds`"


def test_the_definition_fits_and_holds_nothing_a_template_would_read() -> None:
    assert len(crd_text().encode()) < LARGEST_BYTES
    for text in (crd_text(), policy_text()):
        assert "{{" not in text
        assert text == text.encode("ascii", "strict").decode()


def test_every_node_has_a_type_or_may_be_several_and_none_refers_to_another() -> None:
    for path, schema in SPEC:
        assert schema.get("type") or any(schema.get(key) for key in FREE), path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "not", "title"} & set(schema), path


def test_every_list_mapping_and_text_of_the_spec_is_bounded() -> None:
    for path, schema in SPEC:
        if schema.get("type") == "array":
            assert schema["maxItems"] >= 1, path
            assert schema["x-kubernetes-list-type"] in ("atomic", "map", "set"), path
        if "additionalProperties" in schema:
            assert schema["maxProperties"] >= 1, path
        if schema.get("type") == "string":
            assert "maxLength" in schema or "enum" in schema, path


def test_no_object_of_the_spec_drops_a_field_it_does_not_know() -> None:
    for path, schema in SPEC:
        if "properties" in schema:
            assert schema["x-kubernetes-preserve-unknown-fields"] is True, path


def test_every_model_with_rules_of_its_own_has_them_in_cel() -> None:
    models = {model for model in all_models(Model) if model.rules is not Model.rules}
    policy = policy_text()
    told_by_the_policy = {"Profile", "Covariance", "ExpectedReturns", "Exclusion", "Axes", "RowRange", "Range"}
    told_by_the_policy |= {DataSet.__name__, Universe.__name__, "_Span", "_Parametrised"}
    assert {model.__name__ for model in models} - told_by_the_policy == {model.__name__ for model in RULES}
    for words in ("found neither name nor uri", "belongs to", "write each value once", "name at least one axis"):
        assert words in policy


def all_models(model: type[Model]) -> Iterator[type[Model]]:
    for below in model.__subclasses__():
        yield below
        yield from all_models(below)


def test_defaults_are_those_of_the_models() -> None:
    metadata = {"apiVersion": "backsweep.dev/v1alpha1", "kind": "BacktestSweep", "metadata": {"name": "t"}}
    spec: dict[str, Any] = {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"]}}
    filled = with_defaults(root_schema()["properties"]["spec"], spec)
    assert filled["walkForward"] == {"test": 20, "purge": 0, "anchored": False, "partial": "drop"}
    assert filled["axes"]["covariance"] == ["sample"]
    plain = document_from_tree({**metadata, "spec": spec})
    assert document_from_tree({**metadata, "spec": filled}).normalised() == plain.normalised()


def with_defaults(schema: dict[str, Any], value: Any) -> Any:
    """Return a value as the API server stores it."""
    if isinstance(value, list):
        return [with_defaults(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    found = dict(value)
    for name, below in schema.get("properties", {}).items():
        if name not in found and "default" in below:
            found[name] = below["default"]
        if name in found:
            found[name] = with_defaults(below, found[name])
    return found


def test_status_has_every_field_of_the_model_and_its_columns_exist() -> None:
    status = status_schema()
    assert set(status["properties"]) == {field.alias for field in SweepStatus.model_fields.values()}
    assert status["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]
    for column in crd()["spec"]["versions"][0]["additionalPrinterColumns"]:
        node = root_schema()
        path = re.sub(r"\[.*?\]", "", column["jsonPath"])
        for part in [] if path.startswith(".metadata.") else path.strip(".").split("."):
            node = node.get("items", node)["properties"][part]


def test_the_definition_is_one_version_with_a_status_and_a_short_name() -> None:
    definition = yaml.safe_load(crd_text())
    (version,) = definition["spec"]["versions"]
    assert (version["served"], version["storage"], version["subresources"]) == (True, True, {"status": {}})
    assert definition["spec"]["names"]["shortNames"] == ["bts"]
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


HEAD = "apiVersion: backsweep.dev/v1alpha1\nkind: BacktestSweep\nmetadata: {name: t}\nspec:\n  axes: {profile: [hrp]}\n"
STORE = "  storage: {uri: s3://b/p}\n"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            "  data: {uri: 'https://e.org/p.csv'}\n" + STORE,
            "spec.data.uri: https://e.org/p.csv is not built in this release: no table is downloaded; copy it, and "
            "write an s3:// URI",
        ),
        (
            "  data: {name: sp500-20}\n"
            + STORE
            + "  cluster: {head: {podTemplate: {env: [{name: A, value: a}, {name: A, value: b}]}}}\n",
            "spec.cluster.head.podTemplate.env[1].name: found A a second time; write each once",
        ),
    ],
)
def test_a_cluster_refuses_what_it_cannot_read_or_merge(lines: str, problem: str) -> None:
    assert validate(HEAD + lines, "cluster") == [problem]
