"""What a Ray worker does with a block: run the work and send back one small payload, a result or an error.

A worker imports this module and what the work itself names, nothing more: its import is the cost of a new worker.
"""

from __future__ import annotations

import pickle  # noqa: TID251  # between processes of one sweep, never from storage
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from backsweep.errors import BacksweepError, InvariantError
from backsweep.settings import numeric_variables_are_pinned

__all__ = ["open_payload", "run_block"]

Block = TypeVar("Block")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Raised:
    """What the work raised: an answer, which Ray must neither retry nor take for a lost worker."""

    error: Exception


def run_block(work: Callable[[Block], Result], block: Block) -> bytes:
    """Run the work in the numeric environment its results are defined in; its bytes are counted by who gets them."""
    try:
        if not numeric_variables_are_pinned():
            raise InvariantError("this Ray worker was started without the numeric environment")
        return _packed(work(block))
    except Exception as error:
        return _packed_error(error)


def open_payload(payload: bytes) -> Any:
    """Return what the work returned, or raise what it raised."""
    opened = pickle.loads(zlib.decompress(payload))
    if isinstance(opened, Raised):
        raise opened.error
    return opened


def _packed(answer: Any) -> bytes:
    """Return the answer small: half of a report is digests written as hex."""
    return zlib.compress(pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


def _packed_error(error: Exception) -> bytes:
    """Return the error as it is, or described where it cannot travel."""
    if not isinstance(error, BacksweepError):
        error.add_note("in a Ray worker:\n" + "".join(traceback.format_exception(error)))
    try:
        payload = _packed(Raised(error))
        pickle.loads(zlib.decompress(payload))  # some exceptions can be sent and not received
    except Exception:
        described = "".join(traceback.format_exception_only(error)).strip()
        return _packed(Raised(InvariantError(f"the work raised {described}")))
    return payload
