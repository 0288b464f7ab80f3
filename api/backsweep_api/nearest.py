"""The nearest right word to a wrong one, for the end of a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "one_of"]

LISTED = 20  # names a sentence lists before it says how many more there are


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the one of `choices` that `word` was probably meant to be, or None."""
    by_fold = {_fold(choice): choice for choice in choices}
    if _fold(word) in by_fold:
        return by_fold[_fold(word)]
    close = difflib.get_close_matches(_fold(word), list(by_fold), n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def one_of(choices: Iterable[str]) -> str:
    """Return `choices` as a sentence lists them: a, b or c."""
    names = list(choices)
    if len(names) > LISTED:
        return ", ".join(names[:LISTED]) + f" or one of {len(names) - LISTED} more"
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _fold(word: str) -> str:
    """Return `word` without what people get wrong about camelCase."""
    return "".join(letter for letter in word.casefold() if letter not in "_- ")
