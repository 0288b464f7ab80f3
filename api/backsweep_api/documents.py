"""Reading a BacktestSweep: text or tree to models, or one sentence for each problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from backsweep_api.errors import SpecError
from backsweep_api.problems import sentences
from backsweep_api.spec.checks import found
from backsweep_api.spec.document import API_VERSION, KIND, BacktestSweep
from backsweep_api.tree import DEEPEST, is_too_deep, read_tree

__all__ = ["TOO_DEEP", "document_from_tree", "read_document", "read_document_tree"]

TOO_DEEP = f"the document: is nested more than {DEEPEST} levels deep; write fewer levels"


def read_document(text: str) -> BacktestSweep:
    """Return the one BacktestSweep that `text` (YAML as Kubernetes reads it, or JSON) holds.

    Raises
    ------
    SpecError
        With one sentence for each problem.
    """
    return document_from_tree(read_document_tree(text))


def read_document_tree(text: str) -> dict[str, Any]:
    """Return the text's one document as plain values, checked for nothing but its kind.

    Raises
    ------
    SpecError
        If it is not YAML, or not exactly one document of this kind.
    """
    documents = read_tree(text)
    wanted = f"write one document with apiVersion {API_VERSION} and kind {KIND}"
    if not documents:
        raise SpecError(f"the text is empty; {wanted}")
    if len(documents) > 1:
        raise SpecError(f"the text holds {len(documents)} documents; {wanted}")
    tree = documents[0]
    if not isinstance(tree, dict):
        raise SpecError(f"the document is {found(tree)}; {wanted}")
    for key, right in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in tree:
            raise SpecError(f"{key}: is missing; {wanted}")
        if tree[key] != right:
            raise SpecError(f"{key}: found {found(tree[key])}; {wanted}")
    return tree


def document_from_tree(tree: Mapping[str, Any]) -> BacktestSweep:
    """Return the BacktestSweep that plain values (dicts, lists, strings, numbers, booleans, None) describe.

    Raises
    ------
    SpecError
        With one sentence for each problem.
    """
    if is_too_deep(tree):
        raise SpecError(TOO_DEEP)
    plain = _plain(tree)
    try:
        return BacktestSweep.model_validate(plain)
    except ValidationError as error:
        raise SpecError(*sentences(error, BacktestSweep, plain)) from None


def _plain(value: Any) -> Any:
    """Return the tree with tuples, which a program may hand over, as lists, and all its text checked to be Unicode."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise SpecError(f"the document: found {value!a}, which holds half a character; write whole ones")
    return value
