"""The rounds of a search: each is determined by the seed and by the complete rounds before it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from backsweep.errors import VerificationError
from backsweep.search.coordinates import Coordinates
from backsweep.search.optimiser import propose
from backsweep_api.canonical import canonical_json
from backsweep_api.rounds import SearchSpace, Values

__all__ = ["Known", "next_round", "proposals_bytes", "proposed_points"]

Known = tuple[Values, float]  # a point and its score: the more the better, -inf where it has none
MOST_ASKS = 5  # proposals a point of a round, repeated and excluded ones among them
MOST_TOLD = 1_000  # points the optimiser is told of: what a proposal takes grows with them
BEST_TOLD = 100  # of these the best; the optimiser learns from no more than 25 good ones
SCHEMA = "backsweep.dev/proposals/v1"


def next_round(space: SearchSpace, known: Sequence[Known], number: int) -> list[Values]:
    """Return the points of round `number`, none of which was there before; fewer than asked for where all are known.

    A proposal that repeats a point, or is excluded, is replaced by another; when too many do, the rest of the round is
    drawn by chance, so that a search in a small space tries all of it.

    Parameters
    ----------
    known : the points of all rounds before, in the order of the trials.
    number : from 1; the first round is the one that the document gives.
    """
    if number == 1:
        return space.first_round()
    seen = {canonical_json(values) for values, _ in known}
    fresh = (values for values in space.by_chance(number) if canonical_json(values) not in seen)
    spare = list(itertools.islice(fresh, space.count + 1))
    if len(spare) <= space.count:
        return spare
    found: dict[bytes, Values] = {}
    translate = Coordinates(space)
    told = [(translate.coordinates(values), score) for values, score in _told(known)]
    proposals = propose(translate.axes, told, space.seed_of("round", number))
    for proposal in itertools.islice(proposals, MOST_ASKS * space.count):
        values = translate.values(proposal)
        name = canonical_json(values)
        if name not in seen and name not in found and space.point(values) is not None:
            found[name] = values
            if len(found) == space.count:
                break
    for values in spare:
        if len(found) < space.count:
            found.setdefault(canonical_json(values), values)
    return list(found.values())


def _told(known: Sequence[Known]) -> list[Known]:
    """Return the points that the optimiser is told of, in their order: all, or the best and the latest of many."""
    best = sorted(range(len(known)), key=lambda place: (-known[place][1], place))[:BEST_TOLD]
    latest = range(max(len(known) - MOST_TOLD + BEST_TOLD, 0), len(known))
    return [known[place] for place in sorted({*best, *latest})]


def proposals_bytes(rounds: Sequence[Sequence[Values]]) -> bytes:
    """Return the object that says what each round proposed, as canonical JSON."""
    return canonical_json({"schema": SCHEMA, "rounds": [list(points) for points in rounds]})


def proposed_points(data: bytes) -> list[Values]:
    """Return the points of all rounds that `proposals_bytes` wrote, in their order.

    Raises
    ------
    VerificationError
        If the bytes are something else.
    """
    try:
        tree = json.loads(data)
    except ValueError:
        tree = None
    if not isinstance(tree, dict) or tree.get("schema") != SCHEMA or not isinstance(tree.get("rounds"), list):
        raise VerificationError(f"result.objects.proposals is no list of rounds of {SCHEMA}")
    return [values for points in tree["rounds"] for values in points]
