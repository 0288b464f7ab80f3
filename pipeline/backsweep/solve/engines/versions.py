"""Which packages a peer consists of, and which versions of them are here: they belong to the name of its units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import metadata

from backsweep.errors import UserError

__all__ = ["PACKAGES", "check_versions", "engine_versions"]

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "skfolio": ("skfolio", "scikit-learn", "cvxpy", "clarabel", "pandas"),
    "pyportfolioopt": ("pyportfolioopt", "scikit-learn", "cvxpy", "clarabel", "osqp", "pandas"),
}


def engine_versions(engines: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the versions of the packages of each peer among `engines`.

    They are read without importing anything, before anything is computed.

    Raises
    ------
    UserError
        If a package is not installed.

    Source: definition; checked in tests/unit/test_engine_windows.py.
    """
    return {
        engine: {name: _version(engine, name) for name in PACKAGES[engine]} for engine in engines if engine in PACKAGES
    }


def check_versions(engine: str, planned: Mapping[str, str]) -> None:
    """Refuse to solve by other versions than the ones that name the unit: another machine may have others.

    Raises
    ------
    UserError
        If a version differs.

    Source: definition; checked in tests/unit/test_engine_windows.py.
    """
    for name, version in planned.items():
        found = _version(engine, name)
        if found != version:
            raise UserError(
                f"spec.axes.engine: {engine} was planned with {name} {version}, and this process has {found}; install "
                f"the same version wherever the sweep runs"
            )


def _version(engine: str, name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        raise UserError(
            f"spec.axes.engine: {engine} needs {name}, which is not installed: pip install 'backsweep[engines]'"
        ) from None
