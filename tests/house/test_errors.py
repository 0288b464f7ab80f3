"""docs/errors.md is the list of our errors: each class, its reason, who must act, and what it means."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import TYPE_CHECKING

import backsweep
import backsweep_api
import backsweep_operator
from backsweep_api.errors import BacksweepError, InvariantError, NumericError, TransientError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = (UserError, NumericError, TransientError, InvariantError)
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (\w+) \| (.+?) \|$", re.MULTILINE)


def import_everything() -> None:
    for package in (backsweep_api, backsweep, backsweep_operator):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith(".__main__"):  # importing one runs it
                importlib.import_module(module.name)


def below(parent: type[BacksweepError]) -> Iterator[type[BacksweepError]]:
    for child in parent.__subclasses__():
        yield child
        yield from below(child)


def errors() -> list[type[BacksweepError]]:
    import_everything()
    return [error for error in below(BacksweepError) if error.__module__.startswith("backsweep")]


def described(error: type[BacksweepError]) -> tuple[str, str, str, str]:
    """Return the error's row of the table: class, reason, kind and the first paragraph of its docstring."""
    kind = next(kind.__name__ for kind in KINDS if issubclass(error, kind))
    paragraph = (error.__doc__ or "").split("\n\n")[0]
    return error.__name__, error.reason, kind, " ".join(paragraph.split())


def test_the_documented_table_is_exactly_the_error_classes(root: Path) -> None:
    table = ROW.findall((root / "docs" / "errors.md").read_text(encoding="utf-8"))
    assert sorted(table) == sorted(described(error) for error in errors())


def test_every_error_is_of_one_kind_and_has_one_reason_of_its_own_in_camel_case() -> None:
    found = errors()
    reasons = [error.__dict__.get("reason", "") for error in found]
    assert [reason for reason in reasons if not re.fullmatch(r"([A-Z][a-z0-9]+)+", reason)] == []
    assert len(set(reasons)) == len(reasons)
    assert [error for error in found if sum(issubclass(error, kind) for kind in KINDS) != 1] == []
