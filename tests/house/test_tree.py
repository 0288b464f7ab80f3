"""Rules about files that no linter has."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.house.conftest import Source

# Folders that are not ours or are made by running things: as in .gitignore, which only git can read.
NOT_OURS = {".git", ".venv", ".tools", ".backsweep", "runs", "dist", "build", "__pycache__", ".hypothesis"}
CACHES = {".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache"}
# Written as patterns, so that this file does not hold what it forbids.
REGISTRIES = re.compile(
    r"pypi[.]org|pythonhosted[.]org|crates[.]io|npmjs[.]org|proxy[.]golang|maven[.]org"
    r"|deb[.]debian[.]org"
)
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "tools"}


def our_files(root: Path) -> list[Path]:
    skipped = NOT_OURS | CACHES
    return [path for path in root.rglob("*") if path.is_file() and not skipped & set(path.relative_to(root).parts)]


def test_no_file_but_the_lock_names_a_package_registry(root: Path) -> None:
    naming = []
    for path in our_files(root):
        text = path.read_bytes().decode("utf-8", "replace")
        if path.name != "uv.lock" and (found := REGISTRIES.search(text)):
            naming.append(f"{path.relative_to(root)}: {found.group()}")
    assert naming == []


def test_operator_never_becomes_a_package_that_shadows_the_standard_library(root: Path) -> None:
    assert not (root / "operator" / "__init__.py").exists()


def test_test_folders_are_not_packages(root: Path) -> None:
    assert sorted((root / "tests").rglob("__init__.py")) == []


def test_every_folder_of_shipped_modules_is_a_package_with_a_docstring(root: Path, shipped: list[Source]) -> None:
    described = {source.module for source in shipped if ast.get_docstring(source.tree)}
    modules = [source.module for source in shipped if not source.path.endswith("__init__.py")]
    packages = {module.rpartition(".")[0] for module in modules}
    assert sorted(packages - described) == []


def test_every_module_has_a_docstring_and_a_name_that_says_something(shipped: list[Source]) -> None:
    assert [source.path for source in shipped if not ast.get_docstring(source.tree)] == []
    assert [source.path for source in shipped if set(source.module.split(".")) & VAGUE] == []


def test_nothing_prints_outside_the_command_line(shipped: list[Source]) -> None:
    printing = {"print", "sys.stdout.write", "sys.stderr.write"}
    calls = [
        f"{source.path}:{node.lineno}"
        for source in shipped
        if source.module.split(".")[1:2] != ["cli"]
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in printing
    ]
    assert calls == []


def test_nothing_is_left_to_do_later(sources: list[Source]) -> None:
    later = re.compile(r"#.*\b(TO|FIX)(DO|ME)\b")
    lines = [(source.path, n, line) for source in sources for n, line in enumerate(source.text.split("\n"), 1)]
    assert [f"{path}:{n}" for path, n, line in lines if later.search(line)] == []


def test_the_changelog_starts_with_what_is_unreleased(root: Path) -> None:
    titles = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles[:1] == ["Unreleased"]


def test_links_between_our_documents_lead_somewhere(root: Path) -> None:
    broken = []
    for page in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(root)}: {target}")
    assert broken == []
