"""Sizes, without a list of exceptions: what is larger has more than one idea in it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.house.conftest import Source

MOST_LINES_IN_A_FILE = 400
MOST_LINES_IN_A_FUNCTION = 60
MOST_PARAMETERS = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def lines_of(function: Function) -> int:
    """Count the function's lines from `def` to its end, without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def parameters_of(function: Function) -> int:
    """Count all parameters but the one a method is bound to."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [argument.arg for argument in (given.vararg, given.kwarg) if argument]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def above(limit: int, sizes: dict[str, int]) -> str:
    """Name what is above the limit, one a line."""
    return "\n".join(f"{name}: {size}" for name, size in sizes.items() if size > limit)


def test_no_file_has_more_than_400_lines(sources: list[Source]) -> None:
    sizes = {source.path: len(source.text.splitlines()) for source in sources}
    assert not above(MOST_LINES_IN_A_FILE, sizes), above(MOST_LINES_IN_A_FILE, sizes)


def test_no_function_has_more_than_60_lines_besides_its_docstring(sources: list[Source]) -> None:
    sizes = {f"{s.path}:{f.lineno} {f.name}": lines_of(f) for s in sources for f in functions(s.tree)}
    assert not above(MOST_LINES_IN_A_FUNCTION, sizes), above(MOST_LINES_IN_A_FUNCTION, sizes)


def test_no_function_has_more_than_6_parameters(sources: list[Source]) -> None:
    sizes = {f"{s.path}:{f.lineno} {f.name}": parameters_of(f) for s in sources for f in functions(s.tree)}
    assert not above(MOST_PARAMETERS, sizes), above(MOST_PARAMETERS, sizes)


def test_lines_and_parameters_are_counted_as_said() -> None:
    text = 'def f(self, a, /, b, *c, d, **e):\n    """One.\n\n    Two.\n    """\n    return a\n'
    (function,) = functions(ast.parse(text))
    assert (lines_of(function), parameters_of(function)) == (2, 5)
