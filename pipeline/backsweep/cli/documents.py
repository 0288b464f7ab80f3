"""Commands on documents: validate, schema, profiles."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backsweep.errors import UserError

if TYPE_CHECKING:
    from backsweep_api.spec.document import BacktestSweep

__all__ = ["folder_of", "profiles", "read_text", "schema", "tell_cluster_only", "validate"]


def validate(options: argparse.Namespace) -> int:
    """Print every problem of a document; exit 0 when there is none."""
    from backsweep_api.overrides import read_with_sets
    from backsweep_api.validation import validate as find_problems

    text = read_text(options.file)
    problems = find_problems(text, options.target, options.sets)
    for problem in problems:
        sys.stderr.write(f"{options.file}: {problem}\n")
    if problems:
        return 2
    if options.target == "local":
        tell_cluster_only(read_with_sets(text, options.sets), options.file)
    sys.stdout.write(f"{options.file}: valid\n")
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema, or what makes a cluster know the resource."""
    if options.crd or options.policy:
        from backsweep_api.crd import crd_text, policy_text

        texts = [crd_text()] * options.crd + [policy_text()] * options.policy
        sys.stdout.write("---\n".join(texts))
        return 0
    from backsweep_api.schema import json_schema

    json.dump(json_schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def profiles(options: argparse.Namespace) -> int:
    """Print the table of profiles."""
    from backsweep.solve.profiles import PROFILES
    from backsweep_api.spec.profiles import LIVE_AXES

    width = max(len(name) for name in PROFILES)
    for name, profile in PROFILES.items():
        axes = " ".join(LIVE_AXES[name]) if name in LIVE_AXES else "of its core"
        wins = "" if profile.competes else " (cannot win)"
        sys.stdout.write(f"{name:<{width}}  {profile.summary}{wins}\n")
        sys.stdout.write(f"{'':<{width}}  source: {profile.source}; axes: {axes}\n")
    return 0


def tell_cluster_only(document: BacktestSweep, file: str) -> None:
    """Say which fields of the document in `file` only a cluster acts on: on this machine they change nothing."""
    from backsweep_api.cluster_only import cluster_only_notes

    for note in cluster_only_notes(document):
        sys.stderr.write(f"{file}: note: {note}\n")


def folder_of(path: str) -> Path:
    """Return where a document's relative paths start: its folder, or the working folder for standard input."""
    return Path.cwd() if path == "-" else Path(path).resolve().parent


def read_text(path: str) -> str:
    """Return a document's text; ``-`` is standard input.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
