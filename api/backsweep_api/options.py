"""From a trial's axis values to what a solver is given: names and parameters with every default filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backsweep_api.spec.profiles import (
    COVARIANCE_DEFAULTS,
    EXPECTED_RETURNS_DEFAULTS,
    PROFILE_DEFAULTS,
)

__all__ = ["covariance_options", "expected_returns_options", "profile_options"]

Options = tuple[str, dict[str, Any]]


def profile_options(values: Mapping[str, Any]) -> Options:
    """Return the profile's name and its parameters: its own, its core's, linkage and leafOrder, the strategy's."""
    name, parameters = _filled(values["profile"], PROFILE_DEFAULTS)
    if "core" in parameters:
        parameters = {**PROFILE_DEFAULTS.get(str(parameters["core"]), {}), **parameters}
    for axis in ("linkage", "leafOrder"):
        if axis in values:
            parameters[axis] = values[axis]
    prefix = "parameters."
    parameters.update({axis.removeprefix(prefix): value for axis, value in values.items() if axis.startswith(prefix)})
    return name, dict(sorted(parameters.items()))


def covariance_options(value: Any) -> Options:
    """Return the name and parameters of a value of the covariance axis."""
    return _filled(value, COVARIANCE_DEFAULTS)


def expected_returns_options(value: Any) -> Options:
    """Return the name and parameters of a value of the expectedReturns axis."""
    return _filled(value, EXPECTED_RETURNS_DEFAULTS)


def _filled(value: Any, defaults: Mapping[str, Mapping[str, Any]]) -> Options:
    """Return a value's name and its parameters over the name's defaults."""
    given = {"name": value} if isinstance(value, str) else dict(value)
    name = str(given.pop("name"))
    return name, {**defaults.get(name, {}), **given}
