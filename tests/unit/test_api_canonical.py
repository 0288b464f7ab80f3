"""Canonical JSON: one spelling for one value."""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import Any

import pytest

from backsweep_api.canonical import canonical_json, digest, short_digest
from backsweep_api.errors import InvariantError


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        (1.0, b"1"),
        (-0.0, b"0"),
        (1e22, b"10000000000000000000000"),
        (0.1, b"0.1"),
        (1e-7, b"1e-07"),
        ("ü", '"ü"'.encode()),
        ((1, 2), b"[1,2]"),
        (MappingProxyType({"a": 1}), b'{"a":1}'),
    ],
)
def test_a_value_is_spelled_one_way(value: Any, spelled: bytes) -> None:
    assert canonical_json(value) == spelled


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1: 2}, {"a": object()}, "\ud800", b"a", {1, 2}])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(InvariantError):
        canonical_json(value)


def test_the_digest_is_the_sha256_of_that_spelling() -> None:
    assert digest({"a": 1.0}) == hashlib.sha256(b'{"a":1}').hexdigest()
    assert short_digest({"a": 1}) == digest({"a": 1})[:16]
