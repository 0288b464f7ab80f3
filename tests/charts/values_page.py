"""The table of values in docs/install.md, from values.yaml and its schema.

`python -m tests.charts.values_page` writes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml
from tests.charts.rendering import CHART, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "install.md"
BEGIN, END = "<!-- values: generated -->\n", "<!-- end of values -->\n"


def rows(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield path, default and description of every value; resources are one value."""
    for name, part in schema["properties"].items():
        if name == "global":
            continue
        whole = "properties" not in part or "requests" in part["properties"]
        if whole:
            yield f"{path}{name}", values[name], part["description"]
        else:
            yield from rows(values[name], part, f"{path}{name}.")


def page_with(text: str) -> str:
    """Return the page with its table as it must be today."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    table = ["| value | default | what it is |", "|---|---|---|"]
    table += [f"| `{path}` | `{json.dumps(default)}` | {said} |" for path, default, said in rows(values, schema)]
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n".join(table) + "\n" + END + rest.partition(END)[2]


def main() -> None:
    """Write the table."""
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
