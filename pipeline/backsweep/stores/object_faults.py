"""What is wrong with a stored object, as a sentence instead of an error: for whoever reads many and tells all."""

from __future__ import annotations

from collections.abc import Callable

from backsweep.errors import CorruptObjectError, MissingObjectError

__all__ = ["fault_of"]


def fault_of(read: Callable[[str], bytes], digest: str) -> str | None:
    """Return why `read` (a store's `get_object`) refuses an object; None where it is whole.

    Raises
    ------
    StoreError, TransientError : the store itself cannot be read.
    """
    try:
        read(digest)
    except (MissingObjectError, CorruptObjectError) as error:
        return str(error)
    return None
