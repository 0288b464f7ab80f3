"""The JSON Schema that editors read: every field is described, and the models' bounds are in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from backsweep_api.documents import document_from_tree
from backsweep_api.schema import DIALECT, EXAMPLE, json_schema


def objects(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of the schema that has properties."""
    if isinstance(node, dict):
        if "properties" in node and node.get("type") == "object":
            yield node
        for item in node.values():
            yield from objects(item)
    elif isinstance(node, list):
        for item in node:
            yield from objects(item)


def test_the_example_is_a_good_document() -> None:
    document_from_tree(EXAMPLE)
    assert json_schema()["examples"] == [EXAMPLE]


def test_it_is_draft_2020_12_and_refers_only_to_what_it_defines() -> None:
    schema = json_schema()
    assert schema["$schema"] == DIALECT
    text = json.dumps(schema)
    referred = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert referred == set(schema["$defs"])


def test_every_field_has_a_description_and_its_own_name_as_title() -> None:
    found = list(objects(json_schema()))
    assert len(found) >= 30
    for part in found:
        assert part["additionalProperties"] is False
        for name, field in part["properties"].items():
            assert field.get("description") or "$ref" in field, name
            assert field.get("title", name) == name


def test_bounds_and_words_are_in_it() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["WalkForward"]["properties"]["test"] | {"title": "", "description": ""} == {
        "default": 20,
        "description": "",
        "maximum": 100_000,
        "minimum": 1,
        "title": "",
        "type": "integer",
    }
    names = definitions["Profile"]["anyOf"]
    assert names[0]["enum"] == names[1]["properties"]["name"]["enum"]
    assert "hrp" in names[0]["enum"]
    assert {"$ref": "#/$defs/DataSet"} in definitions["Spec"]["properties"]["data"]["anyOf"]
