"""What the documents and examples say can be done as it is written there."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from typing import TYPE_CHECKING

from backsweep.cli.main import EXIT_CODES, build_parser
from backsweep_api.validation import validate

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"^(?: {4}|[$] )?(backsweep [a-z].*)$")


def commands_in(text: str) -> list[str]:
    """Return the command lines of the code blocks, without what follows a #."""
    return [found.group(1) for line in text.splitlines() if (found := BLOCK.match(line))]


def complaint(line: str) -> str:
    """Return what the command line's parser says against it, or nothing."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            build_parser().parse_args(shlex.split(line, comments=True)[1:])
    except SystemExit as end:
        return said.getvalue() if end.code else ""
    return ""


def test_every_command_shown_in_the_documents_is_one_the_command_line_takes(root: Path) -> None:
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]
    shown = [(page, line) for page in pages for line in commands_in(page.read_text(encoding="utf-8"))]
    assert len(shown) >= 5
    refused = [f"{page.name}: {line}: {said}" for page, line in shown if (said := complaint(line))]
    assert not refused, "\n".join(refused)


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert commands_in("text\n    backsweep fly FILE # up\n") == ["backsweep fly FILE # up"]
    assert "fly" in complaint("backsweep fly FILE")


def test_every_example_is_a_valid_document(root: Path) -> None:
    examples = sorted((root / "examples").rglob("*.yaml"))
    assert examples
    problems = [f"{path.name}: {each}" for path in examples for each in validate(path.read_text("utf-8"), "local")]
    assert not problems, "\n".join(problems)


def test_the_documented_exit_codes_are_those_of_the_command_line(root: Path) -> None:
    page = (root / "docs" / "errors.md").read_text("utf-8").replace("`", "")
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES
