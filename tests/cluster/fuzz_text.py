"""Text that was a good document in YAML, with some lines and letters wrong."""

from __future__ import annotations

from random import Random

import yaml
from tests.cluster.fuzz import GOOD, document_of

LINES = ("\t- a\n", "&a [*a]\n", "  *b\n", "<<: 1\n", "!!python/name:os a\n", "---\n", "...\n", "? - b\n", "%YAML 9\n")
LETTERS = (":", "-", "'", '"', "{", "]", "\x00", "\ud800", "#", "é", "\n", "&", "*", "%", "@", "|", "\u2028")


def mangled_text(seed: int, number: int) -> str:
    """Return a text: the same for the same seed and number."""
    chance = Random(f"text {seed}/{number}")
    lines = yaml.safe_dump(document_of(chance.choice(GOOD))).splitlines(keepends=True)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        kind = chance.randrange(5)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, chance.choice(lines))
        elif kind == 2:
            lines.insert(at, chance.choice(LINES))
        else:
            lines[at] = lines[at].replace(chance.choice(lines[at]), chance.choice(LETTERS), 1)
    return "".join(lines)
