"""YAML is read as Kubernetes reads it (sigs.k8s.io/yaml on go-yaml v2), by either of PyYAML's parsers."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from backsweep_api import tree
from backsweep_api.documents import document_from_tree
from backsweep_api.errors import SpecError
from backsweep_api.tree import read_tree, read_value

SCALARS: list[tuple[str, Any]] = [
    ("1990-01-02", "1990-01-02"),
    ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
    ("1:30", "1:30"),
    ("190:20:30.15", "190:20:30.15"),
    ("1e3", 1000.0),
    ("1E-2", 0.01),
    ("1.", 1.0),
    (".5", 0.5),
    ("-.5e1", -5.0),
    ("+12", 12),
    ("1_000", 1000),
    ("0x1F", 31),
    ("-0x10", -16),
    ("010", 8),
    ("0o17", 15),
    ("08", 8.0),
    ("0b101", 5),
    ("-0b101", -5),
    ("9223372036854775807", 9223372036854775807),
    ("18446744073709551615", 18446744073709551615),
    ("18446744073709551616", 18446744073709551616.0),
    ("1e999", "1e999"),
    ("1.2.3", "1.2.3"),
    ("-", "-"),
    (".", "."),
    ("yes", True),
    ("On", True),
    ("y", True),
    ("N", False),
    ("off", False),
    ("tRUE", "tRUE"),
    ("~", None),
    ("Null", None),
    ("nULL", "nULL"),
    ("'on'", "on"),
    ('"10"', "10"),
    ("!!str 10", "10"),
    ("!!float 10", 10),
    ("!!timestamp 1990-01-02", "1990-01-02"),
]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run every test with the compiled parser and with the plain one."""
    monkeypatch.setattr(tree, "LOADER", getattr(yaml, request.param))
    return str(request.param)


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text for text, _ in SCALARS])
def test_a_scalar_means_what_kubernetes_takes_it_for(text: str, value: Any) -> None:
    found = read_value(f"[{text}]")[0]
    assert found == value
    assert type(found) is type(value)


def test_keys_become_text() -> None:
    assert read_value("{1: a, on: b, 1.5: c}") == {"1": "a", "true": "b", "1.5": "c"}


def test_anchors_and_merge_keys_give_way_to_what_is_written() -> None:
    text = "base: &base {a: 1, b: 2}\none: {<<: *base, b: 3}\ntwo: {b: 4, <<: [*base, {c: 5}]}\n"
    assert read_value(text) == {
        "base": {"a": 1, "b": 2},
        "one": {"a": 1, "b": 3},
        "two": {"a": 1, "b": 4, "c": 5},
    }


def test_json_is_read_with_what_yaml_cannot_spell() -> None:
    assert read_tree('{"a": "\\ud83d\\ude00", "b": [1.5, true, null]}') == [{"a": "😀", "b": [1.5, True, None]}]


def test_json_with_a_key_twice_is_refused_by_line() -> None:
    with pytest.raises(
        SpecError, match=r'^line 3: the key "a" is given twice in one mapping, first on line 2; keep one$'
    ):
        read_tree('{\n"a": 1,\n"a": 2}')


def test_json_with_what_json_forbids_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^line 1: \.NaN is not a number JSON knows$"):
        read_tree('{"a": .NaN}')


def test_every_key_given_twice_is_told() -> None:
    with pytest.raises(SpecError) as refused:
        read_tree("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert refused.value.problems == (
        'line 2: the key "c" is given twice in one mapping, first on line 2; keep one',
        'line 3: the key "a" is given twice in one mapping, first on line 1; keep one',
    )


def test_empty_documents_do_not_count() -> None:
    assert read_tree("---\n---\na: 1\n---\n# nothing\n") == [{"a": 1}]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_tree("\ufeffa: 1") == [{"a": 1}]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: [1\nb: 2", "line 2: not YAML ("),
        ("a: b: c", "line 1: not YAML ("),
        ("a: 'open\n", "line "),
        ("a: \x01", "the text holds a character YAML forbids: "),
        ("a: !!int ten", "line 1: !!int ten is not a value JSON knows"),
        ("<<: 1", "line 1: << takes a mapping or a list of mappings"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text: str, start: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_tree(text)
    assert str(refused.value).startswith(start)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^the document: found '\\ud800', which holds half a character"):
        document_from_tree({"apiVersion": "\ud800"})
