"""The numeric environment: what must be pinned before numpy is imported, and its name in every unit's hash.

Cholesky, eigenvalues and products change in their last bits with OpenBLAS's core type, its number of threads and
the CPU features numpy dispatches on, so those are set to one common denominator (x86-64-v3) and one thread.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
from importlib import metadata

from backsweep.errors import InvariantError

__all__ = ["NUMERIC_VARIABLES", "numeric_environment", "numeric_variables_are_pinned", "pin_numeric_environment"]

NUMERIC_VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    **(
        {"OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
        if platform.machine() in {"x86_64", "AMD64"}
        else {}
    ),
}


def numeric_variables_are_pinned() -> bool:
    """Whether this process (and each it starts) has the environment that results are defined in."""
    return all(os.environ.get(name) == value for name, value in NUMERIC_VARIABLES.items())


def pin_numeric_environment() -> None:
    """Set the variables of `NUMERIC_VARIABLES`; must run before numpy is imported.

    Raises
    ------
    InvariantError
        If numpy was imported without them: its kernels are chosen by then.
    """
    if numeric_variables_are_pinned():
        return
    if "numpy" in sys.modules:
        raise InvariantError(
            "numpy was imported before its environment was pinned; start Backsweep in a process of its own"
        )
    os.environ.update(NUMERIC_VARIABLES)


@functools.cache
def numeric_environment() -> dict[str, str]:
    """Return what the bytes of a result depend on besides its inputs; hashed into every unit's id."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "architecture": "x86-64-v3" if "OPENBLAS_CORETYPE" in NUMERIC_VARIABLES else platform.machine(),
        "blas": f"{blas['name']} {blas['version']}",
        "daqp": metadata.version("daqp"),
        "numpy": np.__version__,
        "scipy": metadata.version("scipy"),
    }
