"""Every bad document is refused with a sentence that names the field, what was found and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from backsweep_api.documents import read_document
from backsweep_api.errors import SpecError
from backsweep_api.validation import validate

TABLE: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("api_refusals.yaml").read_text())


@pytest.mark.parametrize("row", TABLE, ids=[row["case"] for row in TABLE])
def test_a_bad_document_is_refused_with_its_sentences(row: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as refused:
        read_document(row["text"])
    assert list(refused.value.problems) == row["problems"]
    assert str(refused.value) == "\n".join(row["problems"])
    assert validate(row["text"]) == row["problems"]


def test_the_table_is_large_and_has_no_case_twice() -> None:
    assert len(TABLE) >= 100
    assert len({row["case"] for row in TABLE}) == len({row["text"] for row in TABLE}) == len(TABLE)


def test_no_sentence_speaks_of_the_library_underneath() -> None:
    words = ("Input should", "pydantic", "value_error", "Extra inputs", "Field required", "tuple", "dict", "NoneType")
    for row in TABLE:
        for problem in row["problems"]:
            assert not any(word in problem for word in words), problem


def test_a_document_too_large_or_blown_up_by_aliases_is_refused() -> None:
    with pytest.raises(SpecError, match="at most 1,000,000 are read"):
        read_document("#" * 1_000_001)
    layers = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="more than 200,000 values, aliases counted"):
        read_document("\n".join(layers))


def test_json_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(SpecError, match="nested more than 40 levels deep"):
        read_document('{"a": ' + "[" * 5_000 + "]" * 5_000 + "}")
