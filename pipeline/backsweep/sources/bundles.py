"""The real data sets that come with Backsweep, each a Parquet file with its provenance beside it."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from backsweep.errors import CorruptObjectError, DataError
from backsweep.sources.files import TableFile, open_table

__all__ = ["BUNDLED_NAMES", "open_bundled"]

BUNDLED_NAMES = ("sp500-20",)

FOLDER = Path(__file__).parent / "bundled"


def open_bundled(name: str) -> tuple[TableFile, dict[str, Any]]:
    """Return a bundled table and its provenance.

    Raises
    ------
    DataError
        No set of that name; the nearest one is named.
    CorruptObjectError
        The file is not the one its provenance describes.
    """
    if name not in BUNDLED_NAMES:
        close = get_close_matches(name, BUNDLED_NAMES, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"there is {', '.join(BUNDLED_NAMES)}"
        raise DataError(f'data.name "{name}" is not a bundled data set; {hint} (a file of your own goes into data.uri)')
    file = open_table(f"{name}.parquet", FOLDER)
    provenance: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if file.sha256 != provenance["sha256"]:
        raise CorruptObjectError(
            f"the bundled data set {name} is not the one shipped: its sha256 is {file.sha256}, "
            f"not {provenance['sha256']}; install backsweep again"
        )
    return TableFile(name, file.format, file.sha256, file.size_bytes, file.table), provenance
