"""Public functions of the numeric stages say what a reader needs to trust a number.

Public is what a module lists in `__all__`; a function that neither takes nor gives an array has no number
to trust and needs a docstring only.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.house.conftest import Source

STAGES = ("solve", "simulate", "measure", "aggregate")
STAGE_PREFIXES = tuple(f"backsweep.{stage}" for stage in STAGES)
ARRAYS = re.compile(r"\b(Float|Integer|Boolean|Dates|NDArray)\b")
SHAPE = re.compile(r"\([A-Z0-9][A-Za-z0-9' ]*(,[^()]*)?\)")
SOURCE = re.compile(r"^\s*Sources?\s*(:|$)", re.MULTILINE)
RAISES = re.compile(r"^\s*Raises\s*(:|$)", re.MULTILINE)


def names_in_all(tree: ast.Module) -> set[str]:
    """Return what the module exports: the literal list given to `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Walk the function's body without the functions defined in it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def handles_arrays(function: ast.FunctionDef) -> bool:
    annotations = [argument.annotation for argument in (*function.args.args, *function.args.kwonlyargs)]
    return any(ARRAYS.search(ast.unparse(each)) for each in (*annotations, function.returns) if each)


def missing(function: ast.FunctionDef) -> list[str]:
    """Name what the function's docstring lacks."""
    text = ast.get_docstring(function) or ""
    raises = any(isinstance(node, ast.Raise) for node in own_nodes(function))
    arrays = handles_arrays(function)
    needed = {
        "a docstring": bool(text),
        "a Raises section": not raises or RAISES.search(text) is not None,
        "a second line (what, then why)": not arrays or len(text.splitlines()) > 1,
        "a Source paragraph": not arrays or SOURCE.search(text) is not None,
        "the shapes of its arrays, such as (T, N)": not arrays or SHAPE.search(text) is not None,
        "its NaN policy": not arrays or "NaN" in text,
    }
    return [what for what, there in needed.items() if not there]


def stage_of(module: str) -> str:
    """Return the second part of a dotted name: solve, of backsweep.solve.hrp."""
    return module.split(".")[1] if "." in module else ""


def public_functions(shipped: list[Source]) -> Iterator[tuple[str, ast.FunctionDef]]:
    for source in shipped:
        if source.module.startswith("backsweep.") and stage_of(source.module) in STAGES:
            exported = names_in_all(source.tree)
            for node in source.tree.body:
                if isinstance(node, ast.FunctionDef) and node.name in exported:
                    yield f"{source.path}:{node.lineno} {node.name}", node


def test_public_functions_of_the_numeric_stages_state_shapes_nan_policy_raises_and_source(
    shipped: list[Source],
) -> None:
    found = dict(public_functions(shipped))
    assert found
    lacking = [f"{where} lacks {', '.join(missing(f))}" for where, f in found.items() if missing(f)]
    assert not lacking, "\n".join(lacking)


def test_what_other_rooms_use_of_a_numeric_stage_is_public(shipped: list[Source]) -> None:
    exported = {source.module: names_in_all(source.tree) for source in shipped}
    hidden = [
        f"{source.path} uses {node.module}.{name.name}, which is not in its __all__"
        for source in shipped
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(STAGE_PREFIXES)
        for name in node.names
        if stage_of(source.module) != stage_of(node.module or "")
        and f"{node.module}.{name.name}" not in exported
        and name.name not in exported.get(node.module or "", set())
    ]
    assert not hidden, "\n".join(hidden)


def test_what_a_docstring_lacks_is_named() -> None:
    bare = "def f(x: Float) -> Float:\n    '''Do.'''\n    raise ValueError\n"
    full = "def f(x: Float) -> Float:\n    '''Do.\n\n    x : (T, N), no NaN.\n\n    Source : me.\n    '''\n"
    functions = [ast.parse(text).body[0] for text in (bare, full)]
    assert [len(missing(f)) for f in functions if isinstance(f, ast.FunctionDef)] == [5, 0]
